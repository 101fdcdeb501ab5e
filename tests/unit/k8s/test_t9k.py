"""Flavour t9k: the published objects, and what makes them work."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rolecall.errors import ConfigError
from roles.k8s.manifests import Manifests, manifests
from tests.unit.k8s.clusters import cluster, kinds, one

PUBLISHED = ("t9k", "t9k_published")

#: The values of t9k/examples (c468c41), deployments/triton-tensorrtllm/mlservice-runtime.yaml.
RUNTIME = """
apiVersion: tensorstack.dev/v1beta1
kind: MLServiceRuntime
metadata: {name: triton-tensorrtllm}
spec:
  enabled: true
  template:
    spec:
      containers:
        - name: user-container
          image: t9kpublic/triton-tensorrtllm:20240307
          args: [python3, launch_triton_server.py, '--model_repo={{.MODEL_REPO_PATH}}']
          resources: {limits: {cpu: 4, memory: 64Gi, nvidia.com/gpu: 1}}
          ports: [{containerPort: 8000}]
"""

#: Those of mlservice.yaml beside it.
SERVICE = """
apiVersion: tensorstack.dev/v1beta1
kind: MLService
metadata: {name: llama2-7b-chat-triton-tensorrtllm}
spec:
  default: v1
  releases:
    - name: v1
      predictor:
        minReplicas: 1
        model:
          runtime: triton-tensorrtllm
          parameters: {MODEL_REPO_PATH: /workspace/inflight_batcher_llm}
        containersResources:
          - name: user-container
            resources: {limits: {cpu: 4, memory: 64Gi, nvidia.com/gpu: 1}}
        storage:
          pvc: {name: triton-tensorrtllm, mountPath: /workspace}
"""


def made(*sets: str, groups: tuple[str, ...] = PUBLISHED, **more: Any) -> Manifests:
    return manifests(cluster(groups, *sets, **more))


def runtime(*sets: str) -> Any:
    return one(made(*sets).workload, "MLServiceRuntime")


def service(*sets: str) -> Any:
    return one(made(*sets).workload, "MLService")


def predictor(*sets: str) -> Any:
    (release,) = service(*sets)["spec"]["releases"]
    return release["predictor"]


def without_our_marks(thing: Any) -> Any:
    """An object but for its namespace and the labels that say who made it."""
    metadata = {
        key: value for key, value in thing["metadata"].items() if key not in {"namespace", "labels"}
    }
    return {**thing, "metadata": metadata}


def test_as_published_the_objects_equal_the_published_ones_in_every_field() -> None:
    both = made("k8s.published_exactly=true").workload
    assert [without_our_marks(thing) for thing in both] == [
        yaml.safe_load(RUNTIME),
        yaml.safe_load(SERVICE),
    ]


def test_beyond_that_there_is_only_what_makes_it_work() -> None:
    wanted = runtime()
    spec = wanted["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container.pop("workingDir") == "/opt/tritonserver"
    assert container.pop("volumeMounts") == [{"name": "shm", "mountPath": "/dev/shm"}]
    assert spec.pop("volumes") == [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
    ]
    assert without_our_marks(wanted) == yaml.safe_load(RUNTIME)
    wanted = service()
    template = wanted["spec"]["releases"][0]["predictor"].pop("template")
    assert set(template) == {"metadata"}
    assert without_our_marks(wanted) == yaml.safe_load(SERVICE)


def test_the_platforms_own_objects_do_not_pass_for_ours() -> None:
    # Knative gives the labels of a service's template to the Deployment that it makes.
    labels = predictor("k8s.labels={team: nlp}")["template"]["metadata"]["labels"]
    assert "app.kubernetes.io/managed-by" not in labels
    assert labels["app.kubernetes.io/instance"] == "llama2-7b-chat-triton-tensorrtllm"
    assert labels["team"] == "nlp"


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("k8s.shm=false", ("volumes", "volumeMounts")),
        ("k8s.t9k.working_dir=''", ("workingDir",)),
    ],
)
def test_each_of_it_can_be_left_out(setting: str, gone: tuple[str, ...]) -> None:
    text = str(runtime(setting))
    assert all(field not in text for field in gone)
    rest = {"volumes", "volumeMounts", "workingDir"} - set(gone)
    assert all(field in text for field in rest)
    assert "template" not in predictor("k8s.t9k.marks=false")


@pytest.mark.parametrize(
    "setting", ["k8s.image=other:1", "k8s.shm_size=4Gi", "k8s.t9k.working_dir=/elsewhere"]
)
def test_another_runtime_rolls_the_service(setting: str) -> None:
    assert service() != service(setting)
    assert predictor("k8s.t9k.marks=false") == predictor("k8s.t9k.marks=false", setting)


def test_what_was_prepared_anew_rolls_the_service() -> None:
    assert service() != service("repo.max_tokens_in_paged_kv_cache=5120")
    assert service() == service("server.ready_timeout=999")


def test_the_platforms_own_settings_reach_it() -> None:
    thing = service("k8s.t9k={queue: default, release: v2, max_replicas: 3}", "k8s.replicas=0")
    assert thing["spec"]["scheduler"] == {"t9kScheduler": {"queue": "default"}}
    assert thing["spec"]["default"] == "v2"
    (release,) = thing["spec"]["releases"]
    assert release["name"] == "v2"
    assert (release["predictor"]["minReplicas"], release["predictor"]["maxReplicas"]) == (0, 3)


def test_another_port_is_told_to_the_launcher() -> None:
    spec = runtime("server.http_port=9000")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["ports"] == [{"containerPort": 9000}]
    assert container["args"][-1] == "--http_port=9000"


def test_where_pods_run_is_the_services_to_say() -> None:
    template = predictor("k8s.scheduling.node_selector={gpu: l40s}")["template"]
    assert template["spec"] == {"nodeSelector": {"gpu": "l40s"}}


def test_a_notebook_that_fills_the_volume_needs_nothing_here() -> None:
    assert kinds([*made().all()]) == ["MLService", "MLServiceRuntime", "PersistentVolumeClaim"]


def test_a_job_leaves_the_repository_where_the_runtime_looks_for_it() -> None:
    everything = made("k8s.prepare={by: job, image: 'rolecall:1'}")
    assert everything.prepare is not None and everything.prepare_config is not None
    (container,) = everything.prepare["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "rolecall:1"
    paths = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert paths[0] == "/workspace"
    assert {"name": "HOME", "value": "/workspace"} in container["env"]
    said = yaml.safe_load(everything.prepare_config["data"]["group_vars.all.yaml"])
    assert said["repo"]["link"] == "/workspace/inflight_batcher_llm"
    # An engine's paths stand in the model repository: they have to be those of the pods.
    assert said["rolecall"]["home"] == "/workspace/rolecall"


@pytest.mark.parametrize(
    "setting",
    [
        "k8s.autoscale.enabled=true",
        "k8s.ingress.host=llm.example",
        "k8s.gateway={name: a, hostnames: [b.example]}",
        "k8s.service_monitor.enabled=true",
        "k8s.service.type=LoadBalancer",
        "k8s.network_policy.deny_egress=true",
    ],
)
def test_what_the_platform_has_no_place_for_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="flavour t9k has none"):
        made(setting)


def test_pods_have_the_account_that_is_set() -> None:
    service = one(made("k8s.service_account=reader").workload, "MLService")
    (release,) = service["spec"]["releases"]
    assert release["predictor"]["template"]["spec"] == {"serviceAccountName": "reader"}


def test_the_published_recipe_is_for_plain_kubernetes_as_well() -> None:
    everything = made("k8s.image=rolecall:1", groups=("t9k_published", "kubernetes"))
    limits = one(everything.workload, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert limits["resources"]["limits"] == {"cpu": "4", "memory": "64Gi", "nvidia.com/gpu": "1"}
