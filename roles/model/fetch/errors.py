"""What a fetch tells its user when it cannot go on."""

from __future__ import annotations


class FetchError(Exception):
    """Why it cannot go on, in one line or a few, and what to do about it."""

    def __init__(self, message: str, *steps: str) -> None:
        super().__init__(message)
        self.message = message
        self.steps = steps

    def __str__(self) -> str:
        return "\n".join([f"error: {self.message}", *(f"  next: {step}" for step in self.steps)])


class MissingFileError(FetchError):
    """The source lists a file and does not have it."""


class TransientError(Exception):
    """Something that may be over when it is tried again; ``cause`` is what to say if it is not."""

    def __init__(self, cause: FetchError) -> None:
        super().__init__(cause.message)
        self.cause = cause
