"""The rig itself: what the other tests of clusters rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rig.kubernetes import build, programs
from tests.rig.kubernetes.cluster import Cluster

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: localhost/none}]}
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: localhost/none}]}
"""


def test_a_namespace_is_ones_own(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "create", "configmap", "a", "--from-literal=b=c")
    with cluster.namespace() as other:
        assert cluster.kubectl("-n", other, "get", "configmaps", "-o", "name") in (
            "",
            "configmap/kube-root-ca.crt\n",
        )


def test_pods_are_admitted_also_without_controllers(cluster: Cluster, namespace: str) -> None:
    assert "pod/p created" in cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=POD)


def test_requests_are_counted_by_the_server_itself(cluster: Cluster, namespace: str) -> None:
    before = cluster.mark()
    cluster.kubectl("-n", namespace, "create", "configmap", "a", "--from-literal=b=c")
    cluster.kubectl("-n", namespace, "get", "configmap", "a")
    cluster.kubectl("-n", namespace, "delete", "configmap", "a", "--dry-run=server")
    seen = [r for r in cluster.requests(before) if r.resource == "configmaps"]
    assert [(r.verb, r.name, r.writes) for r in seen] == [
        ("create", "a", True),
        ("get", "a", False),
        ("delete", "a", False),
    ]
    assert all(r.namespace == namespace and r.user == "admin" for r in seen)
    assert all(r.agent.startswith("kubectl/") for r in seen)
    assert cluster.requests(cluster.mark()) == ()


def test_a_user_may_do_what_its_rules_say_and_nothing_else(
    cluster: Cluster, namespace: str
) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    kubeconfig = cluster.user("reader", [rule], namespace)

    def may(*what: str) -> str:
        option = f"--kubeconfig={kubeconfig}"
        return cluster.kubectl(option, "auth", "can-i", *what, check=False).strip()

    assert may("list", "configmaps") == "yes"
    assert may("create", "configmaps") == "no"
    assert may("list", "configmaps", "-n", "default") == "no"


def test_controllers_act_on_what_is_written(cluster: Cluster, namespace: str) -> None:
    cluster.controllers().kubectl("-n", namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    deadline = time.monotonic() + 60
    while len(cluster.kubectl("-n", namespace, "get", "pods", "-o", "name").split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert cluster.controllers() is cluster


def test_a_killed_run_leaves_no_server_behind(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.rig.kubernetes.serve", str(tmp_path)]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert server.stdout is not None
    assert server.stdout.readline().startswith("export KUBECONFIG=")
    assert _running(tmp_path)
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    deadline = time.monotonic() + 10
    while _running(tmp_path):
        assert time.monotonic() < deadline, _running(tmp_path)
        time.sleep(0.1)


def test_a_folder_that_lacks_a_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "etcd").touch()
    monkeypatch.setenv(programs.ASSETS, str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="has no kube-apiserver, kubectl"):
        programs.find()


def test_what_a_folder_lacks_comes_from_a_build_of_the_same_version(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in programs.SERVER:
        (tmp_path / name).symlink_to(cluster.plane.programs(name))
    monkeypatch.setenv(programs.ASSETS, str(tmp_path))
    found = programs.find()
    assert found.folder == tmp_path
    if build.cached():
        assert Path(found("kube-scheduler")).parent == build.cached()
    (tmp_path / "old").mkdir()
    other = tmp_path / "old/kube-apiserver"
    other.write_text("#!/bin/sh\necho Kubernetes v1.20.2\n")
    other.chmod(0o755)
    with pytest.raises(pytest.skip.Exception, match="old has no kube-scheduler"):
        programs.Programs(other.parent)("kube-scheduler")


def test_without_go_and_without_a_build_the_skip_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(programs.ASSETS, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="Go is not installed"):
        programs.find()


def test_a_build_of_another_go_is_used_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = build._place("go1.99")
    place.mkdir(parents=True)
    (place / "complete").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.cached() == place


def _running(folder: Path) -> list[str]:
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/rolecall-cluster-" in command:
            lines.append(command)
    return lines
