"""The terminal as rich sees it: no markup, and nobody leaves without being told."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console


class Screen(Console):
    """A rich console that says when nobody reads any more, instead of exiting by itself."""

    def on_broken_pipe(self) -> None:
        """Called while the error is handled.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError


def screen(out: TextIO, width: int | None = None) -> Screen:
    """A console for a terminal. Nothing in a text is ever taken for markup."""
    return Screen(
        file=out,
        force_terminal=True,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
    )
