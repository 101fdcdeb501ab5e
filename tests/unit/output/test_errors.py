from __future__ import annotations

import json
from pathlib import Path

import pytest

from rolecall.errors import ConfigError, RolecallError
from rolecall.output.errors import log_traceback, present
from tests.unit.output.support import EncodedText

ERROR = ConfigError("all.yaml:3: there is no setting engine.modle", "did you mean model?")


class Terminal(EncodedText):
    def isatty(self) -> bool:
        return True


def test_an_error_says_what_was_wrong_and_what_to_do_next() -> None:
    err = EncodedText()
    present(ERROR, err=err)
    assert err.getvalue() == (
        "error: all.yaml:3: there is no setting engine.modle\n  next: did you mean model?\n"
    )


def test_an_error_without_a_hint_is_one_line() -> None:
    err = EncodedText()
    present(RolecallError("broken"), err=err)
    assert err.getvalue() == "error: broken\n"


def test_an_error_is_coloured_only_on_a_terminal_that_can() -> None:
    shown = {}
    for name, environ in {"colour": {"TERM": "xterm"}, "plain": {"TERM": "dumb"}}.items():
        err = Terminal()
        present(ERROR, err=err, environ=environ)
        shown[name] = "\x1b[" in err.getvalue()
    assert shown == {"colour": True, "plain": False}


def test_in_json_mode_an_error_is_an_event_on_standard_output() -> None:
    out = EncodedText()
    present(ERROR, json=True, out=out)
    event = json.loads(out.getvalue())
    assert event.pop("at")
    assert event == {"event": "error", "message": ERROR.message, "hint": ERROR.hint}


def test_an_error_with_control_characters_and_endless_lines_is_tame() -> None:
    err = EncodedText("ascii")
    present(RolecallError("bad\x1b[2J \x07\nsecond ü" + "x" * 10_000), err=err)
    first, second = err.getvalue().splitlines()
    assert first == "error: bad \\x07"
    assert len(second) < 700


def crash() -> BaseException:
    try:
        raise ValueError("login with hunter2 and hunter failed")
    except ValueError as error:
        return error


def test_a_traceback_goes_to_a_private_file_and_the_user_is_told_where(tmp_path: Path) -> None:
    err = EncodedText()
    log_traceback(crash(), tmp_path / "logs", secrets=["hunter", "hunter2", ""], err=err)
    (path,) = (tmp_path / "logs").iterdir()
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in text
    assert "hunter" not in text + err.getvalue()
    assert str(path) in err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert err.getvalue().count("\n") == 2


def test_a_defect_in_code_of_the_project_is_named_with_its_line(tmp_path: Path) -> None:
    line = crash.__code__.co_firstlineno + 2
    err = EncodedText()
    log_traceback(crash(), tmp_path / "logs", err=err)
    said, following = err.getvalue().splitlines()
    assert said.startswith("error: unexpected ValueError: login with")
    assert said.endswith(f"test_errors.py:{line}")
    assert "mend " in following
    assert "of Rolecall" not in following


def test_a_defect_that_no_code_of_the_project_took_part_in_is_rolecalls(tmp_path: Path) -> None:
    err = EncodedText()
    log_traceback(ValueError("out of the blue"), tmp_path / "logs", err=err)
    assert err.getvalue().startswith("error: unexpected ValueError: out of the blue\n")
    assert "this is a defect of Rolecall; its traceback is in" in err.getvalue()


def test_a_syntax_error_is_named_where_it_stands(tmp_path: Path) -> None:
    err = EncodedText()
    try:
        compile("def f(:\n", "roles/x/role.py", "exec")
    except SyntaxError as error:
        log_traceback(error, tmp_path / "logs", err=err)
    assert "mend roles/x/role.py:1; " in err.getvalue()


def test_a_traceback_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    err = EncodedText()
    log_traceback(crash(), tmp_path / "file", err=err)
    assert "could not be kept" in err.getvalue()


def test_a_reader_that_went_away_does_not_turn_one_error_into_another() -> None:
    class Closed(EncodedText):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    present(ERROR, err=Closed())


def test_present_writes_to_the_real_streams(capsys: pytest.CaptureFixture[str]) -> None:
    present(ERROR)
    assert capsys.readouterr().err.startswith("error: ")
