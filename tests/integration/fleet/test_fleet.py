"""Several hosts in one run. Each is this machine under another name and with a home of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rolecall.api import Command, File, Host, Resource
from rolecall.errors import RolecallError
from rolecall.events import ResourceDone, Stream
from rolecall.facts import FactsCache
from rolecall.rollout import Rollout
from rolecall.run import Gate, HostPlan, HostResult, Options, new_run_id, run_hosts
from rolecall.settings import RunnerSettings
from rolecall.targets.local import LocalTarget
from tests.support import Result


def run(
    names: Sequence[str],
    tmp_path: Path,
    rollout: Rollout,
    broken: Sequence[str] = (),
    unreachable: Sequence[str] = (),
    gate: Gate | None = None,
) -> Result:
    def what(host: Host) -> list[tuple[str, Resource]]:
        mark = File(str(tmp_path / host.name), "here")
        failing = Command("break", "exit 3", creates=str(tmp_path / "never"))
        return [("r", failing if host.name in broken else mark)]

    result = Result()
    stream = Stream([result])
    plans = [
        HostPlan(
            LocalTarget(name, "/no/such/shell" if name in unreachable else "/bin/sh"),
            {"rolecall": RunnerSettings(home=str(tmp_path / f"home-{name}"))},
        )
        for name in names
    ]
    cache = FactsCache(tmp_path / "facts")
    run_hosts(plans, what, Options("test"), stream, cache, new_run_id(), rollout, gate)
    stream.finish()
    return result


def outcomes(result: Result) -> dict[str, str]:
    done = [event for event in result.events if isinstance(event, ResourceDone)]
    return {event.host: event.outcome for event in done}


HOSTS = [f"h{number}" for number in range(1, 7)]


def test_hosts_that_fail_or_cannot_be_reached_do_not_stop_the_others(tmp_path: Path) -> None:
    result = run(HOSTS, tmp_path, Rollout(forks=3), broken=["h2"], unreachable=["h4"])
    said = outcomes(result)
    assert said.pop("h2") == "failed"
    assert said.pop("h4") == "unreachable"
    assert set(said.values()) == {"changed"}


def test_no_further_host_begins_once_too_many_have_failed(tmp_path: Path) -> None:
    rollout = Rollout(forks=1, max_fail=1)
    result = run(HOSTS, tmp_path, rollout, broken=["h1", "h3"])
    assert outcomes(result) == {
        "h1": "failed",
        "h2": "changed",
        "h3": "failed",
        "h4": "skipped",
        "h5": "skipped",
        "h6": "skipped",
    }
    assert not (tmp_path / "h4").exists()


def test_waves_come_one_after_the_other(tmp_path: Path) -> None:
    result = run(HOSTS, tmp_path, Rollout(serial="2", max_fail=0), broken=["h3"])
    said = outcomes(result)
    assert [said[name] for name in HOSTS] == [
        "changed",
        "changed",
        "failed",
        "changed",
        "skipped",
        "skipped",
    ]


@pytest.mark.parametrize("reason", ["broken", "unreachable", "gate"])
def test_nothing_follows_a_canary_that_failed(reason: str, tmp_path: Path) -> None:
    def refuse(result: HostResult) -> None:
        raise RolecallError("no answer")

    result = run(
        HOSTS,
        tmp_path,
        Rollout(canary="h5"),
        broken=["h5"] if reason == "broken" else [],
        unreachable=["h5"] if reason == "unreachable" else [],
        gate=refuse if reason == "gate" else None,
    )
    said = outcomes(result)
    assert said.pop("h5") in {"failed", "unreachable"}
    assert set(said.values()) == {"skipped"}


def test_all_follow_a_canary_that_passed(tmp_path: Path) -> None:
    asked: list[str] = []
    result = run(
        HOSTS,
        tmp_path,
        Rollout(canary="h5"),
        gate=lambda canary: asked.append(canary.target.name),
    )
    assert asked == ["h5"]
    assert set(outcomes(result).values()) == {"changed"}
