"""A run: roles on hosts. Connects, asks for facts, and lets the loop converge or predict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rolecall import __version__
from rolecall.errors import ConfigError, RolecallError, UnreachableError, unforeseen
from rolecall.events import (
    Connecting,
    HostDone,
    Message,
    Outcome,
    Recap,
    ResourceDone,
    RunStarted,
    SettingsKnown,
    SettingValue,
    Stream,
    WaveStarted,
)
from rolecall.facts import FactsCache
from rolecall.lock import person
from rolecall.masks import secrets_in, settings_of
from rolecall.resource import Resource, Skip
from rolecall.role import Host, Role
from rolecall.rollout import Rollout
from rolecall.settings import Resolved, RunnerSettings, Settings
from rolecall.sudo import SudoPassword
from rolecall.targets import Target
from rolecall.turns import SideBySide


@dataclass(frozen=True)
class HostPlan:
    """One host of a run: how to reach it, what its settings are, how to become root there.

    ``facts`` are the texts that ask for the facts which the project's roles bring; ``resolved``
    tells of each role where its settings came from.
    """

    target: Target
    settings: dict[str, Settings]
    sudo_password: SudoPassword | None = None
    facts: tuple[str, ...] = ()
    resolved: Mapping[str, Resolved] = field(default_factory=dict)

    @property
    def keep_runs(self) -> int:
        """How many runs stay on record."""
        return self._runner.keep_runs

    @property
    def secrets(self) -> Iterator[str]:
        """Every secret among the settings."""
        for settings in self.settings.values():
            yield from secrets_in(settings)
        for resolved in self.resolved.values():
            yield from resolved.secrets.values()

    @property
    def home(self) -> str:
        """Rolecall's own directory there, as set; ``~`` is the host's to expand."""
        return self._runner.home

    @property
    def _runner(self) -> RunnerSettings:
        runner = self.settings["rolecall"]
        assert isinstance(runner, RunnerSettings)
        return runner


@dataclass(frozen=True)
class Options:
    """How to run: ``check`` writes nothing, ``diff`` shows texts.

    ``command`` begins such a run again; no secret is in it. ``drift``, with ``check``: nothing is
    going to be run, so every resource is told of, also behind one that would be refused, no
    cluster is asked whether it would allow a change, and who is at work there is told.
    """

    task: str
    check: bool = False
    diff: bool = False
    lock_wait: float = 0.0
    command: str = ""
    drift: bool = False


#: Kinds named by the path that is theirs.
_AT_A_PATH = frozenset({"absent", "directory", "download", "file", "symlink", "template"})

#: What to converge on a host, given its facts and settings: role name and resource, in order.
Declare = Callable[[Host], Sequence[tuple[str, Resource | Skip]]]


def declare(roles: Sequence[Role[Any]]) -> Declare:
    """The resources of ``roles``, with every identity checked to be unique."""

    def resources(host: Host) -> list[tuple[str, Resource | Skip]]:
        result: list[tuple[str, Resource | Skip]] = []
        owners: dict[str, tuple[str, str]] = {}
        meant = [role for role in roles if role.on == host.kind]
        if roles and not meant:
            raise _not_for(roles, host)
        for role in meant:
            for resource in role.resources(host):
                for identity in _identities(resource.id):
                    if owner := owners.get(identity):
                        raise _twice(owner, (role.name, resource.id))
                    owners[identity] = (role.name, resource.id)
                result.append((role.name, resource))
        return result

    return resources


def _identities(id_: str) -> Iterator[str]:
    """What no other resource may have: the id, and the path of one that is all that is there."""
    yield id_
    kind, _, name = id_.partition(":")
    if kind in _AT_A_PATH:
        yield name


def _twice(owner: tuple[str, str], other: tuple[str, str]) -> ConfigError:
    (role, id_), (other_role, other_id) = owner, other
    if id_ != other_id:
        roles = f"role {role}" if role == other_role else f"roles {role} and {other_role}"
        return ConfigError(
            f"{id_} and {other_id} of {roles} are about the same path",
            "every run would undo the one and do the other: leave one of them out",
        )
    if role == other_role:
        return ConfigError(f"role {role} declares {id_} twice", "leave one of them out")
    return ConfigError(
        f"{id_} is declared twice: by role {role} and by role {other_role}",
        "a resource has one owner: let the other role rely on it",
    )


def _not_for(roles: Sequence[Role[Any]], host: Host) -> ConfigError:
    names = ", ".join(role.name for role in roles)
    if host.kind == "cluster":
        return ConfigError(
            f"{host.name} is a cluster, and {names} is for hosts",
            f"./inv deploy --hosts {host.name}: there a job on the cluster does that",
        )
    return ConfigError(
        f"{host.name} is a host, and {names} is for clusters",
        "--hosts names another; k8s_context in the inventory makes a host a cluster",
    )


def thorough(what: Declare) -> Declare:
    """The same resources, with probes that read contents where they usually trust times."""

    def resources(host: Host) -> list[tuple[str, Resource | Skip]]:
        return [
            (role, item.thorough() if isinstance(item, Resource) else item)
            for role, item in what(host)
        ]

    return resources


def new_run_id() -> str:
    """A name for a run that sorts by time: ``20261122-131203-4f2a``.

    The last four digits are the part of the second, in steps of 15 µs: two runs that begin within
    one have names in their order, and runs of several people hardly ever the same.
    """
    seconds, part = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(seconds))}-{(part << 16) // 10**9:04x}"


def settings_known(plans: Sequence[HostPlan]) -> list[SettingsKnown]:
    """The settings of every role, those that several hosts share told once."""
    hosts: dict[tuple[str, tuple[SettingValue, ...]], list[str]] = {}
    for plan in plans:
        for role, resolved in plan.resolved.items():
            values = tuple(SettingValue(*told) for told in settings_of(resolved))
            if values:
                hosts.setdefault((role, values), []).append(plan.target.name)
    return [
        SettingsKnown("", tuple(names), role, values) for (role, values), names in hosts.items()
    ]


@dataclass(frozen=True)
class HostResult:
    """What came of one host.

    Attributes:
        host: how roles see it; None if it never answered.
        defect: an exception that nobody foresaw.
    """

    target: Target
    host: Host | None
    defect: Exception | None = None


#: What the canary must pass besides its own run; raises ``RolecallError`` if it does not.
Gate = Callable[[HostResult], None]


def run_hosts(
    plans: Sequence[HostPlan],
    what: Declare,
    options: Options,
    stream: Stream,
    cache: FactsCache,
    run_id: str,
    rollout: Rollout = Rollout(),  # noqa: B008 - frozen
    gate: Gate | None = None,
) -> list[HostResult]:
    """Run on every host, wave by wave; a host that fails never hides or stops another.

    Hosts that get no turn because too many failed, because the canary did, or because of an
    interrupt, are reported as ``skipped``. The results are in the order of ``plans``.

    Raises:
        KeyboardInterrupt: after the hosts were let go; detached jobs go on.
        ConfigError: there is one host, and its roles cannot be had there.
        Exception: a defect showed on a host; the others of its wave came to their end.
    """
    names = tuple(plan.target.name for plan in plans)
    by_name = {plan.target.name: plan for plan in plans}
    waves = rollout.waves(names)
    stream.hide(secret for plan in plans for secret in plan.secrets)
    stream.emit(
        RunStarted(
            "",
            run_id,
            options.task,
            options.check,
            names,
            person(),
            __version__,
            options.command,
        )
    )
    for known in settings_known(plans):
        stream.emit(known)
    results: dict[str, HostResult] = {}
    begun: set[str] = set()
    stopped = ""
    try:
        for number, wave in enumerate(waves):
            if stopped:
                break
            stream.emit(WaveStarted("", number + 1, len(waves), tuple(wave)))
            runs = [
                HostRun(by_name[name], what, options, stream, cache, run_id, len(names) == 1)
                for name in wave
            ]
            for result in _run_wave(runs, rollout, stream, begun):
                results[result.target.name] = result
            if defect := next((r.defect for r in results.values() if r.defect), None):
                stopped = "after a defect showed"
                raise defect
            stopped = _why_stop(rollout, stream.recap)
            if rollout.canary and number == 0 and not stopped:
                stopped = _canary_trouble(results[rollout.canary], stream, gate)
    except KeyboardInterrupt:
        stopped = "interrupted before its turn"
        raise
    finally:
        for name in names:
            if stopped and name not in begun:
                stream.emit(ResourceDone(name, "", "host", "skipped", reason=stopped))
    return [results[name] for name in names if name in results]


def _run_wave(
    runs: Sequence[HostRun], rollout: Rollout, stream: Stream, begun: set[str]
) -> list[HostResult]:
    """Run hosts side by side; once too many have failed, those that have not begun do not."""

    def said(names: Sequence[str]) -> None:
        hosts = f"letting go of {', '.join(names)}; " if names else ""
        jobs = "detached jobs go on; Ctrl-C again leaves at once"
        stream.emit(Message("", f"interrupted: {hosts}{jobs}", "warning"))

    try:
        return SideBySide(
            runs, rollout.forks, lambda: not _why_stop(rollout, stream.recap), said
        ).run()
    finally:
        begun.update(run.name for run in runs if run.begun)


def _why_stop(rollout: Rollout, recap: Recap) -> str:
    failed = [name for name, counts in recap.hosts.items() if counts.bad]
    if rollout.stops_after(len(failed)):
        who = ", ".join(failed) if len(failed) <= 3 else f"{len(failed)} hosts"
        return f"after {who} failed (--max-fail {rollout.max_fail})"
    return ""


def _canary_trouble(canary: HostResult, stream: Stream, gate: Gate | None) -> str:
    """Why nothing may follow the canary; empty when it passed."""
    name = canary.target.name
    counts = stream.recap.of(name)
    if not (counts.failed or counts.unreachable) and gate:
        try:
            gate(canary)
        except RolecallError as error:
            stream.emit(
                ResourceDone(name, "", "canary", "failed", reason=error.message, hint=error.hint)
            )
    return f"after the canary {name} failed" if counts.failed or counts.unreachable else ""


class Work(Protocol):
    """What a run does on one host, in the way that this kind of host takes.

    Attributes:
        host: how roles see it, once it has answered.
        exchanges: round trips so far.
    """

    host: Host | None

    @property
    def exchanges(self) -> int:
        """Round trips so far."""

    def run(self) -> None:
        """Predict or converge. Raises ``RolecallError``."""

    def interrupt(self) -> None:
        """Let go of the host: its lock is given up, long work there goes on."""

    def close(self) -> None:
        """End the connection."""


class HostRun:
    """One host's part of a run."""

    def __init__(
        self,
        plan: HostPlan,
        what: Declare,
        options: Options,
        stream: Stream,
        cache: FactsCache,
        run_id: str,
        alone: bool = True,
    ) -> None:
        self._plan = plan
        self._stream = stream
        self._alone = alone
        self._interrupted = False
        self._over = False
        self._work = _work(plan, what, options, stream, cache, run_id)
        self.name = self._name = plan.target.name
        self.begun = False

    def run(self) -> HostResult:
        """Run, and turn what goes wrong into events of this host.

        Raises:
            BrokenPipeError: nobody reads the output any more.
            ConfigError: the roles cannot be had there, and this is the only host.
            UnreachableError: the run was interrupted.
        """
        self.begun = True
        started = time.monotonic()
        error: RolecallError | None = None
        defect: Exception | None = None
        try:
            self._stream.emit(Connecting(self._name))
            self._work.run()
        except BrokenPipeError:
            self.interrupt()
            raise
        except RolecallError as caught:
            if self._interrupted or (self._alone and isinstance(caught, ConfigError)):
                raise
            error = caught
            unreachable = isinstance(caught, UnreachableError)
            self._failed("unreachable" if unreachable else "failed", caught)
        except Exception as caught:
            if self._interrupted:
                raise
            defect = caught
            error = RolecallError(unforeseen(caught))
            self._failed("failed", error)
        except BaseException:
            self.interrupt()
            raise
        finally:
            self._over = True
            self._work.close()
        self._stream.emit(
            HostDone(
                self._name,
                self._work.exchanges,
                time.monotonic() - started,
                error.message if error else "",
                error.hint if error else "",
            )
        )
        return HostResult(self._plan.target, self._work.host, defect)

    def interrupt(self) -> None:
        """Let go of the host: its lock is given up, detached jobs go on."""
        self._interrupted = True
        if self._plan.sudo_password:
            self._plan.sudo_password.withdraw()
        if not self._over:
            self._work.interrupt()

    def _failed(self, outcome: Outcome, error: RolecallError) -> None:
        self._stream.emit(
            ResourceDone(self._name, "", "host", outcome, reason=error.message, hint=error.hint)
        )


def _work(
    plan: HostPlan,
    what: Declare,
    options: Options,
    stream: Stream,
    cache: FactsCache,
    run_id: str,
) -> Work:
    from rolecall.cluster.target import ClusterTarget

    if isinstance(plan.target, ClusterTarget):
        from rolecall.cluster.run import ClusterRun

        return ClusterRun(plan, what, options, stream.emit, run_id)
    from rolecall.shell_run import ShellRun

    return ShellRun(plan, what, options, stream, cache, run_id)
