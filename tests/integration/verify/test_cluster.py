"""What is broken behind a deployment's back is found by the check that is about it, and no other.

The API server, its controllers and scheduler are real; the node is a double that runs nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.run import cluster_host
from rolecall.errors import RolecallError
from rolecall.role import Host
from rolecall.testing import converge
from rolecall.verify.cluster import ClusterView
from roles.k8s.manifests import manifests
from roles.k8s.role import k8s
from tests.doubles.kubelet import Kubelet
from tests.integration.cluster.desk import IMAGE, claim_filled, node_double, pods_go_well
from tests.integration.cluster.documented import documented_rules
from tests.integration.cluster.place import Place
from tests.integration.cluster.test_rights import user, without
from tests.integration.verify.checks_of import failing
from tests.rig.kubernetes.cluster import Cluster
from tests.unit.k8s.clusters import settings


@dataclass
class Service:
    """A deployed service, and ways to break it.

    Attributes:
        touched: a pod is no longer what its workload made.
    """

    place: Place
    node: Kubelet
    host: Host
    touched: bool = False

    def deploy(self, **more: Any) -> None:
        def declared(host: Host) -> Sequence[Any]:
            return list(k8s.resources(host))

        done = converge(
            declared,
            self.place.folder,
            target=self.place.target(**more),
            settings=self.host.all_settings,
        )
        bad = {id_: said for id_, said in done.outcomes.items() if said not in ("ok", "changed")}
        assert not bad, done.text

    def failing(self) -> dict[str, str]:
        return failing(self.place.target(), self.host)

    def comes_to(self, *names: str) -> dict[str, str]:
        """Wait until exactly these checks fail; what they say."""
        until = time.monotonic() + 20
        while (found := self.failing()).keys() != set(names):
            assert time.monotonic() < until, found
            time.sleep(0.2)
        return found

    def patch(self, what: str, patch: Any, *options: str) -> None:
        kind = "json" if isinstance(patch, list) else "merge"
        self.place.kubectl("patch", what, f"--type={kind}", "-p", json.dumps(patch), *options)

    def taken_pod(self) -> str:
        """The pod, which another is to follow."""
        self.touched = True
        return self.pod

    @property
    def pod(self) -> str:
        selector = "app.kubernetes.io/component=server"
        (name,) = self.place.kubectl("get", "pod", "-l", selector, "-o", "name").split()
        return name.removeprefix("pod/")


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        node_double(cluster) as (client, node),
        cluster.namespace() as name,
        claim_filled(cluster, name, "llm-data"),
        pods_go_well(node, client, name),
    ):
        scheduling = json.dumps(
            {"node_selector": node.place["nodeSelector"], "tolerations": node.place["tolerations"]}
        )
        known = settings(
            ("cpu", "kubernetes"),
            f"k8s.image={IMAGE}",
            f"k8s.scheduling={scheduling}",
            "k8s.rolling.min_ready=0",
        )
        place = Place(cluster, name, tmp_path_factory.mktemp("service") / "home")
        made = Service(place, node, cluster_host("cluster", name, known))
        made.deploy()
        made.comes_to()
        yield made


@pytest.fixture(autouse=True)
def mended(service: Service) -> Iterator[None]:
    """Other pods and a deploy mend whatever a test broke; then every check holds again."""
    before = service.pod
    yield
    if service.touched:
        service.place.kubectl("delete", f"pod/{before}", "--wait=false", "--ignore-not-found")
        service.touched = False
    service.deploy(force_conflicts=True)
    service.comes_to()


OBJECTS = "every_object_is_there_and_as_declared"
REPLICAS = "every_replica_is_of_this_deploy_and_ready"
ENDPOINTS = "the_service_leads_to_every_pod_that_is_ready"


def test_a_deployed_service_holds_every_check_and_nothing_is_written(service: Service) -> None:
    mark = service.place.cluster.mark()
    assert service.failing() == {}
    assert not [one for one in service.place.cluster.requests(mark) if one.writes]


def test_a_label_that_somebody_changed_is_named_with_both_values(service: Service) -> None:
    service.place.kubectl("label", "service/llm", "app.kubernetes.io/name=other", "--overwrite")
    said = service.comes_to(OBJECTS)[OBJECTS]
    assert "service:llm: metadata.labels" in said and "app.kubernetes.io/name" in said, said
    assert ": other (set by kubectl" in said and "(should be triton)" in said, said
    assert "./inv plan --hosts cluster --diff" in said


def test_an_object_that_is_gone_is_named(service: Service) -> None:
    service.place.kubectl("delete", "networkpolicy/llm")
    assert "networkpolicy:llm: exists: no (should be yes)" in service.comes_to(OBJECTS)[OBJECTS]


def test_a_service_that_is_gone_leads_nowhere(service: Service) -> None:
    service.place.kubectl("delete", "service/llm")
    said = service.comes_to(OBJECTS, ENDPOINTS)
    assert "there is no Service/llm in namespace" in said[ENDPOINTS]


def test_a_service_that_selects_other_pods_leads_nowhere(service: Service) -> None:
    service.patch("service/llm", {"spec": {"selector": {"app.kubernetes.io/name": "other"}}})
    said = service.comes_to(OBJECTS, ENDPOINTS)
    assert f"Service/llm leads to no pod; ready are {service.pod}" in said[ENDPOINTS]


def test_a_workload_that_was_scaled_down_is_not_as_declared(service: Service) -> None:
    service.place.kubectl("scale", "deployment/llm", "--replicas=0")
    said = service.comes_to(OBJECTS)[OBJECTS]
    assert "deployment:llm: spec.replicas: 0" in said and "(should be 1)" in said, said


def test_another_image_of_the_workload_is_found_in_its_pods_too(service: Service) -> None:
    service.place.kubectl("set", "image", "deployment/llm", "triton=example.test/other:2")
    said = service.comes_to(OBJECTS, "every_pod_runs_the_declared_image")
    assert "example.test/other:2" in said[OBJECTS]
    assert (
        f"/triton runs example.test/other:2, and should run {IMAGE}"
        in (said["every_pod_runs_the_declared_image"])
    )


def test_an_image_that_was_exchanged_in_the_pod_alone_is_found(service: Service) -> None:
    pod = service.taken_pod()
    service.place.kubectl("set", "image", f"pod/{pod}", "triton=example.test/other:2")
    service.comes_to("every_pod_runs_the_declared_image")


def test_a_pod_that_is_not_ready_is_told_with_what_it_does(service: Service) -> None:
    pod = service.taken_pod()
    service.node.says(
        service.place.namespace, pod, {"state": {"running": {}}, "started": True}, phase="Running"
    )
    said = service.comes_to(REPLICAS)[REPLICAS]
    assert "Deployment/llm: 0 of 1 replicas ready" in said and f"pod {pod}" in said, said


def test_a_pod_that_crashes_is_told_with_its_last_end(service: Service) -> None:
    pod = service.taken_pod()
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": _now()}
    up = {"ready": True, "started": True, "state": {"running": {}}, "restartCount": 3}
    service.node.says(
        service.place.namespace, pod, {**up, "lastState": {"terminated": ended}}, phase="Running"
    )
    (said,) = service.comes_to("no_pod_fails_or_was_started_again_lately").values()
    assert f"{pod}/triton was started again 3 times, lately at" in said
    assert "OOMKilled, status 137" in said


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_a_crash_of_long_ago_is_history(service: Service) -> None:
    pod = service.taken_pod()
    ended = {"exitCode": 1, "reason": "Error", "finishedAt": "2020-01-01T00:00:00Z"}
    up = {"ready": True, "started": True, "state": {"running": {}}, "restartCount": 1}
    service.node.says(
        service.place.namespace, pod, {**up, "lastState": {"terminated": ended}}, phase="Running"
    )
    assert service.failing() == {}


def test_what_is_on_the_volume_is_compared_by_its_record(service: Service) -> None:
    service.place.kubectl("annotate", "pvc/llm-data", "rolecall.dev/prepared=other", "--overwrite")
    assert "prepared:llm-data: content: other (should be " in service.comes_to(OBJECTS)[OBJECTS]


def test_an_object_that_nobody_wants_any_more_is_left_over(service: Service) -> None:
    labels = "app.kubernetes.io/managed-by=rolecall,app.kubernetes.io/instance=llm"
    service.place.kubectl("create", "configmap", "old")
    service.place.kubectl("label", "configmap/old", *labels.split(","))
    assert "ConfigMap/old" in service.comes_to(OBJECTS)[OBJECTS]


VOLUME = "the_volume_is_bound_and_big_enough"


def test_a_claim_without_a_volume_is_told(cluster: Cluster, service: Service) -> None:
    with cluster.namespace() as name:
        place = Place(cluster, name, service.place.folder)
        host = cluster_host("cluster", name, service.host.all_settings)
        of_volume = (f"test_{VOLUME}",)
        missing = failing(place.target(), host, of_volume)[VOLUME]
        assert f"there is no PersistentVolumeClaim/llm-data in namespace {name}" in missing
        claim = manifests(host).volume
        assert claim is not None
        place.api().apply(claim)
        said = failing(place.target(), host, of_volume)[VOLUME]
        assert "the claim llm-data is Pending, and should be Bound" in said
        assert f"kubectl -n {name} describe pvc llm-data" in said


def test_a_volume_that_is_too_small_is_told_with_both_sizes(service: Service) -> None:
    larger = cluster_host(
        "cluster",
        service.place.namespace,
        settings(("cpu", "kubernetes"), f"k8s.image={IMAGE}", "k8s.volume.size=201Gi"),
    )
    said = failing(service.place.target(), larger, (f"test_{VOLUME}",))[VOLUME]
    assert "has 200Gi, and should have 201Gi or more" in said


def test_a_pod_that_is_killed_is_followed_by_another_and_every_check_holds_again(
    service: Service,
) -> None:
    pod = service.pod
    service.place.kubectl("delete", f"pod/{pod}", "--grace-period=0", "--force")
    service.comes_to()
    assert service.pod != pod


def test_the_documented_rights_are_enough_and_a_missing_one_is_named(
    cluster: Cluster, service: Service, tmp_path: Path
) -> None:
    name = service.place.namespace
    who = user(cluster, name, tmp_path, documented_rules())
    assert failing(who.target(), service.host) == {}
    rules = without("list", "endpointslices", "discovery.k8s.io")
    fewer = Place(
        cluster, name, tmp_path, cluster.user(f"less-{name}", rules, name), f"less-{name}"
    )
    said = failing(fewer.target(), service.host)
    assert said.keys() == {ENDPOINTS}
    assert f"does not allow to list EndpointSlice in namespace {name}" in said[ENDPOINTS]


def test_checks_of_ones_own_look_at_objects_and_never_at_secrets(service: Service) -> None:
    view = ClusterView(service.place.target())
    assert view.namespace == service.place.namespace
    assert view.get("Service", "llm")["spec"]["ports"]
    component = {"app.kubernetes.io/component": "server"}
    assert [pod["metadata"]["name"] for pod in view.list("Pod", component)] == [service.pod]
    assert view.find("ConfigMap", "none") is None
    service.place.kubectl("create", "secret", "generic", "planted", "--from-literal=key=hunter2")
    secret = view.get("Secret", "planted")
    assert secret["data"]["key"].startswith("sha256:")
    assert "hunter2" not in str(view.list("Secret")) and "aHVudGVyMg" not in str(secret)
    wrong = (
        (("Service", "none"), "there is no Service/none in namespace"),
        (("Gadget", "one"), "Gadget is no kind that every cluster has"),
        (("Gadget", "one", "example.test/v1"), "the cluster does not know Gadget"),
    )
    for asked, words in wrong:
        with pytest.raises(RolecallError, match=words):
            view.get(*asked)
