"""What does not hold, in the words of its check: what is wrong, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence

import pytest

from rolecall.errors import RolecallError
from rolecall.resource import Change


def told(differences: Mapping[str, Sequence[Change]]) -> str:
    """What differs from what is declared, one field a line."""
    return "\n".join(
        f"  {id_}: {change.field}: {_value(change.before)} (should be {_value(change.after)})"
        for id_, changes in differences.items()
        for change in changes
    )


def _value(text: str | None) -> str:
    return "nothing" if text is None else text or '""'


def is_explained(error: BaseException) -> bool:
    """Whether an error tells what is wrong by itself, so that nobody has to read the check."""
    if isinstance(error, RolecallError):
        return True
    return isinstance(error, AssertionError) and bool(_message(error))


def explained(error: BaseException, item: pytest.Item) -> str:
    """The words of an error, and where its check is."""
    path, line, _ = item.location
    where = f"{path}:{(line or 0) + 1}"
    if isinstance(error, RolecallError):
        lines = [error.message, *([f"next: {error.hint}"] if error.hint else [])]
        return "\n".join([*lines, f"({where})"])
    return f"{_message(error)}\n({where})"


def unreadable(error: BaseException, module: pytest.Module) -> str:
    """Why a file of checks cannot be imported, and at which of its lines."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    name = module.path.relative_to(module.config.rootpath)
    return (
        f"this file of checks cannot be read: {type(error).__name__}: {said}\n"
        f"next: put it right, or move it away; docs/verify.md has the rules\n"
        f"({name}:{_line(error, str(module.path))})"
    )


def _line(error: BaseException, path: str) -> int:
    """The line of the file at which it went wrong."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((one.lineno or 1 for one in reversed(frames) if one.filename == path), 1)


def _message(error: BaseException) -> str:
    """What an assert says behind its comma, without what pytest adds: values, and two blanks."""
    text = str(error)
    if text.startswith("assert "):
        return ""
    said, rewritten, _ = text.partition("\nassert ")
    return said.replace("\n  ", "\n") if rewritten else said
