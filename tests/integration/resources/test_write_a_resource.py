"""The example of docs/write-a-resource.md does what the page says."""

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.support import SHELLS, assert_contract, converge, destroy, find_shell

PAGE = Path(__file__).parents[3] / "docs/write-a-resource.md"


@pytest.fixture
def example(monkeypatch) -> dict[str, Any]:
    """The page's code, as a module that has what its test needs."""
    module = types.ModuleType("line_from_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = module.__dict__
    names.update(assert_contract=assert_contract, destroy=destroy)
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
    return names


def test_the_example_passes_its_own_test(example, tmp_path):
    example["test_line"](tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_example_meets_the_contract_on_every_shell(example, tmp_path, shell):
    path = tmp_path / "a file"
    path.write_text("one\n")
    line = example["Line"](str(path), "-e two\\")
    assert_contract([line], tmp_path / "home", find_shell(shell, tmp_path))
    assert path.read_text() == "one\n-e two\\\n"


def test_the_example_refuses_without_a_file(example, tmp_path):
    line = example["Line"](str(tmp_path / "none"), "x")
    result = converge([line], tmp_path / "home", check=True)
    assert result.outcomes == {line.id: "failed"}
    assert "declare File(" in result.reason(line)
