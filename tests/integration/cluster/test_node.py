"""The rig's second tier: pods that run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.rig.kubernetes import room
from tests.rig.kubernetes.node import IMAGE, Node

POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: one, labels: {{app: one}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: pod
    image: {IMAGE}
    args: [serve, "8080"]
"""

WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsNonRoot: true, fsGroup: 65534}}
      containers:
      - name: pod
        image: {IMAGE}
        args: [serve, "8080"]
        readinessProbe: {{httpGet: {{path: /ready, port: 8080}}, periodSeconds: 1}}
        livenessProbe: {{httpGet: {{path: /live, port: 8080}}, periodSeconds: 1}}
        resources: {{limits: {{cpu: 100m, memory: 64Mi}}}}
        volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 100Gi}}}}
"""

JOB = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: job}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: pod, image: {IMAGE}, args: [none], command: [/none]}}]
"""


#: Ends with an error when two pods are there; says before what must not outlive it.
FAILS = """
from pathlib import Path
from tests.integration.cluster import test_node
from tests.rig.kubernetes.node import node

with node() as made, made.cluster.namespace() as space:
    print((Path("/proc") / str(made.room.leader) / "ns/pid").readlink(), flush=True)
    test_node.apply(made, space, test_node.WEB)
    test_node.wait(made, space, "--for=condition=Available", "deployment/web")
    print("ready", flush=True)
    input()
    raise SystemExit(7)
"""


@pytest.fixture
def space(node: Node) -> Iterator[str]:
    with node.cluster.namespace() as name:
        yield name


def test_a_pod_runs_and_its_log_is_read(node: Node, space: str) -> None:
    apply(node, space, POD)
    wait(node, space, "--for=condition=Ready", "pod/one")
    assert node.cluster.kubectl("-n", space, "logs", "one") == "serving on 8080\n"
    events = get(node, space, "events", "{range .items[*]}{.type} {.message}\\n{end}")
    assert "Warning" not in events


def test_a_program_is_started_in_a_running_pod(node: Node, space: str) -> None:
    apply(node, space, POD)
    wait(node, space, "--for=condition=Ready", "pod/one")
    with pytest.raises(AssertionError, match="unknown mode: x"):
        node.cluster.kubectl("-n", space, "exec", "one", "--", "/pod", "x")


def test_a_deployment_with_a_volume_answers_through_its_service(node: Node, space: str) -> None:
    apply(node, space, WEB)
    wait(node, space, "--for=condition=Available", "deployment/web")
    assert get(node, space, "pvc/data", "{.status.phase}") == "Bound"
    pods = set(get(node, space, "pods", "{.items[*].metadata.name}").split())
    assert len(pods) == 2
    address = get(node, space, "service/web", "{.spec.clusterIP}")
    seen: set[str] = set()

    def all_have_answered() -> bool:
        with suppress(AssertionError):  # the node's own tables follow a moment later
            seen.add(node.run("curl", "-sSf", "-m", "2", f"http://{address}/").strip())
        return seen == pods

    eventually(all_have_answered)


def test_a_pod_is_reached_through_a_forwarded_port(node: Node, space: str) -> None:
    apply(node, space, POD)
    wait(node, space, "--for=condition=Ready", "pod/one")
    with forwarded(node, space, "pod/one") as port:
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert answer.read() == b"one\n"


def test_a_job_that_fails_is_said_to_have_failed(node: Node, space: str) -> None:
    apply(node, space, JOB)
    wait(node, space, "--for=condition=Failed", "job/job")


def test_nothing_beyond_this_machine_is_reached(node: Node) -> None:
    assert "default" not in node.run("ip", "route")
    assert node.outside.startswith("10.214.")


@pytest.mark.parametrize("killed", [False, True], ids=["failed", "killed"])
def test_a_run_that_ends_badly_leaves_nothing_behind(
    node: Node, tmp_path: Path, killed: bool
) -> None:
    before = sysctls()
    with subprocess.Popen(
        [sys.executable, "-c", FAILS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as run:
        assert run.stdout is not None
        space = run.stdout.readline().strip()
        assert run.stdout.readline() == "ready\n", run.communicate()
        assert len(inside(space)) > 5  # containerd, kubelet, kube-proxy, what holds the pods
        if killed:
            run.send_signal(signal.SIGKILL)
        run.communicate("" if killed else "\n", timeout=60)
    assert run.returncode == (-signal.SIGKILL if killed else 7)
    eventually(lambda: not inside(space))
    eventually(lambda: not list(Path("/sys/class/net").glob(f"rn{run.pid}*")))
    if killed:
        room.sweep()  # as the next run does
    else:
        assert not list(tmp_path.iterdir())
    assert not list(room.CGROUPS.glob(f"**/rolecall-node-{run.pid}*"))
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert sysctls() == before


def apply(node: Node, space: str, manifests: str) -> None:
    node.cluster.kubectl("-n", space, "apply", "-f", "-", stdin=manifests)


def wait(node: Node, space: str, *what: str) -> None:
    node.cluster.kubectl("-n", space, "wait", "--timeout=90s", *what)


def get(node: Node, space: str, what: str, path: str) -> str:
    return node.cluster.kubectl("-n", space, "get", what, "-o", f"jsonpath={path}")


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def forwarded(node: Node, space: str, what: str) -> Iterator[int]:
    program, config = node.cluster.kubectl_program, node.cluster.kubeconfig
    command = [program, f"--kubeconfig={config}", "-n", space, "port-forward", what, ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            found = re.search(r"127.0.0.1:(\d+)", running.stdout.readline())
            assert found
            yield int(found[1])
        finally:
            running.kill()


def inside(space: str) -> list[int]:
    """The processes of a process namespace, such as ``pid:[4026532198]``."""

    def is_in(process: Path) -> bool:
        try:
            return str((process / "ns/pid").readlink()) == space
        except OSError:
            return False

    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if is_in(process)]


def sysctls() -> list[str]:
    names = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
    return [Path("/proc/sys", name).read_text() for name in names]
