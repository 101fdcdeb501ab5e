"""Where a server is: the address that its host knows it by, and which host that is."""

from __future__ import annotations

from dataclasses import dataclass

from rolecall.api import Host, Target
from rolecall.targets.local import LocalTarget
from roles.server.service import own_url


@dataclass(frozen=True)
class Place:
    """An address and the machine on which it holds.

    Attributes:
        url: of the HTTP API, as the host itself reaches it.
        remote: whether the host is another machine than this one.
    """

    host: str
    url: str
    remote: bool

    @classmethod
    def of(cls, host: Host, target: Target) -> Place:
        """Where ``host``, reached through ``target``, serves."""
        return cls(host.name, own_url(host), not isinstance(target, LocalTarget))

    def at(self, path: str = "") -> str:
        """Such as ``http://127.0.0.1:8000/v2 on gpu-1``; this machine goes without saying."""
        return f"{self.url}{path}{f' on {self.host}' if self.remote else ''}"
