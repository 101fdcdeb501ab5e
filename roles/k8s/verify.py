"""What has to hold on a cluster after a deploy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rolecall.api import Host
from rolecall.cluster.diagnosis.objects import condition
from rolecall.cluster.quantity import quantity
from rolecall.cluster.target import ClusterTarget
from rolecall.verify.told import told
from roles.k8s import checks, pods, versions
from roles.k8s.access import address, published, reached, ready_pod, serving
from roles.k8s.manifests import manifests
from roles.k8s.objects import digest
from roles.k8s.settings import K8s
from roles.server import questions
from roles.server.answering import assert_in_pieces, assert_openai, assert_same_twice
from roles.server.client import is_ready
from roles.server.settings import Server

if TYPE_CHECKING:
    from rolecall.verify.cluster import ClusterView


@pytest.fixture
def url(target: ClusterTarget, described: Host) -> Iterator[str]:
    """The base URL of Triton's HTTP API: the service's own address, else a forwarded port."""
    with reached(target, described) as found:
        yield found


def test_the_volume_is_bound_and_big_enough(cluster: ClusterView, described: Host) -> None:
    """The claim has a volume of at least the size that is set."""
    volume = described.settings(K8s).volume
    claim = cluster.get("PersistentVolumeClaim", manifests(described).claim)
    name, status = claim["metadata"]["name"], claim.get("status") or {}
    assert status.get("phase") == "Bound", (
        f"the claim {name} is {status.get('phase')}, and should be Bound\n"
        f"next: kubectl -n {cluster.namespace} describe pvc {name}"
    )
    size = (status.get("capacity") or {}).get("storage", "0")
    if not volume.existing:
        assert (quantity(size) or 0) >= (quantity(volume.size) or 0), (
            f"the volume of claim {name} has {size}, and should have {volume.size} or more\n"
            "next: see whether its storage class can grow volumes"
        )


def test_every_object_is_there_and_as_declared(cluster: ClusterView, described: Host) -> None:
    """A deploy would change nothing: each object, the volume's content, and nothing left over."""
    differing = cluster.differences(checks.declared(described))
    assert not differing, (
        f"a deploy would change:\n{told(differing)}\nnext: ./inv plan --hosts {cluster.name} --diff"
    )


def test_every_replica_is_of_this_deploy_and_ready(cluster: ClusterView, described: Host) -> None:
    """The rollout is over."""
    for workload in checks.workloads(described):
        state = cluster.rollout(workload)
        lines = [*(one.what for one in state.troubles), *state.lines]
        assert state.ready, "\n".join(
            [
                f"{workload['kind']}/{workload['metadata']['name']}: {state.summary}",
                *(f"  {line}" for line in dict.fromkeys(lines)),
                f"next: ./inv deploy --hosts {cluster.name} waits for it, and says what it does",
            ]
        )


def test_every_pod_runs_the_declared_image(cluster: ClusterView, described: Host) -> None:
    """Also one whose image was exchanged in the pod itself."""
    wanted = checks.images(described)
    for workload in checks.workloads(described):
        others = list(checks.other_images(cluster.pods(workload), wanted))
        assert not others, "\n".join(
            [*others, f"next: delete the pods; kubectl -n {cluster.namespace} delete pod NAME"]
        )


def test_no_pod_fails_or_was_started_again_lately(cluster: ClusterView, described: Host) -> None:
    """Every container runs, and none has ended within the last ten minutes."""
    for workload in checks.workloads(described):
        failing = list(checks.failures(cluster.pods(workload)))
        assert not failing, "\n".join([*failing, f"next: ./inv logs --hosts {cluster.name}"])


def test_the_service_leads_to_every_pod_that_is_ready(
    cluster: ClusterView, described: Host
) -> None:
    """The Service's endpoints are the pods of the workload."""
    settings = described.settings(K8s)
    if settings.flavour == "t9k":
        pytest.skip("on T9k the platform makes the Services")
    cluster.get("Service", settings.name)
    led_to = checks.endpoints(cluster, settings.name)
    (workload,) = checks.workloads(described)
    ready = {pod["metadata"]["name"] for pod in cluster.pods(workload) if pods.ready(pod)}
    assert led_to == ready, (
        f"Service/{settings.name} leads to {_names(led_to)}; ready are {_names(ready)}\n"
        f"next: kubectl -n {cluster.namespace} describe service {settings.name}"
    )


def test_the_platform_says_that_the_service_is_ready(cluster: ClusterView, described: Host) -> None:
    """The condition Ready of the MLService is True, and it has an address."""
    live = cluster.get("MLService", _t9k(described).name, _API)
    ready = condition(live, "Ready")
    assert ready.get("status") == "True", (
        f"MLService/{live['metadata']['name']} is not Ready: "
        f"{ready.get('reason') or 'nothing is said of it'}: {ready.get('message') or ''}\n"
        f"next: ./inv deploy --hosts {cluster.name} waits for it, and says what it does"
    )
    assert address(described, live), (
        f"MLService/{live['metadata']['name']} has no status.address.url\n"
        "next: see the platform's console"
    )


def test_the_pods_are_of_the_present_runtime(cluster: ClusterView, described: Host) -> None:
    """T9k restarts nothing when only the runtime changes: the pods' mark is its digest."""
    from roles.k8s.t9k.manifests import RUNTIME

    settings = _t9k(described)
    if not settings.t9k.marks:
        pytest.skip("k8s.t9k.marks is off: nothing tells which runtime a pod is of")
    runtime, service = manifests(described).workload
    cluster.get("MLServiceRuntime", runtime["metadata"]["name"], _API)
    wanted = digest(runtime["spec"])
    old = [
        pod["metadata"]["name"]
        for pod in cluster.pods(service)
        if pods.ready(pod) and (pod["metadata"].get("annotations") or {}).get(RUNTIME) != wanted
    ]
    assert not old, (
        f"of an earlier MLServiceRuntime/{runtime['metadata']['name']}: {', '.join(old)}\n"
        f"next: ./inv deploy --hosts {cluster.name}"
    )


def test_the_address_answers(host: Any, cluster: ClusterView, described: Host, url: str) -> None:
    """What clients are told, from here or from where the pods are; else a pod's own port."""
    ref = published(described)
    clients = address(described, cluster.get(ref.kind, ref.name, ref.api_version))
    assert is_ready(url), f"{url} is not ready\nnext: ./inv logs --hosts {cluster.name}"
    if clients and clients != url:
        asked = host.run("python3 -c %s %s", _ASK, f"{clients}/v2/health/ready")
        assert asked.rc == 0, (
            f"{clients} answers neither from here nor from a pod: {asked.stderr.strip()}\n"
            "next: see the name's address, and what stands in front of the service"
        )


def test_every_model_is_ready(cluster: ClusterView, url: str) -> None:
    """Triton has loaded all models of its repository."""
    models = questions.models(url)
    others = {name: state for name, state in models.items() if state != "READY"}
    assert models and not others, "\n".join(
        [
            *(f"  model {name} is {state}, and should be READY" for name, state in others.items()),
            "Triton has models to serve" if models else "Triton has no model",
            f"next: ./inv logs --hosts {cluster.name}",
        ]
    )


def test_versions_agree(host: Any, cluster: ClusterView, described: Host, url: str) -> None:
    """The image, the settings, the engine on the volume, and the server that answers."""
    found = versions.Versions.of(host)
    differing = list(
        versions.disagreements(found, described, str(questions.server(url)["version"]))
    )
    assert not differing, "\n".join(
        [
            *differing,
            "next: ./inv image --build --push makes an image of these settings; set k8s.image",
            f"      to its name, then ./inv deploy --hosts {cluster.name}",
        ]
    )


def test_the_same_question_has_the_same_answer(cluster: ClusterView, url: str) -> None:
    """A real answer, and the likeliest one both times."""
    assert_same_twice(url, f"./inv logs --hosts {cluster.name}")


def test_an_answer_comes_in_pieces(cluster: ClusterView, url: str) -> None:
    """As a stream, with the same text as in one piece."""
    assert_in_pieces(url, f"./inv logs --hosts {cluster.name}")


def test_metrics_are_told(target: ClusterTarget, described: Host) -> None:
    """Each model's requests are counted, for Prometheus."""
    port = described.settings(Server).metrics_port
    with _forwarded(target, described, port) as base:
        text = questions.metrics(base)
    assert "nv_inference_request_success{" in text, (
        f"port {port} tells no nv_inference_request_success\nnext: ./inv logs --hosts {target.name}"
    )


def test_the_openai_api_names_its_model_and_answers(
    target: ClusterTarget, cluster: ClusterView, described: Host
) -> None:
    """Where ``server.openai`` asks for our front: one model, a chat; nothing without the key."""
    settings = described.settings(Server)
    if not settings.has_front:
        pytest.skip("server.openai asks for no front")
    with _forwarded(target, described, settings.openai_port) as base:
        assert_openai(f"{base}/v1", described, f"./inv logs --openai --hosts {cluster.name}")


@contextmanager
def _forwarded(target: ClusterTarget, host: Host, port: int) -> Iterator[str]:
    """The base URL of a port of a pod that is ready."""
    pod = ready_pod(target, host, target.api.read([serving(host)])[0])
    with target.api.forward(target.namespace, pod["metadata"]["name"], port) as (name, local):
        yield f"http://{name}:{local}"


_API = "tensorstack.dev/v1beta1"


#: Asks an address from a pod, which may have no curl.
_ASK = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=20)"


def _t9k(host: Host) -> K8s:
    settings = host.settings(K8s)
    if settings.flavour != "t9k":
        pytest.skip("flavour kubernetes has no MLService")
    return settings


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no pod"
