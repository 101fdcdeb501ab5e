"""A project: its roles, its inventory, and the tasks that every project has.

Heavy modules are imported inside functions: ``./inv --list`` pays for none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rolecall.cli.flags import Flags, choose_roles
from rolecall.errors import ConfigError, RolecallError, UnreachableError
from rolecall.startup import is_disk_full

if TYPE_CHECKING:
    from rolecall.cluster.run import Opened as OpenedCluster
    from rolecall.cluster.target import ClusterTarget
    from rolecall.events import Stream
    from rolecall.facts import FactsCache
    from rolecall.inventory import Inventory
    from rolecall.role import Kind, Role
    from rolecall.run import Declare, HostPlan, HostResult
    from rolecall.session import Session
    from rolecall.settings import Resolved, Settings
    from rolecall.shell_run import Opened

#: Called after a run in which nothing failed, for each host: what to tell the user. Further: the
#: options of the run, and whether it has changed anything there.
After = Callable[["HostResult", "Stream", Flags, bool], None]

A = TypeVar("A")

DEFAULT_HOSTS = "localhost"


@dataclass(frozen=True)
class Project:
    """The folder of a project and the names of its roles in the order of a deploy."""

    root: Path
    roles: tuple[str, ...]

    @property
    def state(self) -> Path:
        """The controller's own records: runs, facts of hosts, logs."""
        return self.root / ".rolecall"

    @property
    def failed(self) -> Path:
        """The hosts that the last run left to be done, one a line: ``--hosts @failed``."""
        return self.state / "failed"

    def inventory(self, flags: Flags) -> Inventory:
        """The inventory that the options name, or the project's own.

        Raises:
            ConfigError: it is missing or wrong.
        """
        from rolecall.inventory import load_inventory

        return load_inventory(Path(flags.inventory) if flags.inventory else self.root / "inventory")

    def load_roles(self, names: Sequence[str] | None = None) -> list[Role[Any]]:
        """Import roles, all or those named."""
        from rolecall.role import Roles

        return Roles(self.root / "roles", self.roles).load(names)

    def setting_types(self) -> dict[str, type[Settings]]:
        """The settings' type of every role, and of the runner itself."""
        from rolecall.settings import RunnerSettings

        types: dict[str, type[Settings]] = {"rolecall": RunnerSettings}
        return types | {role.name: role.settings for role in self.load_roles()}

    def command(self, flags: Flags, task: str, *arguments: str, hosts: str) -> str:
        """The command of another task for hosts of this invocation, with its settings.

        A setting that holds a secret is left out: the command is shown.
        """
        from rolecall.settings import Override, is_secret

        types = self.setting_types() if flags.set else {}
        kept = [text for text in flags.set if not is_secret(types, Override.parse(text).key)]
        return flags.command(task, *arguments, hosts=hosts, set=kept)

    def resolved(self, flags: Flags) -> dict[str, dict[str, Resolved]]:
        """The settings of every role on every chosen host, by host and role.

        Raises:
            ConfigError: the inventory, a setting or an option is wrong.
        """
        return self._resolved(*self._chosen(flags), flags)

    def _resolved(
        self, inventory: Inventory, names: Sequence[str], flags: Flags
    ) -> dict[str, dict[str, Resolved]]:
        from rolecall.settings import Override, resolve

        overrides = [Override.parse(text) for text in flags.set]
        types = self.setting_types()
        return {name: resolve(types, inventory.layers(name), overrides) for name in names}

    def _chosen(self, flags: Flags) -> tuple[Inventory, list[str]]:
        """The inventory, with hosts that only ``fab -H`` names, and the chosen hosts' names."""
        inventory = self.inventory(flags)
        if flags.fab_hosts:
            from rolecall.cli.reach import add_unknown

            return add_unknown(inventory, self._named(flags.fab_hosts))
        pattern = flags.hosts or DEFAULT_HOSTS
        if "@" in pattern:
            from rolecall.cli.again import with_files

            names = with_files(inventory, pattern, self.failed).match(pattern)
        else:
            names = inventory.match(pattern)
        if not names:
            raise ConfigError(f"--hosts {flags.hosts!r} matches no host of the inventory")
        return inventory, names

    def _named(self, given: Sequence[str]) -> list[str]:
        """What ``fab -H`` names, with the hosts of ``@FILE`` in its place."""
        from rolecall.cli.again import read_hosts

        parts = [read_hosts(name, self.failed) if name[0] == "@" else [name] for name in given]
        return [name for part in parts for name in part]

    def host_plans(self, flags: Flags) -> list[HostPlan]:
        """The chosen hosts, each with a way to reach it and its settings."""
        from rolecall.cli.reach import question, sudo_password, target
        from rolecall.run import HostPlan
        from rolecall.settings import RunnerSettings

        inventory, names = self._chosen(flags)
        # Of every role, not only of the chosen: a role may rely on the facts of another.
        facts = tuple(role.facts for role in self.load_roles() if role.facts)
        asked = question(names, flags)
        plans: list[HostPlan] = []
        for name, resolved in self._resolved(inventory, names, flags).items():
            settings = {role: value.settings for role, value in resolved.items()}
            runner = settings["rolecall"]
            assert isinstance(runner, RunnerSettings)
            way = target(inventory, name, flags, runner, self.state)
            password = sudo_password(inventory, name, flags, asked)
            plans.append(HostPlan(way, settings, password, facts, resolved))
        return plans

    def converge(
        self,
        task: str,
        flags: Flags,
        *,
        what: Declare | None = None,
        roles: Sequence[str] | None = None,
        plans: Sequence[HostPlan] | None = None,
        after: After | None = None,
    ) -> int:
        """Converge or predict; returns the exit status.

        ``what`` declares the resources; without it, the chosen of ``roles`` do.
        """
        from rolecall.rollout import Rollout
        from rolecall.run import Options, declare, new_run_id, run_hosts, thorough

        rollout = Rollout(
            flags.forks, flags.serial, flags.max_fail if flags.max_fail >= 0 else None, flags.canary
        )
        hosts = ",".join(flags.fab_hosts) or flags.hosts
        command = self.command(flags, task, hosts=hosts)
        options = Options(task, flags.check, flags.diff, flags.lock_wait_seconds, command)
        chosen = choose_roles(roles or self.roles, flags)
        host_plans = self.host_plans(flags) if plans is None else plans
        declared = what or declare(self.load_roles(chosen))
        if flags.verify_hashes:
            declared = thorough(declared)
        run_id = new_run_id()
        after = _timed(after) if after and not flags.check else None  # it asks what was made
        keep = max((plan.keep_runs for plan in host_plans), default=0)
        with self.stream(flags, run_id, keep) as stream:
            results = run_hosts(
                host_plans,
                declared,
                options,
                stream,
                self.facts_cache(),
                run_id,
                rollout,
                gate=(lambda result: after(result, stream, flags, True)) if after else None,
            )
            recap = stream.recap
            if after:
                passed = [result for result in results if not recap.of(result.target.name).bad]
                rest = [result for result in passed if result.target.name != flags.canary]
                _afterwards(after, rest, stream, flags)
        if recap.failed:
            return 1
        return 2 if flags.detailed_exitcode and recap.changed else 0

    def facts_cache(self) -> FactsCache:
        """What the controller remembers of its hosts."""
        from rolecall.facts import FactsCache

        return FactsCache(self.state / "facts")

    @contextmanager
    def stream(self, flags: Flags, run_id: str, keep: int) -> Iterator[Stream]:
        """The event stream of one run, with the listeners the options ask for.

        ``keep`` is how many runs stay on record, this one included.
        """
        from invoke.exceptions import Exit

        from rolecall.cli.again import FAILED, Remaining
        from rolecall.events import Ending, Remain, RunDone, Stream
        from rolecall.output import Mode, listeners
        from rolecall.output.errors import present

        mode: Mode = "json" if flags.json else "auto"
        remaining = Remaining(self.failed)
        shown = listeners(mode, int(flags.verbose), self.state / "runs", run_id, keep)
        stream = Stream([remaining, *shown])
        began = time.monotonic()
        ended: Ending = "finished"
        reason = hint = ""
        try:
            yield stream
        except RolecallError as error:
            ended, reason, hint = "stopped", error.message, error.hint
            if not flags.json:
                raise
            present(error, json=True)  # in front of the recap, which is the last line
            raise Exit(code=error.exit_code) from error
        except KeyboardInterrupt as error:
            ended = "interrupted"
            if not (remaining.is_fleet and remaining.hosts):
                raise
            hint = self.command(flags, remaining.task, hosts=FAILED)
            raise Exit(f"interrupted\n  next: {hint}", code=130) from error
        except BrokenPipeError:
            ended, reason = "stopped", "nobody reads its output any more"
            raise
        except Exit:
            raise
        except Exception as error:
            ended, reason = "stopped", f"unexpected {type(error).__name__}: {error}"
            raise
        finally:
            with suppress(BrokenPipeError):
                if remaining.is_fleet and remaining.hosts:
                    command = self.command(flags, remaining.task, hosts=FAILED)
                    stream.emit(Remain("", remaining.hosts, command))
                if stream.begun:
                    stream.emit(RunDone("", ended, time.monotonic() - began, reason, hint))
            stream.finish()

    def look(
        self,
        flags: Flags,
        what: Declare | None = None,
        only: str = "",
        *,
        machines: bool = False,
    ) -> Iterator[tuple[Session, Opened]]:
        """Open each chosen host for reading, one after the other; or ``only`` one of them.

        ``machines``: clusters are passed over.

        Raises:
            RolecallError: a host could not be asked; with several, after all the others.
        """
        from rolecall.cluster.target import ClusterTarget
        from rolecall.output.errors import present
        from rolecall.shell_run import looking

        declared = what or self.declared(flags)
        plans = [plan for plan in self.host_plans(flags) if only in ("", plan.target.name)]
        if machines:
            plans = [plan for plan in plans if not isinstance(plan.target, ClusterTarget)]
        silent: list[str] = []
        for plan in plans:
            try:
                with looking(plan, declared, self.facts_cache()) as seen:
                    yield seen
            except UnreachableError as error:  # noqa: PERF203 - the others are asked all the same
                if len(plans) == 1:
                    raise
                present(error)
                silent.append(plan.target.name)
        if silent:
            raise RolecallError(f"{len(silent)} of {len(plans)} hosts: no answer")

    def declared(self, flags: Flags) -> Declare:
        """What the chosen roles declare."""
        from rolecall.run import declare

        return declare(self.load_roles(choose_roles(self.roles, flags)))

    def ask(
        self,
        flags: Flags,
        question: Callable[[Session, Opened], A],
        *,
        on_cluster: Callable[[ClusterTarget, OpenedCluster], A] | None = None,
        roles: bool = False,
        cluster_roles: bool = False,
    ) -> tuple[dict[str, A], dict[str, RolecallError]]:
        """Ask all chosen hosts side by side; their answers, and the errors of the others.

        ``on_cluster`` is asked of those that are clusters; without it, that is an error of
        theirs. ``roles``: each host is opened with what the roles declare and what its probes
        say; ``cluster_roles``: each cluster.

        Raises:
            RolecallError: there is one host, and it could not be asked.
        """
        from rolecall.turns import SideBySide

        plans = self.host_plans(flags)
        nothing: Declare = lambda _: []  # noqa: E731
        everything = self.declared(flags) if roles or cluster_roles else nothing
        what: dict[Kind, Declare] = {
            "host": everything if roles else nothing,
            "cluster": everything,
        }
        cache = self.facts_cache()
        asked = [_Asked(plan, question, on_cluster, what, cache) for plan in plans]
        said = dict(SideBySide(asked, flags.forks).run())
        answers: dict[str, A] = {}
        errors: dict[str, RolecallError] = {}
        for plan in plans:
            answer = said[plan.target.name]
            if not isinstance(answer, RolecallError):
                answers[plan.target.name] = answer
            elif len(plans) == 1:
                raise answer
            else:
                errors[plan.target.name] = answer
        return answers, errors


class _Asked(Generic[A]):
    """One host that is asked, side by side with others."""

    def __init__(
        self,
        plan: HostPlan,
        question: Callable[[Session, Opened], A],
        on_cluster: Callable[[ClusterTarget, OpenedCluster], A] | None,
        what: Mapping[Kind, Declare],
        cache: FactsCache,
    ) -> None:
        self.name = plan.target.name
        self._plan = plan
        self._question = question
        self._on_cluster = on_cluster
        self._what = what
        self._cache = cache

    def run(self) -> tuple[str, A | RolecallError]:
        """Its answer, or why there is none."""
        from rolecall.cluster.target import ClusterTarget
        from rolecall.shell_run import looking

        target = self._plan.target
        try:
            if isinstance(target, ClusterTarget) and self._on_cluster:
                from rolecall.cluster.run import open_cluster

                return self.name, self._on_cluster(
                    target, open_cluster(self._plan, self._what["cluster"])
                )
            with looking(self._plan, self._what["host"], self._cache) as (session, opened):
                return self.name, self._question(session, opened)
        except RolecallError as error:
            return self.name, error

    def interrupt(self) -> None:
        """It holds no lock and changes nothing: the connection ends with this process."""


def _timed(after: After) -> After:
    """The same, and events tell how long the host is asked."""
    from rolecall.waits import Wait

    def timed(result: HostResult, stream: Stream, flags: Flags, changed: bool) -> None:
        with Wait(stream.emit, result.target.name, "answer") as answer:
            answer.begin("the host is asked whether it works")
            after(result, stream, flags, changed)

    return timed


def _afterwards(after: After, results: Sequence[HostResult], stream: Stream, flags: Flags) -> None:
    """Call ``after`` for each host; with several, what it raises is that host's failure."""
    from rolecall.turns import SideBySide

    if len(stream.recap.hosts) == 1:
        for result in results:
            after(result, stream, flags, bool(stream.recap.of(result.target.name).changed))
    elif results:
        afterwards = [_Afterwards(after, result, stream, flags) for result in results]
        SideBySide(afterwards, flags.forks).run()


class _Afterwards:
    """What follows one host's run, side by side with the other hosts'."""

    def __init__(self, after: After, result: HostResult, stream: Stream, flags: Flags) -> None:
        self.name = result.target.name
        self._after = after
        self._result = result
        self._stream = stream
        self._flags = flags

    def run(self) -> HostResult:
        """Call it."""
        from rolecall.events import ResourceDone

        try:
            changed = bool(self._stream.recap.of(self.name).changed)
            self._after(self._result, self._stream, self._flags, changed)
        except RolecallError as error:
            self._stream.emit(
                ResourceDone(
                    self.name, "", "answer", "failed", reason=error.message, hint=error.hint
                )
            )
        return self._result

    def interrupt(self) -> None:
        """A question is left alone."""


@contextmanager
def reported(state: Path, *, json: bool = False) -> Iterator[None]:
    """Turn errors into what the user reads, and into the exit status.

    Raises:
        OSError: the disk is full; where the program ends, that is told (``startup.run``).
    """
    from invoke.exceptions import Exit

    try:
        yield
    except RolecallError as error:
        from rolecall.output.errors import present

        present(error, json=json)
        raise Exit(code=error.exit_code) from error
    except KeyboardInterrupt as error:
        hint = "run the same command again: it goes on from the state it finds"
        raise Exit(f"interrupted\n  next: {hint}", code=130) from error
    except BrokenPipeError as error:
        from rolecall.output import pipe_closed

        raise Exit(code=pipe_closed()) from error
    except Exit:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise
        from rolecall.output.errors import log_traceback

        log_traceback(error, state / "logs", json=json)
        raise Exit(code=1) from error
