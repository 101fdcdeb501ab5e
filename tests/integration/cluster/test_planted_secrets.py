"""A full run on a cluster with planted secrets: only Secrets of the namespace hold one."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from tests.integration.cluster.desk import (
    IMAGE,
    Desk,
    claim_filled,
    node_double,
    pods_go_well,
    project,
)
from tests.integration.security.planted import Planted
from tests.rig.kubernetes.cluster import Cluster

NAMES = ("REGISTRY_PASSWORD", "HUB_TOKEN", "API_KEY")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("desk") / "project")


def test_no_secret_turns_up_outside_of_secrets(
    root: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    planted = Planted({name: f"pl4nted-{secrets.token_hex(12)}" for name in NAMES})
    desk = Desk(root, tmp_path, cluster, namespace, cluster.kubeconfig)
    said: dict[str, str] = {}

    def type_(*words: str, status: int | None = 0, hosts: str = "cluster") -> None:
        shown = desk.inv(*words, status=status, hosts=hosts, env=planted.environment)
        said[" ".join(words)] = shown

    cluster.controllers()
    with node_double(cluster) as (client, node), planted.watched_processes() as shown:
        scheduling = {
            "node_selector": node.place["nodeSelector"],
            "tolerations": node.place["tolerations"],
        }
        registry = {"username": "me", "password": "!env REGISTRY_PASSWORD"}
        k8s = {"image": IMAGE, "registry": registry, "rolling": {"min_ready": 0}}
        desk.write(
            "cpu",
            "kubernetes",
            k8s={**k8s, "scheduling": scheduling},
            model={"source": "hf://a/b", "token": "!env HUB_TOKEN"},
            server={"openai": True, "api_key": "!env API_KEY"},
        )
        hosts = desk.inventory / "hosts.yaml"
        hosts.write_text(hosts.read_text().replace("'!env API_KEY'", "!env API_KEY"))
        type_("plan", "--diff", "--verbose")
        with (
            claim_filled(cluster, namespace, "llm-data"),
            pods_go_well(node, client, namespace),
        ):
            type_("deploy", "--diff", "--verbose", status=None)
            type_("deploy", "--json")
            type_("drift", "--json")
            type_("settings")
            type_("status", "--json", status=None)
            type_("why", "secret:llm-secrets", status=None)
            objects = desk.kubectl("get", "secret", "-o", "json")
            kinds = "configmap,deployment,job,service,controllerrevision,networkpolicy,event"
            said["objects"] = desk.kubectl("get", kinds, "-o", "yaml")
            said["report"] = desk.run([str(root / "inv"), "report"], env=planted.environment)
            type_("destroy", "--yes", "--delete-data", "--verbose")
    type_("k8s", "--render", "out", hosts="")
    held = json.loads(objects)["items"]
    assert len(held) >= 2 and planted.within(objects), "the Secrets hold what was planted"
    assert shown == []
    found = {step: planted.within(text) for step, text in said.items()}
    assert {step: hits for step, hits in found.items() if hits} == {}
    assert planted.files(root / ".rolecall", desk.folder) == {}
