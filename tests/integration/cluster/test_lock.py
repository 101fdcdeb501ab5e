"""One run at a time: a Lease that is taken by the first change, and given up at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from rolecall.cluster.api import Api
from rolecall.cluster.lease import lock_ref
from rolecall.cluster.objects import Object
from rolecall.errors import UnreachableError
from rolecall.resource import Apply, Call, Observed
from rolecall.resources.cluster_object import ClusterObject
from rolecall.targets import Target
from tests.integration.cluster.place import Place
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    return Place(cluster, namespace, tmp_path)


@dataclass(frozen=True)
class Slow(ClusterObject):
    """An object whose apply waits until it may go on."""

    kind: ClassVar[str] = "slow"

    begun: threading.Event = threading.Event()  # noqa: RUF009 - each test gives its own
    go_on: threading.Event = threading.Event()  # noqa: RUF009

    def apply(self, observed: Observed) -> Apply:
        inner = super().apply(observed)
        assert isinstance(inner, Call)

        def run(target: Target) -> None:
            self.begun.set()
            assert self.go_on.wait(30)
            inner.run(target)

        return Call(run, inner.summary)


def lease(place: Place) -> str:
    return place.kubectl("get", "lease", "-o", "name").strip()


def hold(place: Place, holder: str, *, age: float = 0.0) -> None:
    """A lock as a run elsewhere would have it, last renewed ``age`` seconds ago."""
    renewed = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - age))
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": renewed}
    body = place.thing("Lease", "rolecall", "coordination.k8s.io/v1", spec=spec)
    place.kubectl("create", "-f", "-", stdin=json.dumps(body))


ELSEWHERE = "lease 1 20261122-101010-aaaa boot:space:1:2 alice@elsewhere"


def test_a_second_run_says_who_holds_it_or_waits(place: Place, tmp_path: Path) -> None:
    first = Slow(place.config("one"), begun=threading.Event(), go_on=threading.Event())
    thread = threading.Thread(target=place.run, args=(first,))
    thread.start()
    assert first.begun.wait(30)
    assert lease(place) == "lease.coordination.k8s.io/rolecall"
    second = Place(place.cluster, place.namespace, tmp_path / "second")
    other = ClusterObject(place.config("two"))
    assert "is locked by" in second.run(other).text
    assert second.run(other, check=True).outcomes[other.id] == "would change"
    threading.Timer(1, first.go_on.set).start()
    assert second.run(other, lock_wait=30).outcomes[other.id] == "changed"
    thread.join()
    assert lease(place) == ""


def test_a_run_that_waited_goes_by_what_the_other_has_left(place: Place, tmp_path: Path) -> None:
    mine = ClusterObject(place.config("mine"))
    place.run(mine)
    theirs = place.config("mine", a="theirs")
    first = Slow(theirs, begun=threading.Event(), go_on=threading.Event())
    thread = threading.Thread(target=place.run, args=(first,))
    thread.start()
    assert first.begun.wait(30)
    second = Place(place.cluster, place.namespace, tmp_path / "second")
    threading.Timer(1, first.go_on.set).start()
    # When it first looks, one is as it wants it: the other run has not written yet.
    said = second.run(mine, ClusterObject(place.config("two")), lock_wait=30)
    thread.join()
    assert said.outcomes[mine.id] == "changed"
    assert place.get("configmap/mine")["data"] == {"a": "1"}
    # What the other has done in the meantime is not done again.
    again = Slow(theirs, begun=threading.Event(), go_on=threading.Event())
    thread = threading.Thread(target=place.run, args=(again,))
    thread.start()
    assert again.begun.wait(30)
    threading.Timer(1, again.go_on.set).start()
    assert second.run(ClusterObject(theirs), lock_wait=30).outcomes[mine.id] == "ok"
    thread.join()


def test_a_lock_whose_answer_was_lost_is_had_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Api.create

    def lost(api: Api, manifest: Object) -> Object:
        made = create(api, manifest)
        if made["kind"] == "Lease":
            raise UnreachableError("the connection ended before the answer")
        return made

    monkeypatch.setattr(Api, "create", lost)
    wanted = ClusterObject(place.config())
    assert place.run(wanted).outcomes[wanted.id] == "changed"
    assert lease(place) == ""


def test_a_run_elsewhere_keeps_it_as_long_as_it_renews_it(place: Place) -> None:
    hold(place, ELSEWHERE)
    wanted = ClusterObject(place.config())
    said = place.run(wanted)
    assert "alice@elsewhere" in said.text and "20261122-101010-aaaa" in said.text
    assert "configmap/one" not in place.names("configmap")


def test_a_run_that_has_not_renewed_it_for_a_minute_has_lost_it(place: Place) -> None:
    hold(place, ELSEWHERE, age=61)
    wanted = ClusterObject(place.config())
    assert place.run(wanted).outcomes[wanted.id] == "changed"
    assert lease(place) == ""


def test_a_run_of_this_machine_that_was_killed_has_lost_it_at_once(place: Place) -> None:
    code = "from rolecall.lock import signature; print(signature(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as dead:
        assert dead.stdout is not None
        signature = dead.stdout.readline().strip()
        hold(place, f"lease {int(time.time())} 20261122-101010-bbbb {signature}")
        wanted = ClusterObject(place.config())
        assert "is locked by" in place.run(wanted).text
        dead.kill()
        dead.wait()
    assert place.run(wanted).outcomes[wanted.id] == "changed"
    assert place.api().read([lock_ref(place.namespace)]) == [None]


def test_a_run_without_a_change_takes_none(place: Place) -> None:
    wanted = ClusterObject(place.config())
    place.run(wanted)
    mark = place.cluster.mark()
    place.run(wanted)
    place.run(wanted, check=True)
    assert not [one for one in place.cluster.requests(mark) if one.writes]
