"""The one error of the engine build that its user is meant to read."""

from __future__ import annotations


class BuildError(Exception):
    """The input or the machine does not allow the build; the text is one line and says why."""
