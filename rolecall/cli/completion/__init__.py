"""Completion of command lines in bash, zsh and fish.

A shell's script hands over the line up to the cursor (``./inv --complete -- LINE``) and gets one
candidate a line, with a tab and a description behind it; or :data:`FILES`, where it completes
files itself. The candidates are whole words.
"""

from __future__ import annotations

from pathlib import Path

#: The only answer where the shell is to complete names of files.
FILES = ":files"

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """What a shell needs to know; one of :data:`SHELLS`."""
    return (Path(__file__).parent / f"{shell}.completion").read_text(encoding="utf-8")
