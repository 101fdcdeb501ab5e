"""``./inv drift`` on a cluster: what was edited there, and who owns it now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.desk import (
    IMAGE,
    Desk,
    claim_filled,
    node_double,
    pods_go_well,
    project,
)
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("desk") / "project")


def events(said: str, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in said.splitlines()]
    return [event for event in found if event["event"] == kind]


def test_an_edited_object_is_told_with_who_owns_the_field(
    root: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    desk = Desk(root, tmp_path, cluster, namespace, cluster.kubeconfig)
    cluster.controllers()
    with node_double(cluster) as (client, node):
        scheduling = {
            "node_selector": node.place["nodeSelector"],
            "tolerations": node.place["tolerations"],
        }
        k8s = {"image": IMAGE, "rolling": {"min_ready": 0}, "scheduling": scheduling}
        desk.write("cpu", "kubernetes", k8s=k8s)
        with (
            claim_filled(cluster, namespace, "llm-data"),
            pods_go_well(node, client, namespace),
        ):
            desk.inv("k8s")
            mark = cluster.mark()
            assert desk.inv("drift") == ""
            assert not [one for one in cluster.requests(mark) if one.writes or one.dry]

            desk.kubectl("scale", "deployment/llm", "--replicas=3")
            port = '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8100}]'
            desk.kubectl("patch", "service/llm", "--type=json", "-p", port, "--field-manager=joe")
            said = desk.inv("drift", "--json", status=2)
            fields = {
                (one["id"], field["field"]): field
                for one in events(said, "drift")
                for field in one["fields"]
            }
            replicas = fields["deployment:llm", "spec.replicas"]
            assert (replicas["was"], replicas["is"], replicas["due"]) == ("1", "3", "host")
            assert replicas["by"] == "kubectl"
            owners = {field["by"] for (id_, _), field in fields.items() if id_ == "service:llm"}
            assert "joe" in owners
            assert {id_ for id_, _ in fields} <= {"deployment:llm", "service:llm", "ready:llm"}
            shown = desk.inv("drift", status=2)
            assert "cluster  k8s  deployment:llm  spec.replicas: 1 → 3  (owned by kubectl" in shown

            desk.inv("k8s", "--force-conflicts")
            assert desk.inv("drift") == ""
            desk.write("cpu", "kubernetes", k8s={**k8s, "image": f"{IMAGE}2"})
            said = desk.inv("drift", "--json", status=2)
            dues = {
                field["due"]
                for one in events(said, "drift")
                for field in one["fields"]
                if field["is"] == IMAGE
            }
            assert dues == {"declared"}
            assert "k8s.image" in {one["name"] for one in events(said, "setting")}


def test_one_who_may_only_read_may_look(
    root: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    reader = cluster.user("reader", everything, namespace)
    desk = Desk(root, tmp_path, cluster, namespace, reader, "reader")
    desk.write("cpu", "kubernetes", k8s={"image": IMAGE})
    shown = desk.inv("drift", status=2)
    assert "deployment:llm  exists: yes → no" in shown
    assert "does not allow" in desk.inv("plan", status=None)
