"""The Role of docs/kubernetes.md is enough, and a right that is missing is named in time."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import new_client_from_config

from rolecall.resources.cluster_leftovers import ClusterLeftovers
from rolecall.resources.cluster_object import ClusterObject
from rolecall.role import Host
from rolecall.testing import Result, converge
from roles.k8s.role import k8s
from tests.doubles.t9k.controller import install
from tests.integration.cluster.desk import (
    IMAGE,
    Desk,
    claim_filled,
    node_double,
    pods_go_well,
    project,
)
from tests.integration.cluster.documented import Rules, documented_rules
from tests.integration.cluster.place import Place
from tests.rig.kubernetes.cluster import CONTEXT, Cluster
from tests.unit.k8s.clusters import settings


def without(verb: str, resource: str, group: str) -> Rules:
    """The documented rules less one right."""
    kept: Rules = []
    found = False
    for rule in copy.deepcopy(documented_rules()):
        if group in rule["apiGroups"] and resource in rule["resources"]:
            assert verb in rule["verbs"]
            found = True
            rest = [one for one in rule["resources"] if one != resource]
            if rest:
                kept.append({**rule, "resources": rest})
            rule |= {"resources": [resource], "verbs": [v for v in rule["verbs"] if v != verb]}
        if rule["verbs"]:
            kept.append(rule)
    assert found
    return kept


def run(place: Place, *sets: str, check: bool = False) -> Result:
    """The role k8s with the settings of group cpu, by the user of ``place``."""

    def declared(host: Host) -> Sequence[Any]:
        return list(k8s.resources(host))

    return converge(
        declared,
        place.folder,
        target=place.target(),
        check=check,
        settings=settings(("cpu", "kubernetes"), f"k8s.image={IMAGE}", *sets),
    )


def user(cluster: Cluster, namespace: str, folder: Path, rules: Rules) -> Place:
    name = f"user-{namespace}"
    return Place(cluster, namespace, folder, cluster.user(name, rules, namespace), name)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("desk") / "project")


@pytest.fixture
def desk(root: Path, cluster: Cluster, tmp_path: Path) -> Iterator[Desk]:
    with cluster.controllers().namespace() as namespace:
        who = user(cluster, namespace, tmp_path, documented_rules())
        assert who.kubeconfig is not None
        yield Desk(root, tmp_path, cluster, namespace, who.kubeconfig, who.context)


def test_the_documented_role_is_enough_from_nothing_to_serving_and_back(desk: Desk) -> None:
    with (
        node_double(desk.cluster) as (client, node),
        claim_filled(desk.cluster, desk.namespace, "llm-data"),
        pods_go_well(node, client, desk.namespace),
    ):
        place = {name: node.place[name] for name in ("tolerations",)}
        scheduling = {**place, "node_selector": node.place["nodeSelector"]}
        described = {"image": IMAGE, "scheduling": scheduling, "rolling": {"min_ready": 0}}
        desk.write("cpu", "kubernetes", k8s=described)
        mark = desk.cluster.mark()
        desk.inv("plan", "--diff")
        first = desk.inv("k8s")
        assert re.search(r"changed +prepared:llm-data", first), first
        assert re.search(r"changed +ready:Deployment/llm", first), first
        second = desk.inv("k8s")
        assert "changed=0" in second and "1 round trip" in second, second
        status = desk.inv("status")
        assert "running, ready" in status and f"from image {IMAGE}" in status, status
        # The checks that look at objects; no port of these pods can be forwarded.
        verified = desk.inv("verify", "--pytest", "-k 'volume or declared or replica or service'")
        assert "verify.py::test_every_pod_runs_the_declared_image[cluster] PASSED" in verified
        assert " failed" not in verified and " error" not in verified, verified
        said = json.loads(desk.inv("status", "--json").splitlines()[-1])
        assert IMAGE in json.dumps(said)
        assert "a line of triton" in desk.inv("logs")
        # A change rolls the pods, and can be taken back.
        changed = desk.inv("k8s", "--set", "server.grpc_port=8011")
        assert re.search(r"ok +prepared:llm-data", changed), changed
        assert re.search(r"changed +ready:Deployment/llm", changed), changed
        assert "8011" in desk.kubectl("get", "service/llm", "-o", "yaml")
        back = desk.inv("rollback")
        assert re.search(r"changed +deployment:llm", back), back
        assert "8011" not in desk.kubectl("get", "deployment/llm", "-o", "yaml")
        # Room for something else: nothing is asked, since nothing serves.
        roomy = desk.inv("deploy", "--set", "k8s.replicas=0")
        assert "k8s.replicas is 0: nothing serves until it is more" in roomy, roomy
        assert "serving at" not in roomy and "chat" not in roomy, roomy
        idle = desk.inv("status", "--set", "k8s.replicas=0", status=1)
        assert "./inv deploy with more serves again" in idle and "./inv start" not in idle, idle
        desk.inv("destroy", "--yes")
        assert desk.names("pvc") == ["persistentvolumeclaim/llm-data"]
        desk.inv("destroy", "--yes", "--delete-data")
        assert desk.names("deploy,job,svc,pvc,secret,lease,controllerrevision") == []
        asked = [one for one in desk.cluster.requests(mark) if one.user.startswith("user-")]
        assert asked
        assert [one for one in asked if one.status == 403] == []


NEEDED = [
    ("get", "deployments", "apps"),
    ("list", "deployments", "apps"),
    ("create", "deployments", "apps"),
    ("patch", "deployments", "apps"),
    ("create", "configmaps", ""),
    ("patch", "persistentvolumeclaims", ""),
    ("create", "services", ""),
    ("list", "services", ""),
    ("create", "networkpolicies", "networking.k8s.io"),
    ("delete", "jobs", "batch"),
    ("create", "controllerrevisions", "apps"),
    ("update", "controllerrevisions", "apps"),
    ("get", "leases", "coordination.k8s.io"),
    ("create", "leases", "coordination.k8s.io"),
    ("delete", "leases", "coordination.k8s.io"),
    ("list", "pods", ""),
    ("list", "events", ""),
    ("list", "replicasets", "apps"),
    ("get", "pods/log", ""),
]


@pytest.mark.parametrize(("verb", "resource", "group"), NEEDED)
def test_a_missing_right_is_named_before_anything_is_written(
    cluster: Cluster, namespace: str, tmp_path: Path, verb: str, resource: str, group: str
) -> None:
    place = user(cluster, namespace, tmp_path, without(verb, resource, group))
    mark = cluster.mark()
    said = run(place).text
    assert "the cluster does not allow" in said, said
    singular = {"networkpolicies": "networkpolicy"}.get(resource, resource.removesuffix("s"))
    kind = singular.replace("pods/", "pod/")
    named = rf"{verb} {kind}(/\w+)?(\.{re.escape(group)})? in namespace {namespace}"
    assert re.search(named, said, re.IGNORECASE), said
    asked = [one for one in cluster.requests(mark) if one.user == place.context]
    written = [one for one in asked if one.writes and not one.dry]
    assert {one.resource for one in written} <= {"selfsubjectaccessreviews.authorization.k8s.io"}, (
        written
    )


UNUSED = {
    "endpointslices",
    "horizontalpodautoscalers",
    "httproutes",
    "ingresses",
    "mlserviceruntimes",
    "mlservices",
    "poddisruptionbudgets",
    "pods/exec",
    "secrets",
    "servicemonitors",
}


def test_rights_on_what_the_settings_do_not_use_may_be_left_out(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    install(new_client_from_config(str(cluster.kubeconfig), CONTEXT))  # so that it is asked for
    rules = [
        {**rule, "resources": [one for one in rule["resources"] if one not in UNUSED]}
        for rule in documented_rules()
    ]
    place = user(cluster, namespace, tmp_path, [rule for rule in rules if rule["resources"]])
    assert set(run(place, check=True).outcomes.values()) <= {"would change", "unknown until"}
    # What they do use has to be seen.
    said = run(place, "k8s.ingress.host=llm.example", "k8s.network_policy.namespaces=[a]").text
    assert "get ingress" in said.lower() or "list ingress" in said.lower(), said


def test_all_that_may_not_be_read_is_named_at_once(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    place = user(cluster, namespace, tmp_path, [])
    said = run(place).text
    for right in ("get lease.coordination.k8s.io", "list deployment.apps", "list service"):
        assert f"  {right} in namespace {namespace}" in said, said


def test_without_the_right_to_delete_what_is_left_over_nothing_is_written(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    Place(cluster, namespace, tmp_path / "admin").run(
        ClusterObject(Place(cluster, namespace, tmp_path).config("old"))
    )
    place = user(cluster, namespace, tmp_path, without("delete", "configmaps", ""))
    new = ClusterObject(place.config("new"))
    kinds = (("v1", "ConfigMap"),)
    rest = ClusterLeftovers("llm", namespace, kinds, frozenset({new.ref}))
    said = place.run(new, rest)
    assert f"delete configmap in namespace {namespace}" in said.text
    assert "configmap/new" not in place.names("configmap")
