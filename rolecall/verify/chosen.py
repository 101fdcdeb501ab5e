"""Which hosts are verified, with which settings: found out once in every process of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rolecall.cli.flags import Flags, choose_roles
from rolecall.cli.login import Login
from rolecall.cli.project import Project
from rolecall.cluster.run import host_of
from rolecall.cluster.target import ClusterTarget
from rolecall.resource import Change, Resource, Skip
from rolecall.role import Host, Kind, Role
from rolecall.run import HostPlan, declare
from rolecall.shell_run import looking
from rolecall.targets import Target
from rolecall.verify.cluster import ClusterView
from rolecall.verify.cluster_backend import ClusterBackend
from rolecall.verify.host_backend import HostBackend


@dataclass(frozen=True)
class Machine:
    """A host or cluster that is open for checks.

    Attributes:
        described: the host as roles see it: its facts and settings.
        backend: what testinfra runs commands with.
        cluster: what is in the namespace; None for a host with a shell.
    """

    target: Target
    described: Host
    backend: HostBackend | ClusterBackend
    cluster: ClusterView | None = None

    def forward(self, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A local address that leads to a port of the host; on a cluster, of a serving pod."""
        if isinstance(self.backend, ClusterBackend):
            return self.backend.forward(port)
        return self.target.forward(port)

    def differences(self, wanted: Iterable[Resource | Skip]) -> dict[str, tuple[Change, ...]]:
        """What a deploy would change of ``wanted``, by id."""
        if self.cluster is not None:
            return self.cluster.differences(wanted)
        assert isinstance(self.backend, HostBackend)
        return self.backend.differences(wanted)


class Chosen:
    """The chosen hosts of a project, and the roles whose checks are wanted."""

    def __init__(self, project: Project, flags: Flags) -> None:
        """Read the inventory and the settings.

        Raises:
            ConfigError: one of them, or an option, is wrong.
        """
        self._project = project
        self._flags = flags
        self.roles: list[Role[Any]] = project.load_roles(choose_roles(project.roles, flags))
        self.plans: dict[str, HostPlan] = {
            plan.target.name: plan for plan in project.host_plans(flags)
        }

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self._project.root

    def names(self, kind: Kind | None = None) -> list[str]:
        """The chosen hosts, of one kind or all."""
        return [name for name, plan in self.plans.items() if kind in (None, _kind(plan))]

    def files(self) -> Iterator[Path]:
        """Where checks are: beside every role that is meant for a chosen host, and the user's."""
        for role in self.roles:
            path = self.root / "roles" / role.name / "verify.py"
            if self.names(role.on) and path.is_file():
                yield path
        own = self.root / "verify"
        if not (self._flags.tags or self._flags.skip_tags) and any(own.glob("**/test_*.py")):
            yield own

    @contextmanager
    def open(self, name: str) -> Iterator[Machine]:
        """Connect to a host.

        Raises:
            RolecallError: it cannot be reached.
        """
        plan = self.plans[name]
        if isinstance(plan.target, ClusterTarget):
            host = host_of(plan)
            declared = [one for _, one in declare(self._project.load_roles())(host)]
            backend = ClusterBackend(plan.target, declared)
            yield Machine(plan.target, host, backend, ClusterView(plan.target))
            return
        with looking(plan, _nothing, self._project.facts_cache()) as (session, opened):
            backend_of_host = HostBackend(session, opened.dialect)
            yield Machine(plan.target, opened.host, backend_of_host)

    def packed(self) -> dict[str, Any]:
        """What another process needs to choose the same, as plain data. It may hold passwords."""
        flags = asdict(self._flags)
        flags["login"] = {
            name: [str(key) for key in value] if isinstance(value, tuple) else _plain(value)
            for name, value in flags["login"].items()
        }
        flags["set"] = list(flags["set"])
        flags["fab_hosts"] = list(flags["fab_hosts"])
        return {"root": str(self.root), "roles": list(self._project.roles), "flags": flags}

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> Chosen:
        """The same choice, in another process."""
        flags = dict(packed["flags"])
        login = dict(flags.pop("login"))
        login["key_files"] = tuple(login["key_files"])
        login["ssh_config"] = Path(login["ssh_config"]) if login["ssh_config"] else None
        flags["fab_hosts"] = tuple(flags["fab_hosts"])
        project = Project(Path(packed["root"]), tuple(packed["roles"]))
        return cls(project, Flags(**flags, login=Login(**login)))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _kind(plan: HostPlan) -> Kind:
    return "cluster" if isinstance(plan.target, ClusterTarget) else "host"


def _nothing(_: Host) -> Sequence[Any]:
    """Checks ask for themselves: no resource is probed beforehand."""
    return ()
