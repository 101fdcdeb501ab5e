import subprocess
import sys
from pathlib import Path

import pytest

from rolecall.resources.venv import Venv
from tests.support import (
    SHELLS,
    assert_contract,
    converge,
    converge_killed,
    destroy,
    find_shell,
    settled,
)

#: The interpreter that runs the tests, not the environment it may live in.
PYTHON = str(Path(sys.base_prefix) / "bin/python3")
RELEASE = f"3.{sys.version_info.minor}"


def fake_python(folder: Path, body: str) -> str:
    path = folder / "python-of-the-host"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_an_environment_is_made_once_works_and_goes(tmp_path, shell):
    home, path = tmp_path / "home", tmp_path / "it's $(here)"
    venv = Venv(str(path), python=PYTHON, below="3.99")
    assert_contract([venv], home, find_shell(shell, tmp_path))
    done = subprocess.run([path / "bin/python", "-m", "pip", "--version"], capture_output=True)
    assert done.returncode == 0
    destroy(venv, home)
    assert not path.exists()


def test_looking_starts_no_python_when_all_is_well(tmp_path):
    log = tmp_path / "log"
    python = fake_python(tmp_path, f'echo started >>{log}\nexec {PYTHON} "$@"')
    venv = Venv(str(tmp_path / "venv"), python=python, below="3.99")
    converge([venv], tmp_path / "home")
    log.write_text("")
    settled([venv], tmp_path / "home")
    assert log.read_text() == ""


@pytest.mark.parametrize("file", [".rolecall/unfinished", "bin/pip"])
def test_a_killed_build_is_made_anew(tmp_path, file):
    venv = Venv(str(tmp_path / "venv"), python=PYTHON, below="3.99")
    home = tmp_path / "home"
    assert converge_killed([venv], home, lambda: (tmp_path / "venv" / file).exists())
    after = converge([venv], home)
    assert after.outcomes[venv.id] in {"changed", "ok"}, after.reason(venv)
    settled([venv], home)


def test_an_environment_whose_interpreter_went_away_is_made_anew(tmp_path):
    venv = Venv(str(tmp_path / "venv"), python=PYTHON, below="3.99")
    converge([venv], tmp_path / "home")
    python = tmp_path / "venv/bin/python"
    python.unlink()
    python.symlink_to(tmp_path / "gone/python3")
    assert_contract([venv], tmp_path / "home")


def test_an_environment_of_an_unsupported_python_is_not_taken_for_good(tmp_path):
    venv = Venv(str(tmp_path / "venv"), python=PYTHON, below="3.99")
    converge([venv], tmp_path / "home")
    strict = Venv(str(tmp_path / "venv"), python=PYTHON, minimum="3.98", below="3.99")
    result = converge([strict], tmp_path / "home", check=True)
    assert f"is Python {RELEASE}; Python 3.98 or newer" in result.reason(strict)


def test_what_is_missing_on_the_host_is_named(tmp_path):
    none = Venv(str(tmp_path / "venv"), python="python-that-is-not-there")
    no_pip = Venv(
        str(tmp_path / "venv"),
        python=fake_python(tmp_path, "echo base_python=3.12; echo base_venv=no"),
    )
    for venv, words in ((none, "the host has no"), (no_pip, "python3-venv")):
        for check in (True, False):
            result = converge([venv], tmp_path / "home", check=check)
            assert result.outcomes[venv.id] == "failed"
            assert words in result.reason(venv)
    assert not (tmp_path / "venv").exists()


def test_something_else_at_the_path_is_refused(tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/precious").write_text("x")
    venv = Venv(str(tmp_path / "venv"), python=PYTHON, below="3.99")
    result = converge([venv], tmp_path / "home")
    assert "not a virtual environment" in result.reason(venv)
    assert (tmp_path / "venv/precious").exists()
