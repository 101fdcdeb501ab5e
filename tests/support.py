"""What tests share: converge resources for real on this machine, and look at what came out.

from tests.support import converge

def test_a_file_is_written(tmp_path):
    file = File(str(tmp_path / "a"), "text")
    assert converge([file], tmp_path / "home").outcomes == {file.id: "changed"}
    again = converge([file], tmp_path / "home")
    assert again.outcomes == {file.id: "ok"} and again.exchanges == 1
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolecall.events import Event, HostDone, Output, Progress, Recap, ResourceDone, Stream, TextDiff
from rolecall.facts import FactsCache
from rolecall.resource import Resource, Skip
from rolecall.run import HostPlan, Options, new_run_id, run_hosts
from rolecall.settings import RunnerSettings
from rolecall.targets.local import LocalChannel, LocalTarget

#: The shells that Rolecall's host side has to run on.
SHELLS = ("dash", "bash", "busybox")

ROLE = "test"
HOST = "localhost"


@dataclass
class Result:
    """What a run did: every event, and shortcuts to the ones that tests ask for."""

    events: list[Event] = field(default_factory=list)
    recap: Recap = field(default_factory=Recap)

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def finish(self, recap: Recap) -> None:
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


def converge(
    resources: Sequence[Resource | Skip],
    home: Path,
    check: bool = False,
    shell: str = "/bin/sh",
    *,
    diff: bool = False,
    lock_wait: float = 0.0,
    target: LocalTarget | None = None,
) -> Result:
    """Converge ``resources`` on this machine, or predict it with ``check``.

    ``home`` becomes Rolecall's own directory on the host. What the controller remembers (the
    facts) lies beside it, so that with the same ``home`` a second run is one exchange.
    """
    result = Result()
    stream = Stream([result])
    plan = HostPlan(
        target or LocalTarget(HOST, shell), {"rolecall": RunnerSettings(home=str(home))}
    )
    run_hosts(
        [plan],
        lambda host: [(ROLE, resource) for resource in resources],
        Options("test", check=check, diff=diff, lock_wait=lock_wait),
        stream,
        FactsCache(home.with_name(f"{home.name}-controller")),
        new_run_id(),
    )
    stream.finish()
    return result


def assert_contract(resources: Sequence[Resource], home: Path, shell: str = "/bin/sh") -> Result:
    """Check predicts, the run changes, the next run changes nothing in one exchange.

    Every resource has to be unmet at first. Returns what the changing run did.
    """
    ids = [resource.id for resource in resources]
    predicted = converge(resources, home, check=True, shell=shell).outcomes
    assert set(predicted.values()) <= {"would change", "unknown until"}, predicted
    first = converge(resources, home, shell=shell)
    assert first.outcomes == dict.fromkeys(ids, "changed"), [
        first.reason(resource) for resource in resources
    ]
    settled(resources, home, shell)
    return first


def settled(resources: Sequence[Resource], home: Path, shell: str = "/bin/sh") -> None:
    """Check and run agree that nothing is to do, in one exchange each."""
    ids = [resource.id for resource in resources]
    for check in (True, False):
        again = converge(resources, home, check=check, shell=shell)
        assert again.outcomes == dict.fromkeys(ids, "ok"), [
            again.reason(resource) for resource in resources
        ]
        assert again.exchanges == 1


class KillableTarget(LocalTarget):
    """This machine, whose shell and detached jobs can be killed as a power cut would."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        super().__init__(HOST, shell)
        self._channels: list[LocalChannel] = []

    def open_shell(self) -> LocalChannel:
        channel = super().open_shell()
        self._channels.append(channel)
        return channel

    def kill(self, home: Path) -> None:
        """SIGKILL the shells, what they run, and the jobs below ``home``."""
        groups = [channel._process.pid for channel in self._channels]
        identities = [path.read_text().split(":") for path in home.glob("jobs/*/identity")]
        groups += [int(identity[1]) for identity in identities if len(identity) == 3]
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def converge_killed(
    resources: Sequence[Resource],
    home: Path,
    when: Callable[[], bool],
    shell: str = "/bin/sh",
    timeout: float = 60.0,
) -> bool:
    """Converge, and kill everything on the host as soon as ``when()`` is true.

    Returns whether the kill came before the run was over.
    """
    target = KillableTarget(shell)
    thread = threading.Thread(
        target=converge, args=(resources, home), kwargs={"target": target}, daemon=True
    )
    thread.start()
    deadline = time.monotonic() + timeout
    while thread.is_alive() and time.monotonic() < deadline:
        if when():
            target.kill(home)
            thread.join(30)
            return True
        time.sleep(0.005)
    thread.join(timeout)
    return False


def destroy(resource: Resource, home: Path) -> None:
    """Run the removal that the last creation of ``resource`` left in the journal."""
    removal = None
    for line in (home / "journal").read_text(errors="surrogateescape").splitlines():
        record = json.loads(line)
        if record["id"] == resource.id and record.get("removal"):
            removal = record["removal"]
    assert removal is not None, f"no removal of {resource.id} in the journal"
    script = f"set -e\n{removal['script']}\n{removal['gone']}"
    subprocess.run(["/bin/sh", "-c", script], check=True)


def find_shell(name: str, folder: Path) -> str:
    """The path of a shell; skips the test, by name, where it is not installed.

    ``busybox`` gives a host that has nothing but busybox: its shell and its applets.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    if name != "busybox":
        return found
    applets = folder / "busybox"
    if not applets.exists():
        applets.mkdir(parents=True)
        listed = os.popen(f"{found} --list").read().split()
        for applet in listed:
            (applets / applet).symlink_to(found)
    wrapper = folder / "busybox-sh"
    wrapper.write_text(f"#!/bin/sh\nPATH={applets}\nexport PATH\nexec {found} sh\n")
    wrapper.chmod(0o755)
    return str(wrapper)


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
