"""The double of T9k on a real API server, and the waiting for what it makes."""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import AppsV1Api, CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from rolecall.cluster.objects import Ref
from rolecall.cluster.rollout import rollout_of
from rolecall.cluster.waiting import wait
from rolecall.errors import RolecallError
from tests.doubles.kubelet import Kubelet
from tests.doubles.t9k.controller import Controller, install
from tests.integration.cluster.space import Space, space, waiting
from tests.rig.kubernetes.cluster import Cluster

API = "tensorstack.dev/v1beta1"
READY = {"ready": True, "started": True, "state": {"running": {}}}
MARK = "rolecall.dev/runtime"


@pytest.fixture
def here(cluster: Cluster, tmp_path: Path) -> Iterator[Space]:
    with space(cluster, tmp_path / "cache") as made:
        install(made.client)
        with Controller(made.client, made.namespace) as controller:
            yield made
            assert controller.errors == []


@pytest.fixture
def node(here: Space, cluster: Cluster) -> Iterator[Kubelet]:
    name = f"double-{uuid.uuid4().hex[:8]}"
    pair = cluster.plane.issuer.issue(name, hosts=["127.0.0.1"])
    with Kubelet(here.client, name, pair, **{"nvidia.com/gpu": "4"}) as made:
        yield made


def runtime(here: Space, *args: str, **more: Any) -> dict[str, Any]:
    """As the published recipe has it."""
    container = {
        "name": "user-container",
        "image": "t9kpublic/triton-tensorrtllm:20240307",
        "args": [
            "python3",
            "launch_triton_server.py",
            "--model_repo={{.MODEL_REPO_PATH}}",
            *args,
        ],
        "resources": {"limits": {"cpu": 4, "memory": "64Gi", "nvidia.com/gpu": 1}},
        "ports": [{"containerPort": 8000}],
        **more,
    }
    return {
        "apiVersion": API,
        "kind": "MLServiceRuntime",
        "metadata": {"name": "triton", "namespace": here.namespace},
        "spec": {"enabled": True, "template": {"spec": {"containers": [container]}}},
    }


def service(
    here: Space, mark: str = "1", place: Any = None, *, release: str = "v1", **predictor: Any
) -> dict[str, Any]:
    made = {
        "minReplicas": 1,
        "model": {
            "runtime": "triton",
            "parameters": {"MODEL_REPO_PATH": "/workspace/inflight_batcher_llm"},
        },
        "containersResources": [
            {"name": "user-container", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}
        ],
        "template": {"metadata": {"annotations": {MARK: mark}}, "spec": place or {}},
        **predictor,
    }
    return {
        "apiVersion": API,
        "kind": "MLService",
        "metadata": {"name": "llm", "namespace": here.namespace},
        "spec": {"default": release, "releases": [{"name": release, "predictor": made}]},
    }


def apply(here: Space, *manifests: dict[str, Any]) -> None:
    for manifest in manifests:
        here.api.apply(manifest)


def eventually(ask: Callable[[], Any], timeout: float = 20.0) -> Any:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if said := ask():
            return said
        time.sleep(0.1)
    raise AssertionError("it did not come")


def deployments(here: Space) -> list[Any]:
    raw = AppsV1Api(here.client).list_namespaced_deployment(here.namespace, _preload_content=False)
    return list(json.loads(raw.data)["items"])


def status(here: Space) -> Any:
    found = here.api.read([Ref(API, "MLService", "llm", here.namespace)])[0]
    assert found is not None
    assert not isinstance(found, tuple)
    return found.get("status") or {}


def ready_condition(here: Space) -> Any:
    found = [one for one in status(here).get("conditions", []) if one["type"] == "Ready"]
    return found[0] if found else {}


def settled(here: Space, node: Kubelet, pod: str) -> None:
    node.says(here.namespace, pod, READY, phase="Running", name="user-container")
    eventually(lambda: ready_condition(here).get("status") == "True")


def test_a_release_becomes_a_deployment_and_a_service_with_the_filled_runtime(
    here: Space, node: Kubelet
) -> None:
    pvc = {"pvc": {"name": "triton-tensorrtllm", "mountPath": "/workspace"}}
    apply(here, runtime(here), service(here, storage=pvc))
    made = eventually(lambda: deployments(here))[0]
    pod = made["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"][-1] == "--model_repo=/workspace/inflight_batcher_llm"
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/workspace"
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "triton-tensorrtllm"
    services = eventually(
        lambda: len(found := here.core.list_namespaced_service(here.namespace).items) == 2 and found
    )
    assert {one.metadata.name for one in services} == {"llm", "llm-predict-v1"}
    assert services[0].spec.ports[0].target_port == 8000


def test_the_status_tells_address_releases_and_conditions(here: Space, node: Kubelet) -> None:
    apply(here, runtime(here), service(here, place=node.place))
    pod = node.pod(here.namespace)
    assert eventually(lambda: ready_condition(here))["status"] == "False"
    settled(here, node, pod)
    said = status(here)
    assert said["address"]["url"] == f"http://llm.{here.namespace}.svc"
    assert said["defaultRelease"] == "v1"
    assert [one["type"] for one in said["conditions"]] == ["Paused", "Ready"]
    release = said["releases"][0]
    assert (release["name"], release["ready"], release["trafficPercent"]) == ("v1", True, 100)
    assert (release["readyReplicas"], release["totalReplicas"]) == (1, 1)
    assert release["url"] == f"http://llm-predict-v1.{here.namespace}.svc"


def test_a_runtime_that_changes_restarts_nothing_until_the_service_changes(
    here: Space, node: Kubelet
) -> None:
    apply(here, runtime(here), service(here, place=node.place))
    settled(here, node, first := node.pod(here.namespace))
    before = deployments(here)[0]["metadata"]["generation"]
    apply(here, runtime(here, "--log"))
    time.sleep(1.5)
    assert deployments(here)[0]["metadata"]["generation"] == before
    apply(here, service(here, "2", node.place))
    second = node.pod(here.namespace, beside=(first,))
    args = here.core.read_namespaced_pod(second, here.namespace).spec.containers[0].args
    assert args[-1] == "--log"


def test_a_new_release_name_takes_the_place_of_the_old_one(here: Space, node: Kubelet) -> None:
    apply(here, runtime(here), service(here))
    eventually(lambda: deployments(here))
    apply(here, service(here, release="v2"))
    eventually(
        lambda: (
            [one["metadata"]["name"] for one in deployments(here)] == ["llm-predict-v2-deployment"]
        )
    )


def test_what_the_published_schema_does_not_have_is_refused_by_the_server(here: Space) -> None:
    for wrong in (
        {"spec": {"releases": []}},  # no default
        {"spec": {"default": "v1", "canaryTrafficPercent": 100}},
        {"spec": {"default": "v1", "releases": [{"name": "v1", "predictor": {"model": "x"}}]}},
    ):
        body = {**service(here), **wrong}
        with pytest.raises(ApiException) as error:
            CustomObjectsApi(here.client).create_namespaced_custom_object(
                "tensorstack.dev", "v1beta1", here.namespace, "mlservices", body
            )
        assert error.value.status == 422


@pytest.mark.parametrize(
    ("made_of", "asked", "reason"),
    [
        ({"name": "server"}, {}, "InvalidRuntime"),
        ({"args": ["{{range .X}}"]}, {}, "InvalidRuntime"),
        ({}, {"model": {"runtime": "none-such"}}, "RuntimeNotFound"),
        ({}, {"model": {}}, "NoRuntime"),
        (
            {},
            {"template": {"spec": {"containers": [{"name": "user-container", "ports": []}]}}},
            "InvalidTemplate",
        ),
        ({"image": "x", "tty": "maybe"}, {}, "InvalidTemplate"),  # no PodSpec
    ],
)
def test_what_breaks_a_rule_is_told_by_the_condition_and_by_the_waiting(
    here: Space, made_of: Any, asked: Any, reason: str
) -> None:
    made = service(here, **asked)
    apply(here, runtime(here, **made_of), made)
    condition = eventually(lambda: ready_condition(here))
    assert (condition["status"], condition["reason"]) == ("False", reason)
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=30, patience=1.0)
    assert f"the platform says: {reason}: {condition['message']}" in error.value.message


def test_waiting_for_an_update_is_not_over_with_what_was_there_before(
    here: Space, node: Kubelet
) -> None:
    apply(here, runtime(here), made := service(here, place=node.place))
    settled(here, node, first := node.pod(here.namespace))
    wait(here.target, rollout_of(made), timeout=20)
    changed = service(here, "2", node.place)
    apply(here, changed)
    rollout = rollout_of(changed)
    assert not rollout.is_ready(here.api.read(rollout.glance))
    with waiting(lambda: wait(here.target, rollout, timeout=30)) as waits:
        second = node.pod(here.namespace, beside=(first,))
        node.says(here.namespace, second, READY, phase="Running", name="user-container")
    assert waits.error is None
    assert here.heard("MLService/llm: 1 of 1 replicas ready")


def test_the_cause_is_looked_for_in_the_pods_behind_the_service(here: Space, node: Kubelet) -> None:
    made = service(here, place=node.place)
    copied = copy.deepcopy(made["spec"]["releases"][0]["predictor"]["containersResources"])
    copied[0]["resources"]["limits"]["nvidia.com/gpu"] = 8
    made["spec"]["releases"][0]["predictor"]["containersResources"] = copied
    apply(here, runtime(here), made)
    with pytest.raises(RolecallError, match=r"no node has enough nvidia\.com/gpu free") as error:
        wait(here.target, rollout_of(made), timeout=30, patience=2.0)
    assert "the pod asks for nvidia.com/gpu 8" in error.value.message
