"""What the pages say that Rolecall says stands in the code, and what they rely on is tested."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
MESSAGES = re.findall(r"“([^”]+)”", PAGE)
PROOFS = sorted(set(re.findall(r"<!-- test: (\S+) -->", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "| you see" not in line]


@cache
def texts() -> dict[str, str]:
    """The code and the version matrix, each string in one piece however it was broken up."""
    found = {}
    for folder in ("rolecall", "roles", "docker"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sh", ".yaml"} and path.is_file():
                text = re.sub(r"""["']\s*\n\s*f?["']""", "", path.read_text())
                found[path.relative_to(ROOT).as_posix()] = " ".join(text.split())
    return found


def said_by(message: str) -> list[str]:
    """The files that have every part of a message, in its order."""
    parts = [" ".join(part.split()) for part in message.split("…") if part.strip(" .,;:")]
    pattern = re.compile(".{0,2000}?".join(map(re.escape, parts)))
    return [name for name, text in texts().items() if pattern.search(text)]


def test_there_are_messages():
    assert len(MESSAGES) > 20
    assert len(ROWS) > 25


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_of_the_page_stands_in_the_code(message):
    assert said_by(message), f"nobody says {message!r} any more: change docs/troubleshooting.md"


def test_a_message_that_nobody_prints_is_found():
    assert not said_by("the flux … is discharged")


@pytest.mark.parametrize("proof", PROOFS)
def test_every_row_has_a_test_that_there_is(proof):
    path, _, name = proof.partition("::")
    text = (ROOT / path).read_text()
    assert not name or f"def {name}(" in text


def test_no_row_is_without_a_test():
    assert [row[:60] for row in ROWS if "<!-- test: " not in row] == []


@pytest.mark.parametrize(
    "message",
    re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "remote-hosts.md").read_text(), re.MULTILINE),
)
def test_the_messages_of_hosts_over_ssh_stand_in_the_code(message):
    if message.startswith(("-", "ansible_")):
        return  # the table of options
    assert said_by(message), message
