"""A namespace of a cluster as a target."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from rolecall.cluster.api import Api
    from rolecall.targets import Channel, Target

#: Hears a line of output of the step that is being applied.
Say = Callable[[str], None]

#: Hears how far it is: what, done, of how many (0: not known).
Tell = Callable[[str, float, float], None]

#: Hears of a job that is followed from now on: its name, and whether it ran before.
Follow = Callable[[str, bool], None]


@dataclass(frozen=True)
class ClusterTarget:
    """One namespace of one cluster. Its resources speak with :attr:`api`; it has no shell.

    Attributes:
        force_conflicts: take fields over that someone else has set.
        delete_data: volumes that are no longer wanted go too.
        say, tell, follows: what a step that takes long has to report; a run listens to them.
        stop: set when the run has been interrupted: whoever waits stops waiting.
    """

    name: str
    api: Api
    namespace: str
    force_conflicts: bool = False
    delete_data: bool = False
    say: Say = field(default=lambda _: None, compare=False)
    tell: Tell = field(default=lambda _, __, ___: None, compare=False)
    follows: Follow = field(default=lambda _, __: None, compare=False)
    stop: threading.Event = field(default_factory=threading.Event, compare=False)

    #: There is no shell that could lose its controller.
    pulse = None

    @property
    def interrupted(self) -> bool:
        """Whether the run is to end."""
        return self.stop.is_set()

    def heard_by(self, say: Say, tell: Tell, follows: Follow) -> ClusterTarget:
        """The same target for one step, which reports to these."""
        return replace(self, say=say, tell=tell, follows=follows)

    def open_shell(self) -> Channel:
        """There is none. Raises ``RolecallError``."""
        self._refuse()

    def upload(self, source: Path, destination: str, mode: str) -> None:
        """There is no file system. Raises ``RolecallError``."""
        self._refuse()

    def forward(self, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A cluster has no loopback: ports are forwarded to a pod. Raises ``RolecallError``."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RolecallError(
            f"{self.name} is a cluster: it has no shell",
            "this is for hosts; name some with --hosts",
        )


def cluster_of(target: Target) -> ClusterTarget:
    """``target``, which a resource of clusters is applied to.

    Raises:
        RolecallError: it is a host.
    """
    if isinstance(target, ClusterTarget):
        return target
    raise RolecallError(
        f"{target.name} is no cluster", "k8s_context in the inventory makes a host one"
    )
