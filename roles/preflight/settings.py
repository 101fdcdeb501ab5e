"""Settings of the role ``preflight``."""

from typing import Literal

from rolecall.api import Settings


class Preflight(Settings):
    """Settings of the role ``preflight``."""

    accept: Literal["fits", "tight", "does not fit"] = "tight"
    """The worst verdict that a deploy goes on with. ``tight``: estimates leave little room, or
    fewer requests than the batch fit at once at full length. ``does not fit`` goes on whatever
    the figures say; what cannot be at all (a driver too old, too few GPUs) is still refused."""
