"""A user's desk: a copy of the project whose commands are run on a cluster, as the user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config

from tests.doubles.kubelet import Kubelet
from tests.integration.cli.project import copy_project
from tests.integration.deployed import ROOT
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

#: Nothing pulls it: the pods of these tests run nowhere.
IMAGE = "registry.example/team/rolecall:1"


def project(folder: Path) -> Path:
    """A copy of the project with both front ends."""
    made = copy_project(folder)
    for name in ("fab", "fabfile.py"):
        shutil.copy2(ROOT / name, made / name)
    return made


@dataclass
class Desk:
    """Commands of a project copy, with an inventory in which ``cluster`` is a namespace."""

    root: Path
    folder: Path
    cluster: Cluster
    namespace: str
    kubeconfig: Path
    context: str = CONTEXT

    def write(self, *groups: str, **host: Any) -> None:
        """Write the inventory: ``cluster`` in these groups and with these variables."""
        connection = {
            "k8s_context": self.context,
            "k8s_namespace": self.namespace,
            "k8s_kubeconfig": str(self.kubeconfig),
        }
        variables = {name: value for name, value in {**connection, **host}.items() if value}
        children: dict[str, Any] = {group: {"hosts": {"cluster": None}} for group in groups}
        children.setdefault("cpu", {"hosts": {}})["hosts"]["localhost"] = None
        self.inventory.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"all": {"children": children, "hosts": {"cluster": variables}}})
        for secret in ("REGISTRY_PASSWORD", "HUB_TOKEN"):
            text = text.replace(f"'!env {secret}'", f"!env {secret}")
        (self.inventory / "hosts.yaml").write_text(text)
        variables_of = self.inventory / "group_vars"
        if not variables_of.exists():
            shutil.copytree(self.root / "inventory/group_vars", variables_of)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    def command(self, *words: str, hosts: str = "cluster") -> list[str]:
        named = ["--hosts", hosts] if hosts else []
        return [str(self.root / "inv"), *words, *named, "--inventory", str(self.inventory)]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        return {**kept, "HOME": str(self.folder), **more}

    def inv(
        self,
        *words: str,
        hosts: str = "cluster",
        status: int | None = 0,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What a command printed; it has to end with ``status``."""
        return self.run(self.command(*words, hosts=hosts), status, env)

    def run(
        self, command: list[str], status: int | None = 0, env: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stdout, done.stdout
        assert status is None or done.returncode == status, done.stdout
        return done.stdout

    def kubectl(self, *arguments: str, **more: Any) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, **more)

    def names(self, kind: str) -> list[str]:
        return self.kubectl("get", kind, "-o", "name").split()


def eventually(ask: Callable[[], Any], timeout: float = 60.0) -> Any:
    """The first answer that is true."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if said := ask():
            return said
        time.sleep(0.1)
    raise AssertionError("it did not come")


@contextmanager
def node_double(cluster: Cluster) -> Iterator[tuple[ApiClient, Kubelet]]:
    """A node that runs nothing (:mod:`tests.doubles.kubelet`), of a cluster with controllers."""
    client = new_client_from_config(str(cluster.controllers().kubeconfig), CONTEXT)
    name = f"double-{uuid.uuid4().hex[:8]}"
    pair = cluster.plane.issuer.issue(name, hosts=["127.0.0.1"])
    with Kubelet(client, name, pair, **{"nvidia.com/gpu": "8"}) as node:
        yield client, node


@contextmanager
def claim_filled(cluster: Cluster, namespace: str, claim: str) -> Iterator[None]:
    """A volume made by hand for one claim."""
    name = f"by-hand-{namespace}"
    spec = {
        "capacity": {"storage": "200Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": namespace, "name": claim},
        "hostPath": {"path": "/nowhere"},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
    cluster.call("POST", "/api/v1/persistentvolumes", {**volume, "spec": spec})
    try:
        yield
    finally:
        cluster.call("DELETE", f"/api/v1/persistentvolumes/{name}")


@contextmanager
def pods_go_well(node: Kubelet, client: ApiClient, namespace: str) -> Iterator[None]:
    """Every pod of a namespace that comes to the node succeeds, if of a Job, or becomes ready.

    Those have addresses, at which nobody is (RFC 5737).
    """
    from kubernetes.client import CoreV1Api

    over, core, seen = threading.Event(), CoreV1Api(client), set[str]()

    def act() -> None:
        while not over.wait(0.1):
            listed: Any = core.list_namespaced_pod(namespace, _preload_content=False)
            for pod in json.loads(listed.data)["items"]:
                meta, spec = pod["metadata"], pod["spec"]
                name, container = meta["name"], spec["containers"][0]["name"]
                is_over = meta["uid"] in seen or "deletionTimestamp" in meta
                if spec.get("nodeName") != node.name or is_over:
                    continue
                with suppress(ApiException):  # gone meanwhile
                    log = node.log(name, container=container)
                    log.lines[:] = [f"a line of {container}"]
                    if any(owner["kind"] == "Job" for owner in meta.get("ownerReferences", [])):
                        state = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
                        log.over.set()
                        node.says(namespace, name, state, phase="Succeeded", name=container)
                    else:
                        up = {"ready": True, "started": True, "state": {"running": {}}}
                        address = f"192.0.2.{len(seen) % 254 + 1}"
                        node.says(
                            namespace, name, up, phase="Running", name=container, podIP=address
                        )
                    seen.add(meta["uid"])

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
