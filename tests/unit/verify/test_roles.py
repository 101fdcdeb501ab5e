"""Every role says what has to hold after a deploy, in a way that a user can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tasks import ROLES

_ROLES = Path(__file__).parents[3] / "roles"


def checks(role: str) -> list[ast.FunctionDef]:
    """The checks of a role, as their text says."""
    path = _ROLES / role / "verify.py"
    if not path.is_file():
        return []
    tree = ast.parse(path.read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node for node in found if node.name.startswith("test_")]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_checks(role: str) -> None:
    assert checks(role), f"roles/{role}/verify.py has no test: say what must hold after a deploy"


@pytest.mark.parametrize("role", ROLES)
def test_a_check_says_what_holds(role: str) -> None:
    for check in checks(role):
        assert ast.get_docstring(check), f"roles/{role}/verify.py: {check.name} has no docstring"
        assert len(check.name.split("_")) > 2, f"{check.name} is no sentence"


@pytest.mark.parametrize("role", ROLES)
def test_a_check_that_fails_says_what_to_do(role: str) -> None:
    text = (_ROLES / role / "verify.py").read_text()
    assert "next: " in text or "as_declared(" in text or "one.hint" in text
