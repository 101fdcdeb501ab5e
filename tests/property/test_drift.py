"""Drift: nothing right after a deploy, and of what was touched since exactly that."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolecall.drift.found import Found
from rolecall.events import Stream
from rolecall.facts import FactsCache
from rolecall.resource import Resource
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.symlink import Symlink
from rolecall.run import HostPlan, Options, new_run_id, run_hosts
from rolecall.settings import RunnerSettings
from rolecall.targets.local import LocalTarget
from tests.property.strategies import contents, names
from tests.support import HOST, ROLE, converge, tree_digest

items = st.lists(
    st.tuples(st.sampled_from(["file", "directory", "link"]), names, contents, st.booleans()),
    min_size=1,
    max_size=8,
    unique_by=lambda item: item[1],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drift")


def look(resources: list[Resource], home: Path) -> Found:
    """What a look at this machine finds."""
    found = Found()
    stream = Stream([found])
    plan = HostPlan(LocalTarget(HOST), {"rolecall": RunnerSettings(home=str(home))})
    cache = FactsCache(home.with_name(f"{home.name}-controller"))
    options = Options("drift", check=True, drift=True)
    declared = [(ROLE, resource) for resource in resources]
    run_hosts([plan], lambda _: declared, options, stream, cache, new_run_id())
    return found


def wanted(base: Path, item: tuple[str, str, str | bytes, bool], number: int) -> Resource:
    """A resource in a room of its own, so that none follows from another."""
    kind, name, content, _ = item
    path = f"{base}/{number}/{name}"
    if kind == "file":
        return File(path, content, mode="640")
    if kind == "directory":
        return Directory(path, mode="750")
    return Symlink(path, "elsewhere")


def touch(kind: str, path: Path) -> None:
    """Somebody's hand."""
    if kind == "link":
        path.unlink()
        path.symlink_to("by hand")
    else:
        path.chmod(0o701)


def test_nothing_right_after_a_deploy_and_then_exactly_what_was_touched(folder: Path) -> None:
    @settings(
        max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(items)
    def check(cases: list[tuple[str, str, str | bytes, bool]]) -> None:
        base = Path(tempfile.mkdtemp(dir=folder))
        home = base / "home"
        for number in range(len(cases)):
            (base / str(number)).mkdir()
        resources = [wanted(base, item, number) for number, item in enumerate(cases)]
        assert set(converge(resources, home).outcomes.values()) == {"changed"}
        before = tree_digest(base)
        quiet = look(resources, home)
        assert (quiet.status, quiet.moved, quiet.unknown) == (0, [], [])
        assert quiet.resources == len(resources)
        assert tree_digest(base) == before
        touched = set()
        for number, (kind, name, _, by_hand) in enumerate(cases):
            if by_hand:
                touch(kind, Path(f"{base}/{number}/{name}"))
                touched.add(resources[number].id)
        found = look(resources, home)
        assert {moved.id for moved in found.moved} == touched
        assert found.status == (2 if touched else 0) and found.unknown == []
        shutil.rmtree(base)

    check()
