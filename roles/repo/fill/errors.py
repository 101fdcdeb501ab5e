"""What the user can do something about."""


class FillError(Exception):
    """A message, and what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
