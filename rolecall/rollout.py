"""In which order, and how many at a time, the hosts of a run have their turn."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rolecall.errors import ConfigError


@dataclass(frozen=True)
class Rollout:
    """How a run goes through its hosts.

    Attributes:
        forks: hosts converged at the same time.
        serial: hosts of one wave, ``5`` or ``25%``; the next begins when it is over. Empty: all
            hosts are one wave.
        max_fail: once more hosts than this have failed, no further one begins; None: all do.
        canary: this host goes first and alone, and must pass before others begin.
    """

    forks: int = 10
    serial: str = ""
    max_fail: int | None = None
    canary: str = ""

    def __post_init__(self) -> None:
        if self.forks < 1:
            raise ConfigError(f"--forks {self.forks}: at least one host at a time")
        if self.serial and not re.fullmatch(r"[1-9]\d*%?", self.serial):
            raise ConfigError(f"--serial {self.serial!r} is not a number of hosts or a percentage")

    def waves(self, hosts: Sequence[str]) -> list[list[str]]:
        """The hosts in the groups in which they are run, in order.

        Raises:
            ConfigError: the canary is not among them.
        """
        rest = list(hosts)
        waves: list[list[str]] = []
        if self.canary:
            if self.canary not in rest:
                raise ConfigError(
                    f"--canary {self.canary} is not among the chosen hosts",
                    f"chosen are: {', '.join(hosts)}",
                )
            rest.remove(self.canary)
            waves.append([self.canary])
        size = self._wave_size(len(hosts))
        return waves + [rest[start : start + size] for start in range(0, len(rest), size)]

    def _wave_size(self, hosts: int) -> int:
        if not self.serial:
            return max(1, hosts)
        if self.serial.endswith("%"):
            return max(1, math.floor(hosts * int(self.serial[:-1]) / 100))
        return int(self.serial)

    def stops_after(self, failed: int) -> bool:
        """Whether no further host begins when this many have failed."""
        return self.max_fail is not None and failed > self.max_fail
