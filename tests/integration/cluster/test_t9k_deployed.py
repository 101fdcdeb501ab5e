"""The flavour ``t9k`` from nothing to an address and back, with doubles of platform and kubelet."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.doubles.t9k.controller import Controller, install
from tests.integration.cluster.desk import Desk, claim_filled, node_double, pods_go_well, project
from tests.rig.kubernetes.cluster import Cluster


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("desk") / "project")


def test_deploy_rolls_by_the_runtime_goes_back_and_is_destroyed(
    root: Path, cluster: Cluster, tmp_path: Path
) -> None:
    with (
        node_double(cluster) as (client, node),
        cluster.namespace() as namespace,
    ):
        desk = Desk(root, tmp_path, cluster, namespace, cluster.kubeconfig)
        scheduling = {
            "node_selector": node.place["nodeSelector"],
            "tolerations": node.place["tolerations"],
        }
        small = {"cpu": 1, "memory": "1Gi"}
        desk.write("t9k", "t9k_published", k8s={"scheduling": scheduling, "resources": small})
        install(client)
        with (
            Controller(client, namespace) as controller,
            claim_filled(cluster, namespace, "triton-tensorrtllm"),
            pods_go_well(node, client, namespace),
        ):
            first = desk.inv("k8s")
            assert re.search(r"changed +ready:MLService/\S+", first), first
            name = desk.names("mlservice")[0]
            said = json.loads(desk.inv("status", "--json").splitlines()[-1])
            url = desk.kubectl("get", name, "-o", "jsonpath={.status.address.url}")
            assert url and url in json.dumps(said)
            pods = set(desk.names("pod"))
            second = desk.inv("k8s")
            assert "changed=0" in second and "1 round trip" in second, second
            # A changed runtime alone would restart nothing; the mark on the service does.
            changed = desk.inv("k8s", "--set", "k8s.env={ADDED: '1'}")
            assert re.search(r"changed +mlserviceruntime:", changed), changed
            assert re.search(r"changed +mlservice:", changed), changed
            newer = {pod for pod in desk.names("pod") if pod not in pods}
            assert newer
            assert "ADDED" in desk.kubectl("get", newer.pop(), "-o", "yaml")
            back = desk.inv("rollback")
            assert re.search(r"changed +mlserviceruntime:", back), back
            assert "ADDED" not in desk.kubectl("get", "mlserviceruntime", "-o", "yaml")
            desk.inv("destroy", "--yes")
            assert desk.names("mlservice,mlserviceruntime,controllerrevision,lease") == []
            assert controller.errors == []
