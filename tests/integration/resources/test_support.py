import pytest

from rolecall.resources.file import File
from tests.support import SHELLS, assert_contract, destroy, find_shell


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_meets_the_contract_on_every_shell(tmp_path, shell):
    file = File(str(tmp_path / "a"), "text\n")
    assert_contract([file], tmp_path / "home", find_shell(shell, tmp_path / "shells"))
    destroy(file, tmp_path / "home")
    assert not (tmp_path / "a").exists()
