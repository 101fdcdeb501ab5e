"""The checks of flavour ``t9k``, with doubles of the platform's controller and of the kubelet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rolecall.cluster.run import cluster_host
from rolecall.role import Host
from rolecall.testing import converge
from roles.k8s.role import k8s
from tests.doubles.t9k.controller import Controller, install
from tests.integration.cluster.desk import claim_filled, eventually, node_double, pods_go_well
from tests.integration.cluster.place import Place
from tests.integration.verify.checks_of import failing
from tests.rig.kubernetes.cluster import Cluster
from tests.unit.k8s.clusters import settings

OBJECTS = "every_object_is_there_and_as_declared"
REPLICAS = "every_replica_is_of_this_deploy_and_ready"
PLATFORM = "the_platform_says_that_the_service_is_ready"
RUNTIME = "the_pods_are_of_the_present_runtime"


def deploy(place: Place, host: Host) -> None:
    def declared(host: Host) -> Sequence[Any]:
        return list(k8s.resources(host))

    done = converge(declared, place.folder, target=place.target(), settings=host.all_settings)
    assert set(done.outcomes.values()) <= {"ok", "changed"}, done.text


def test_what_the_platform_says_and_of_which_runtime_pods_are(
    cluster: Cluster, tmp_path: Path
) -> None:
    with node_double(cluster) as (client, node), cluster.namespace() as name:
        scheduling = {
            "node_selector": node.place["nodeSelector"],
            "tolerations": node.place["tolerations"],
        }
        groups = ("t9k", "t9k_published")
        sets = (
            f"k8s.scheduling={json.dumps(scheduling)}",
            'k8s.resources={"cpu": "1", "memory": "1Gi"}',
        )
        host = cluster_host("cluster", name, settings(groups, *sets))
        place = Place(cluster, name, tmp_path / "home")
        install(client)
        with (
            claim_filled(cluster, name, "triton-tensorrtllm"),
            pods_go_well(node, client, name),
        ):
            with Controller(client, name) as controller:
                deploy(place, host)
                assert failing(place.target(), host) == {}

                # Only the runtime has changed: T9k itself restarts nothing.
                newer = settings(groups, *sets, "k8s.env={ADDED: '1'}")
                described = cluster_host("cluster", name, newer)
                said = failing(place.target(), described)
                assert said.keys() == {OBJECTS, REPLICAS, RUNTIME}
                assert "of an earlier MLServiceRuntime/" in said[RUNTIME]
                assert "mlserviceruntime:" in said[OBJECTS]

                # What the controller cannot serve, the platform says.
                place.kubectl("delete", "mlserviceruntime", "--all")
                patch = {"spec": {"releases": [_without_runtime(place)]}}
                place.kubectl(
                    "patch", "mlservice", _service(place), "--type=merge", "-p", json.dumps(patch)
                )
                said = eventually(lambda: _with(PLATFORM, failing(place.target(), host)))
                assert (
                    "is not Ready: RuntimeNotFound: there is no MLServiceRuntime gone"
                    in (said[PLATFORM])
                )
                assert controller.errors == []
            # The controller is gone: nobody writes the address again.
            place.kubectl(
                "patch",
                "mlservice",
                _service(place),
                "--subresource=status",
                "--type=json",
                "-p",
                json.dumps(
                    [
                        {"op": "remove", "path": "/status/address"},
                        {"op": "replace", "path": "/status/conditions", "value": [_READY]},
                    ]
                ),
            )
            assert "has no status.address.url" in failing(place.target(), host)[PLATFORM]


_READY = {
    "type": "Ready",
    "status": "True",
    "reason": "",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def _with(name: str, said: dict[str, str]) -> dict[str, str]:
    return said if name in said else {}


def _service(place: Place) -> str:
    (name,) = place.names("mlservice")
    return name.partition("/")[2]


def _without_runtime(place: Place) -> dict[str, Any]:
    (release,) = place.get(f"mlservice/{_service(place)}")["spec"]["releases"]
    release["predictor"]["model"]["runtime"] = "gone"
    return dict(release)
