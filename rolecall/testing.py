"""Tests for roles and resources: converge for real, expect no change, kill, expect convergence.

A pytest plugin: ``pytest_plugins = ["rolecall.testing"]`` in ``conftest.py`` brings the fixture
:func:`role_test`. Everything here also works without it:

    from rolecall.testing import assert_contract

    def test_a_file_is_written(tmp_path):
        assert_contract([File(str(tmp_path / "a"), "text")], tmp_path / "home")
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from rolecall.events import Event, HostDone, Output, Progress, Recap, ResourceDone, Stream, TextDiff
from rolecall.facts import FactsCache
from rolecall.resource import Resource, Skip
from rolecall.role import Host
from rolecall.run import HostPlan, Options, new_run_id, run_hosts
from rolecall.settings import RunnerSettings, Settings
from rolecall.sudo import SudoPassword
from rolecall.targets import Target
from rolecall.targets.local import LocalChannel, LocalTarget

#: Under which role the resources of a test run.
ROLE = "test"

#: The name of the host that tests converge.
HOST = "localhost"

#: What to converge: resources, or a function of the host as a role is one.
Wanted = Sequence[Resource | Skip] | Callable[[Host], Sequence[Resource | Skip]]


@dataclass
class Result:
    """What a run did: every event, and shortcuts to the ones that tests ask for."""

    events: list[Event] = field(default_factory=list)
    recap: Recap = field(default_factory=Recap)

    def handle(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def finish(self, recap: Recap) -> None:
        """Keep the counts."""
        self.recap = recap

    @property
    def done(self) -> dict[str, ResourceDone]:
        """The last word on each resource, by id."""
        return {event.id: event for event in self.events if isinstance(event, ResourceDone)}

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcome by resource id."""
        return {id_: event.outcome for id_, event in self.done.items()}

    @property
    def exchanges(self) -> int:
        """Round trips to the host."""
        return sum(event.exchanges for event in self.events if isinstance(event, HostDone))

    @property
    def output(self) -> list[str]:
        """Every line that an apply printed."""
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def progress(self) -> list[Progress]:
        """Every progress that an apply reported."""
        return [event for event in self.events if isinstance(event, Progress)]

    @property
    def diffs(self) -> list[TextDiff]:
        """Every text difference shown."""
        return [event for event in self.events if isinstance(event, TextDiff)]

    @property
    def text(self) -> str:
        """All events as text: what a secret must never be found in."""
        return "\n".join(repr(event.to_dict()) for event in self.events)

    def reason(self, resource: Resource) -> str:
        """Why it failed or was skipped, with the hint."""
        event = self.done[resource.id]
        return f"{event.reason}\n{event.hint}"

    def why(self, id_: str) -> str:
        """A resource's outcome in one sentence, for the message of an assertion."""
        event = self.done[id_]
        changes = ", ".join(
            f"{change.field}: {change.before!r} -> {change.after!r}" for change in event.changes
        )
        return f"{id_} is {event.outcome}: {event.reason or changes} {event.hint}".strip()


def converge(
    wanted: Wanted,
    home: Path,
    check: bool = False,
    shell: str = "/bin/sh",
    *,
    diff: bool = False,
    lock_wait: float = 0.0,
    target: Target | None = None,
    memory: Path | None = None,
    settings: Mapping[str, Settings] | None = None,
    sudo_password: SudoPassword | None = None,
    facts: Sequence[str] = (),
    result: Result | None = None,
) -> Result:
    """Converge what is wanted on this machine or on ``target``, or predict it with ``check``.

    ``home`` becomes Rolecall's own directory on the host. What the controller remembers (the
    facts) lies in ``memory``, by default beside ``home``, so that with the same ``home`` a
    second run is one exchange. ``facts`` are the shell texts of facts that roles bring. ``result``
    is filled while the run goes on.
    """
    result = Result() if result is None else result
    stream = Stream([result])
    plan = HostPlan(
        target or LocalTarget(HOST, shell),
        {"rolecall": RunnerSettings(home=str(home)), **(settings or {})},
        sudo_password,
        tuple(facts),
    )

    def declared(host: Host) -> list[tuple[str, Resource | Skip]]:
        return [(ROLE, item) for item in (wanted(host) if callable(wanted) else wanted)]

    run_hosts(
        [plan],
        declared,
        Options("test", check=check, diff=diff, lock_wait=lock_wait),
        stream,
        FactsCache(memory or home.with_name(f"{home.name}-controller")),
        new_run_id(),
    )
    stream.finish()
    return result


def assert_contract(wanted: Wanted, home: Path, shell: str = "/bin/sh") -> Result:
    """Check predicts, the run changes, the next run changes nothing in one exchange.

    Every resource has to be unmet at first. Returns what the changing run did.
    """
    predicted = converge(wanted, home, check=True, shell=shell).outcomes
    foretold = {"would change", "unknown until", "skipped"}
    assert set(predicted.values()) <= foretold, predicted
    first = converge(wanted, home, shell=shell)
    wrong = {id_: said for id_, said in first.outcomes.items() if said not in _DONE}
    assert not wrong, [first.why(id_) for id_ in wrong]
    settled(wanted, home, shell)
    return first


_DONE = ("changed", "skipped")


def settled(
    wanted: Wanted, home: Path, shell: str = "/bin/sh", *, target: Target | None = None
) -> None:
    """Check and run agree that nothing is to do, in one exchange each."""
    for check in (True, False):
        again = converge(wanted, home, check=check, shell=shell, target=target)
        wrong = [id_ for id_, said in again.outcomes.items() if said not in ("ok", "skipped")]
        assert not wrong, [again.why(id_) for id_ in wrong]
        assert again.exchanges == 1


class KillableTarget(LocalTarget):
    """This machine, whose shell and detached jobs can be killed as a power cut would."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        super().__init__(HOST, shell)
        self.channels: list[LocalChannel] = []

    def open_shell(self) -> LocalChannel:
        """Start the shell, and remember it."""
        channel = super().open_shell()
        self.channels.append(channel)
        return channel

    def kill(self, home: Path) -> None:
        """SIGKILL the shells, what they run, and the jobs below ``home``."""
        groups = [channel.pid for channel in self.channels]
        for group in [*groups, *job_groups(home)]:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def job_groups(home: Path) -> list[int]:
    """The process groups of the jobs that were started below ``home``."""
    identities = [path.read_text().split(":") for path in home.glob("jobs/*/identity")]
    return [int(identity[1]) for identity in identities if len(identity) == 3]


def converge_killed(
    wanted: Wanted,
    home: Path,
    when: Callable[[], bool],
    shell: str = "/bin/sh",
    timeout: float = 60.0,
    *,
    target: Target | None = None,
    kill: Callable[[], None] | None = None,
) -> bool:
    """Converge, and kill everything on the host as soon as ``when()`` is true.

    ``target`` and ``kill`` stand in for this machine's shell and its end. Returns whether the
    kill came before the run was over.
    """
    killable = KillableTarget(shell)
    ends = kill or (lambda: killable.kill(home))
    thread = threading.Thread(
        target=converge, args=(wanted, home), kwargs={"target": target or killable}, daemon=True
    )
    thread.start()
    deadline = time.monotonic() + timeout
    while thread.is_alive() and time.monotonic() < deadline:
        if when():
            ends()
            thread.join(30)
            return True
        time.sleep(0.005)
    thread.join(timeout)
    return False


def begun(home: Path) -> int:
    """How many changes were begun, by the journal below ``home``."""
    journal = home / "journal"
    return journal.read_text().count('"state":"begin"') if journal.exists() else 0


class _Moment:
    """True from ``delay`` seconds after the change of a given number was begun."""

    def __init__(self, home: Path, boundary: int, delay: float) -> None:
        self._home, self._boundary, self._delay = home, boundary, delay
        self._since = 0.0

    def __call__(self) -> bool:
        if not self._since and begun(self._home) >= self._boundary:
            self._since = time.monotonic()
        return bool(self._since) and time.monotonic() - self._since >= self._delay


def assert_crash_safe(
    wanted: Wanted,
    root: Path,
    home: Path,
    *,
    ignore: Callable[[str], bool] = lambda name: False,
    delays: Sequence[float] = (0.0, 0.1),
    shell: str = "/bin/sh",
) -> None:
    """Killed at any change, the next run ends where an undisturbed one does.

    Everything that the resources make lies below ``root``, which is emptied before each of the
    runs, as is ``home``. Each change is killed once for each of ``delays``, the seconds after
    its begin. The trees have to be the same but for times and for what ``ignore`` says of a
    path below ``root``.

    Raises:
        AssertionError: a run after a kill failed, was not idempotent, or left another tree.
    """

    def anew() -> None:
        for folder in (root, home):
            shutil.rmtree(folder, ignore_errors=True)
        root.mkdir(parents=True)

    anew()
    first = converge(wanted, home, shell=shell)
    wrong = [id_ for id_, said in first.outcomes.items() if said not in ("ok", *_DONE)]
    assert not wrong, [first.why(id_) for id_ in wrong]
    expected = snapshot(root, ignore)
    changes = range(1, begun(home) + 1)
    for boundary, delay in product(changes, delays):
        anew()
        converge_killed(wanted, home, _Moment(home, boundary, delay), shell)
        killed = f"killed {delay:g} s into change {boundary}"
        again = converge(wanted, home, shell=shell)
        wrong = [id_ for id_, said in again.outcomes.items() if said not in ("ok", *_DONE)]
        assert not wrong, [killed, *(again.why(id_) for id_ in wrong)]
        settled(wanted, home, shell)
        assert snapshot(root, ignore) == expected, f"{killed}, the tree is another"


def snapshot(
    root: Path, ignore: Callable[[str], bool] = lambda name: False
) -> dict[str, tuple[int, str]]:
    """Mode and content (a digest, or a link's target) of everything below ``root``, by name."""
    found: dict[str, tuple[int, str]] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ignore(name):
            continue
        content = ""
        if path.is_symlink():
            content = os.readlink(path)  # noqa: PTH115 - the text as it stands
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = (path.lstat().st_mode, content)
    return found


def tree_digest(*roots: Path) -> str:
    """A digest of everything below ``roots``: names, types, modes, owners, contents, times."""
    digest = hashlib.sha256()
    for path in _walk(roots):
        info = os.lstat(path)
        digest.update(os.fsencode(path) + b"\0")
        digest.update(f"{info.st_mode} {info.st_uid} {info.st_gid} {info.st_mtime_ns}\0".encode())
        if stat.S_ISLNK(info.st_mode):
            digest.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(info.st_mode):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _walk(roots: Iterable[Path]) -> Iterable[Path]:
    for root in roots:
        if os.path.lexists(root):
            yield root
        if root.is_dir() and not root.is_symlink():
            yield from _walk(sorted(root.iterdir()))


@dataclass(frozen=True)
class RoleTest:
    """A place to converge a role in: what it makes goes below ``root``.

    Attributes:
        root: an empty directory of the test's own.
        home: Rolecall's own directory.
    """

    root: Path
    home: Path

    def converge(self, wanted: Wanted, *, check: bool = False) -> Result:
        """One run, or one prediction."""
        return converge(wanted, self.home, check=check)

    def idempotent(self, wanted: Wanted) -> Result:
        """Check predicts it, the run does it, and a second run has nothing to do."""
        return assert_contract(wanted, self.home)

    def crash_safe(
        self, wanted: Wanted, *, ignore: Callable[[str], bool] = lambda name: False
    ) -> None:
        """A run killed at any of its changes is completed by the next one."""
        assert_crash_safe(wanted, self.root, self.home, ignore=ignore)


@pytest.fixture
def role_test(tmp_path: Path) -> RoleTest:
    """A :class:`RoleTest` in a directory of its own."""
    root = tmp_path / "root"
    root.mkdir()
    return RoleTest(root, tmp_path / "home")
