"""The manifests of role k8s, judged by a real API server.

A namespace that enforces the Pod Security Standard ``restricted`` takes the pods as the defaults
have them; it judges pods, so each template is offered as one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.api import Api
from rolecall.cluster.fields import compare
from rolecall.cluster.objects import MANAGER, Object, Ref
from rolecall.errors import RolecallError
from roles.k8s.manifests import Manifests, manifests
from tests.doubles.t9k.controller import install
from tests.rig.kubernetes.cluster import CONTEXT, Cluster
from tests.unit.k8s.clusters import cluster as cluster_host

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

CPU = ("cpu", "kubernetes")
EVERYTHING = (
    "k8s.replicas=2",
    "k8s.autoscale={enabled: true, min: 2}",
    "k8s.ingress={host: llm.example, class_name: nginx, tls_secret: cert}",
    "k8s.network_policy={namespaces: [ingress], cidrs: [10.0.0.0/8], deny_egress: true}",
    "k8s.service={type: LoadBalancer, annotations: {a/b: c}}",
    "k8s.registry={username: me, password: !env WORD}",
    "model.source=hf://a/b",
    "model.token=!env WORD",
    "k8s.labels={team: nlp}",
    "k8s.annotations={example.com/owner: 'me & you'}",
    "k8s.env={HTTPS_PROXY: http://proxy.example}",
    "k8s.scheduling={node_selector: {a: b}, tolerations: [{key: a, operator: Exists}]}",
    "k8s.scheduling.affinity={podAntiAffinity: {}}",
    "server.openai=true",
    "server.api_key=!env WORD",
    "k8s.openai.resources={cpu: 1, memory: 512Mi}",
    "k8s.volume={storage_class: fast, access_modes: [ReadWriteMany], size: 1.5Ti}",
    "k8s.resources={cpu: 0.5, cpu_request: 250m, memory: 1.5Gi, memory_request: 1024Mi}",
)


@dataclass
class Place:
    """A namespace, and the API through which a run sees it."""

    api: Api
    namespace: str

    def made(self, groups: tuple[str, ...], *sets: str) -> Manifests:
        env = {"WORD": "top-secret"}
        return manifests(cluster_host(groups, *sets, namespace=self.namespace, env=env))


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with cluster.namespace(**RESTRICTED) as name:
        yield Place(Api(CONTEXT, str(cluster.kubeconfig), name, tmp_path / "cache"), name)


def pods(made: Manifests) -> Iterator[Object]:
    """A pod of each template."""
    for thing in (made.prepare, *made.workload):
        if thing is not None:
            template = thing["spec"]["template"]
            name = f"{thing['metadata']['name']}-pod"
            metadata = {
                **template["metadata"],
                "name": name,
                "namespace": thing["metadata"]["namespace"],
            }
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": template["spec"],
            }


def kubernetes_own(made: Manifests) -> list[Object]:
    """The objects of kinds that every cluster serves."""
    others = ("gateway.networking.k8s.io/", "monitoring.coreos.com/", "tensorstack.dev/")
    return [thing for thing in made.all() if not thing["apiVersion"].startswith(others)]


@pytest.mark.parametrize(
    ("groups", "sets"),
    [
        (CPU, ()),
        (CPU, EVERYTHING),
        (
            CPU,
            (
                "server.openai=true",
                "k8s.prepare.by=none",
                "k8s.shm=false",
                "k8s.rolling={surge: never, drain: 0}",
            ),
        ),
        (CPU, ("k8s.volume.access_modes=[ReadWriteOncePod]", "k8s.prepare.by=none")),
        (CPU, ("k8s.volume={claim: shared, existing: true}", "k8s.name=" + "n" * 40)),
        (("gpu", "kubernetes"), ("k8s.replicas=2",)),
        (("gpu_engine", "kubernetes"), ("k8s.gpu={resource: nvidia.com/mig-1g.5gb, count: 2}",)),
        (("gpu_vllm", "kubernetes"), ("k8s.autoscale.enabled=true",)),
        (("t9k", "t9k_published"), ("k8s.prepare={by: job, image: 'rolecall:1'}",)),
    ],
)
def test_every_object_is_accepted_as_it_is(
    place: Place, groups: tuple[str, ...], sets: tuple[str, ...]
) -> None:
    made = place.made(groups, *sets)
    for thing in kubernetes_own(made):
        place.api.apply(thing, dry_run=True)
        if thing["kind"] == "ServiceAccount":
            place.api.apply(thing)  # pods are admitted only where it is
    if groups[0] != "t9k":
        for pod in pods(made):
            place.api.apply(pod, dry_run=True)


def test_a_restricted_namespace_takes_only_what_may_do_no_more(place: Place) -> None:
    made = place.made(CPU, "server.openai=true")
    for thing in made.others:
        place.api.apply(thing)
    for pod in pods(made):
        for number, container in enumerate(pod["spec"]["containers"]):
            security: Any = {**container["securityContext"], "allowPrivilegeEscalation": True}
            changed = [*pod["spec"]["containers"]]
            changed[number] = {**container, "securityContext": security}
            with pytest.raises(RolecallError, match="allowPrivilegeEscalation"):
                place.api.apply({**pod, "spec": {**pod["spec"], "containers": changed}})


def ours(thing: Any) -> Any:
    """What was last written by us, and when; controllers may write meanwhile."""
    (entry,) = [one for one in thing["metadata"]["managedFields"] if one["manager"] == MANAGER]
    return thing["metadata"].get("generation"), entry


@pytest.mark.parametrize("sets", [(), EVERYTHING])
def test_what_was_applied_is_not_written_again(place: Place, sets: tuple[str, ...]) -> None:
    made = kubernetes_own(place.made(CPU, *sets))
    before = [place.api.apply(thing) for thing in made]
    found = place.api.read([Ref.of(thing) for thing in made])
    for thing, live in zip(made, found, strict=True):
        assert isinstance(live, dict)
        assert compare(thing, live) == (), thing["kind"]
    time.sleep(1.1)  # the time of a write is told in seconds
    after = [place.api.apply(thing) for thing in made]
    assert list(map(ours, after)) == list(map(ours, before))


@pytest.mark.parametrize("exactly", ["true", "false"])
def test_the_published_objects_are_accepted_and_not_written_again(
    place: Place, cluster: Cluster, exactly: str
) -> None:
    from kubernetes.config import new_client_from_config

    install(new_client_from_config(str(cluster.kubeconfig), CONTEXT))
    made = place.made(("t9k", "t9k_published"), f"k8s.published_exactly={exactly}")
    before = [place.api.apply(thing) for thing in made.workload]
    for thing, live in zip(made.workload, before, strict=True):
        assert compare(thing, live) == ()
    time.sleep(1.1)
    after = [place.api.apply(thing) for thing in made.workload]
    assert list(map(ours, after)) == list(map(ours, before))
