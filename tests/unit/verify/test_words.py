"""What is told of a check that does not hold."""

from __future__ import annotations

import pytest

from rolecall.errors import RolecallError
from rolecall.resource import Change
from rolecall.verify.told import explained, is_explained, told


class Item:
    """What is asked of pytest's."""

    location = ("roles/note/verify.py", 6, "test_it")


def test_differences_are_told_with_both_values() -> None:
    changes = {"file:/x": (Change("mode", "644", "600"), Change("text", None, ""))}
    assert told(changes) == (
        '  file:/x: mode: 644 (should be 600)\n  file:/x: text: nothing (should be "")'
    )


def test_an_error_of_rolecall_is_told_with_its_hint() -> None:
    error = RolecallError("it is so", "do that")
    assert is_explained(error)
    said = explained(error, Item())  # type: ignore[arg-type]
    assert said == "it is so\nnext: do that\n(roles/note/verify.py:7)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it is so\nnext: do that", "it is so\nnext: do that\n(roles/note/verify.py:7)"),
        ("it is so\nassert 1 == 2", "it is so\n(roles/note/verify.py:7)"),
    ],
)
def test_an_assertion_is_told_without_what_pytest_adds(text: str, words: str) -> None:
    assert is_explained(AssertionError(text))
    assert explained(AssertionError(text), Item()) == words  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [AssertionError("assert 1 == 2"), AssertionError(), KeyError(1)])
def test_an_error_without_words_is_left_to_pytest(error: Exception) -> None:
    assert not is_explained(error)
