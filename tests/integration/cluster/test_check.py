"""Check against apply on a real API server: what check mode says of objects is what a run does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rolecall.resources.cluster_history import ClusterHistory
from rolecall.resources.cluster_object import ClusterObject
from tests.integration.cluster.place import Place
from tests.rig.kubernetes.cluster import Cluster

#: Seeds, rounds of each, and objects at the most.
SEEDS, ROUNDS, MOST = range(6), 3, 6

Manifest = dict[str, Any]


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with cluster.controllers().namespace() as name:
        yield Place(cluster, name, tmp_path)


def config(place: Place, chance: random.Random, name: str) -> Manifest:
    data = {key: chance.choice(["", "1", "two\nlines\n", "ü: {}"]) for key in _some(chance, "abc")}
    made = place.thing("ConfigMap", name, data=data)
    if chance.random() < 0.2:
        made["metadata"]["annotations"] = {"example.com/note": chance.choice("xy")}
    return made


def service(place: Place, chance: random.Random, name: str) -> Manifest:
    ports = [{"name": key, "port": chance.choice([80, 8080]) + ord(key)} for key in "ab"]
    spec = {"selector": {"app": chance.choice("xy")}, "ports": ports[: chance.randint(1, 2)]}
    return place.thing("Service", name, spec=spec)


def deployment(place: Place, chance: random.Random, name: str) -> Manifest:
    made = place.deployment(replicas=0, image=f"example.test/a:{chance.randint(1, 3)}")
    made["metadata"]["name"] = name
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": key.upper(), "value": "1"} for key in _some(chance, "abc")]
    amount = chance.choice(["1", "1000m", "0.5", "500m"])
    container["resources"] = {"limits": {"cpu": amount, "memory": chance.choice(["1Gi", "1024Mi"])}}
    return made


def claim(place: Place, chance: random.Random, name: str) -> Manifest:
    made = place.claim(chance.choice(["1Gi", "1024Mi"]))
    made["metadata"]["name"] = name
    return made


MAKERS: tuple[Callable[[Place, random.Random, str], Manifest], ...] = (
    config,
    config,
    service,
    deployment,
    claim,
)


def _some(chance: random.Random, of: str) -> list[str]:
    return [one for one in of if chance.random() < 0.6]


def wanted(place: Place, chance: random.Random) -> list[Manifest]:
    """Objects of several kinds, some of which an earlier round had in another state."""
    named = {f"o{chance.randint(0, MOST)}" for _ in range(chance.randint(1, MOST))}
    found = []
    for name in sorted(named):
        maker = MAKERS[int(name[1:]) % len(MAKERS)]
        found.append(maker(place, chance, name))
    return found


def edit_as_others(place: Place, chance: random.Random) -> None:
    """What others do to objects between two runs: other values, more fields, none at all."""
    for name in place.names("configmap,service,deployment,pvc"):
        deed = chance.random()
        if not name.partition("/")[2].startswith("o"):
            continue
        if deed < 0.15:
            place.kubectl("label", name, "theirs=1", "--overwrite")
        elif deed < 0.3 and name.startswith("configmap"):
            patch = json.dumps({"data": {chance.choice("abcd"): "theirs"}})
            place.kubectl("patch", name, "--type=merge", "-p", patch)
        elif deed < 0.4 and name.startswith("deployment"):
            place.kubectl("set", "image", name, "main=example.test/theirs")
        elif deed < 0.5 and not name.startswith("persistentvolumeclaim"):
            place.kubectl("delete", name, "--wait=false")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_does_what_check_has_said_and_the_next_one_nothing(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    kept: dict[str, Manifest] = {}
    for _ in range(ROUNDS):
        # A claim is never left over, and its fields cannot be changed: it stays as it was.
        manifests = [
            kept.setdefault(one["metadata"]["name"], one) if "Claim" in one["kind"] else one
            for one in wanted(place, chance)
        ]
        record = ClusterHistory("llm", place.namespace, tuple(manifests))
        rest = replace(place.leftovers(*manifests), earlier=0)
        resources = [*map(ClusterObject, manifests), record, rest]
        foretold = place.run(*resources, check=True)
        if chance.random() < 0.5:
            assert place.run(*resources, check=True, diff=True).outcomes == foretold.outcomes
        refused = {id_ for id_, said in foretold.outcomes.items() if said == "failed"}
        done = place.run(*resources)
        failed = {id_ for id_, said in done.outcomes.items() if said == "failed"}
        assert bool(failed) == bool(refused) and failed <= refused, done.text
        if refused:  # fields that others own
            foretold = place.run(*resources, check=True, force_conflicts=True)
            done = place.run(*resources, force_conflicts=True)
        assert "failed" not in done.outcomes.values(), done.text
        for id_, outcome in done.outcomes.items():
            said = foretold.outcomes[id_]
            expected = {"ok": {"ok"}, "would change": {"changed"}, "unknown": {"ok", "changed"}}
            assert outcome in expected[said.removesuffix(" until")], (seed, id_, said, outcome)
        second = place.run(*resources)
        assert set(second.outcomes.values()) == {"ok"}, second.text
        assert second.exchanges == 1
        edit_as_others(place, chance)
