"""The cluster that is measured: a real API server on loopback, and kubectl to ask it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.cluster.manifests import API_VERSIONS, KINDS, SELECTOR
from benchmarks.peers.environments import NotInstalled
from benchmarks.peers.measure import WrongResult, timed
from benchmarks.peers.tools import Invocation
from tests.rig.kubernetes import cluster

#: What an object is called: kind and name.
Key = tuple[str, str]


@dataclass(frozen=True)
class Server:
    """An API server, and how to reach it.

    Attributes:
        kubectl: of the server's own version.
        context: of ``kubeconfig``.
        home: of everybody who asks: kubectl keeps there what it has learned of the server.
    """

    kubectl: Path
    kubeconfig: Path
    context: str
    home: Path

    def call(self, namespace: str, *arguments: str) -> Invocation:
        """Kubectl in a namespace."""
        reach = ("--kubeconfig", str(self.kubeconfig), "--context", self.context)
        return Invocation((str(self.kubectl), *reach, "-n", namespace, *arguments), self.home)

    def list_call(self, namespace: str) -> Invocation:
        """One list of all objects: what every tool is compared with."""
        kinds = ",".join(KINDS)
        return self.call(namespace, "get", kinds, "-l", SELECTOR, "-o", "json")

    def run(self, namespace: str, *arguments: str) -> str:
        """The output of kubectl. Raises ``WrongResult``: it failed."""
        return timed(self.call(namespace, *arguments), self.home)[1]

    def version(self) -> str:
        """The server's."""
        said = json.loads(self.run("default", "version", "-o", "json"))
        return str(said["serverVersion"]["gitVersion"])

    def make(self, namespace: str) -> None:
        """Make a namespace."""
        self.run("default", "create", "namespace", namespace)

    def objects(self, namespace: str) -> dict[Key, Mapping[str, Any]]:
        """All objects of the benchmark that a namespace has."""
        call = self.list_call(namespace)
        done = subprocess.run(call.command, capture_output=True, text=True, check=True)
        items = json.loads(done.stdout)["items"]
        return {(item["kind"], item["metadata"]["name"]): item for item in items}

    def wipe(self, namespace: str) -> None:
        """Delete all of them.

        Raises:
            WrongResult: one is still there.
        """
        for kind in KINDS:
            plural, _, group = kind.partition(".")
            root = f"/apis/{API_VERSIONS[group]}" if group else "/api/v1"
            path = f"{root}/namespaces/{namespace}/{plural}?labelSelector={quote(SELECTOR)}"
            self.run(namespace, "delete", "--raw", path)
        if left := self.objects(namespace):
            raise WrongResult(f"namespace {namespace} still has {len(left)} objects")


def versions(objects: Mapping[Key, Mapping[str, Any]]) -> dict[Key, str]:
    """The resource version of each: it moves with every write."""
    return {key: str(item["metadata"]["resourceVersion"]) for key, item in objects.items()}


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """The API server of the tests, with etcd and without controllers: nobody else writes.

    Raises:
        NotInstalled: there are no programs for it, and they cannot be built.
    """
    home = folder / "home"
    home.mkdir()
    with ExitStack() as stack:
        try:
            made = stack.enter_context(cluster.cluster())
        except pytest.skip.Exception as reason:
            raise NotInstalled(str(reason)) from None
        yield Server(Path(made.kubectl_program), made.kubeconfig, cluster.CONTEXT, home)
