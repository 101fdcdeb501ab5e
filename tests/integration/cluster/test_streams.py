"""What goes on in a pod, through the API: its log, commands in it, its ports."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rolecall.cluster.api import Api
from rolecall.errors import RolecallError
from tests.rig.kubernetes.cluster import CONTEXT
from tests.rig.kubernetes.node import IMAGE, Node

POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: one}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: pod, image: {IMAGE}, args: [serve, "8080"]}}]
"""


@pytest.fixture(scope="module")
def api(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A pod ``one`` that serves on 8080, in the namespace of an API."""
    cluster = node.cluster
    with cluster.namespace() as name:
        cluster.kubectl("-n", name, "apply", "-f", "-", stdin=POD)
        cluster.kubectl("-n", name, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
        yield Api(CONTEXT, str(cluster.kubeconfig), name, tmp_path_factory.mktemp("cache"))


def test_a_log_ends_where_it_ends_now(api: Api) -> None:
    assert next(api.logs(api.namespace, "one", "pod")) == "serving on 8080"


def test_a_followed_log_goes_on(api: Api) -> None:
    lines: list[str] = []
    seen = threading.Event()

    def follow() -> None:
        for line in api.logs(api.namespace, "one", "pod", follow=True):
            lines.append(line)
            if line == "GET /later":
                seen.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    with api.forward(api.namespace, "one", 8080) as (host, port):
        _get(f"http://{host}:{port}/later")
    assert seen.wait(30), lines


def test_a_command_is_waited_for_to_its_end_and_tells_how_it_ended(api: Api) -> None:
    ended = api.execute(api.namespace, "one", "pod", ["/pod", "no-such-mode"])
    assert (ended.status, ended.output) == (2, b"")
    assert ended.errors == b"unknown mode: no-such-mode\n"


def test_a_program_that_is_not_in_the_container_is_no_exit_status(api: Api) -> None:
    with pytest.raises(RolecallError, match="/none in container pod of Pod/one could not be run"):
        api.execute(api.namespace, "one", "pod", ["/none", "x"])


def test_a_command_in_a_pod_that_is_not_there_is_refused(api: Api) -> None:
    with pytest.raises(RolecallError, match="two"):
        api.execute(api.namespace, "two", "pod", ["/pod"])


def test_a_forwarded_port_carries_many_connections_at_once(api: Api) -> None:
    with (
        api.forward(api.namespace, "one", 8080) as (host, port),
        ThreadPoolExecutor(16) as threads,
    ):
        answers = list(threads.map(_get, [f"http://{host}:{port}/"] * 64))
    assert set(answers) == {"one\n"}


def test_a_port_that_nobody_listens_on_ends_the_connection(api: Api) -> None:
    with api.forward(api.namespace, "one", 8099) as (host, port), pytest.raises(ConnectionError):
        _get(f"http://{host}:{port}/")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())
