"""What a run on a cluster tells: facts, exchanges, the wait for the lock, and jobs it follows."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from rolecall.cluster.objects import Ref
from rolecall.events import (
    Event,
    ExchangeDone,
    ExchangeStarted,
    FactsKnown,
    JobFollowed,
    WaitDone,
    Waiting,
)
from rolecall.resources.cluster_object import ClusterObject
from rolecall.resources.cluster_prepared import ClusterPrepared
from rolecall.testing import Result
from tests.integration.cluster.place import Place
from tests.integration.cluster.test_lock import ELSEWHERE, hold
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    return Place(cluster, namespace, tmp_path)


def exchanges(result: Result) -> list[str]:
    """What each exchange was for; every one has an end."""
    begun = [event for event in result.events if isinstance(event, ExchangeStarted)]
    ended = [event for event in result.events if isinstance(event, ExchangeDone)]
    assert [event.number for event in begun] == [event.number for event in ended]
    assert [event.number for event in begun] == list(range(1, len(begun) + 1))
    return [event.what for event in begun]


def of(result: Result, *kinds: type[Event]) -> list[Event]:
    return [event for event in result.events if isinstance(event, kinds)]


def test_a_run_tells_what_it_asks_and_applies(place: Place) -> None:
    wanted = ClusterObject(place.config())
    assert exchanges(place.run(wanted, check=True)) == ["open", "rehearse"]
    first = place.run(wanted)
    # Asked again once it has the lock: another run may have had it in between.
    assert exchanges(first) == ["open", "probe", "apply", "probe"]
    (facts,) = of(first, FactsKnown)
    assert asdict(facts)["facts"] == {"kind": "cluster", "namespace": place.namespace}
    assert exchanges(place.run(wanted)) == ["open"]


def test_waiting_for_the_lock_is_told_from_its_begin_to_its_end(place: Place) -> None:
    hold(place, ELSEWHERE)
    gone = threading.Timer(1.5, lambda: place.kubectl("delete", "lease", "rolecall"))
    gone.start()
    result = place.run(ClusterObject(place.config()), lock_wait=60)
    gone.join()
    begin, end = of(result, Waiting, WaitDone)
    assert isinstance(begin, Waiting)
    assert isinstance(end, WaitDone)
    assert (begin.what, end.what) == ("lock", "lock")
    assert "alice@elsewhere" in begin.reason
    assert end.seconds > 1


def test_a_wait_in_vain_ends_as_well(place: Place) -> None:
    hold(place, ELSEWHERE)
    began = time.monotonic()
    result = place.run(ClusterObject(place.config()), lock_wait=1.5)
    assert time.monotonic() - began > 1
    assert [type(event) for event in of(result, Waiting, WaitDone)] == [Waiting, WaitDone]


def test_a_job_that_is_followed_is_told(place: Place) -> None:
    """No pod runs here: what is followed is taken to have succeeded."""
    place.kubectl("create", "-f", "-", stdin=json.dumps(place.claim()))
    container = {"name": "main", "image": "example.test/a:1"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    job = place.thing("Job", "fill", "batch/v1", spec={"template": template})
    followed: list[Ref] = []

    def prepared(content: str) -> ClusterPrepared:
        claim = Ref("v1", "PersistentVolumeClaim", "data", place.namespace)
        return ClusterPrepared(claim, content, job, lambda _, ref: followed.append(ref))

    for content, attached in (("one", False), ("two", True)):
        result = place.run(prepared(content))
        assert result.outcomes == {"prepared:data": "changed"}, result.text
        (told,) = of(result, JobFollowed)
        assert told == JobFollowed("cluster", "prepared:data", "fill", attached)
    assert [ref.name for ref in followed] == ["fill", "fill"]
