"""A double of the kubelet: a node that runs nothing, and says of pods what a test tells it to.

It stands in where no containers can run. The rest is real: the API server, the scheduler that
binds pods to the node, and the controllers that act on what is written here. It does what a
kubelet 1.34 does at the API, by file of k8s.io/kubernetes:

- it registers a Node with capacity, addresses and the port of its server, and renews its status
  and its Lease (pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go)
- it writes pod status by the states and reasons of its status manager; a test gives it these as
  :mod:`tests.unit.cluster.states` has them, which cites their sources
- it confirms a deletion by deleting with no grace period (pkg/kubelet/status/status_manager.go)
- its server answers ``/containerLogs/NAMESPACE/POD/CONTAINER`` with ``follow``, ``tailLines`` and
  ``previous`` (pkg/kubelet/server/server.go, getContainerLogs); the API server comes to it for
  the logs of a pod, over TLS
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, CoordinationV1Api, CoreV1Api
from kubernetes.client.exceptions import ApiException

from tests.rig.kubernetes.certificates import Pair

#: Seconds between two looks at its pods, and between two heartbeats.
LOOK, HEARTBEAT = 0.2, 5.0


@dataclass
class Log:
    """What a container has printed; ``over`` once it prints no more."""

    lines: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


class Kubelet:
    """A node called ``name``, from ``with`` to its end. ``pair`` is the certificate of its server.

    Only pods with the node selector and the toleration of :attr:`place` come to it.
    """

    def __init__(self, client: ApiClient, name: str, pair: Pair, **capacity: str) -> None:
        self.name = name
        self.logs: dict[tuple[str, str, bool], Log] = {}
        #: How often each log was asked for.
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self._core = CoreV1Api(client)
        self._leases = CoordinationV1Api(client)
        self._capacity = {"cpu": "8", "memory": "64Gi", "pods": "110", **capacity}
        self._pair = pair
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def place(self) -> dict[str, Any]:
        """What a pod needs in its spec to come here."""
        return {
            "nodeSelector": {"kubernetes.io/hostname": self.name},
            "tolerations": [{"key": "double", "operator": "Exists"}],
        }

    def __enter__(self) -> Kubelet:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.certificate, self._pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._register()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for log in self.logs.values():
            log.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._core.delete_node(self.name)

    def pod(self, namespace: str, *, beside: tuple[str, ...] = (), timeout: float = 20) -> str:
        """The name of a pod in a namespace that was bound to the node, none of ``beside``."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            names = [
                name
                for name, pod in self._pods(namespace)
                if name not in beside and not pod["metadata"].get("deletionTimestamp")
            ]
            if names:
                return names[0]
            time.sleep(0.1)
        raise AssertionError(f"no pod of {namespace} was bound to {self.name}")

    def says(
        self,
        namespace: str,
        pod: str,
        container: Mapping[str, Any],
        *,
        phase: str = "Pending",
        name: str = "triton",
        **status: Any,
    ) -> None:
        """Write a pod's status, with that of its only container."""
        is_ready = bool(container.get("ready"))
        conditions = [
            {"type": kind, "status": "True" if is_ready else "False"}
            for kind in ("Ready", "ContainersReady")
        ]
        full = {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        body = {
            "phase": phase,
            "startTime": _now(),
            "conditions": [*conditions, {"type": "Initialized", "status": "True"}],
            "containerStatuses": [{**full, **container}],
            **status,
        }
        self._core.patch_namespaced_pod_status(pod, namespace, {"status": body})

    def reports(
        self, namespace: str, pod: str, reason: str, message: str, *, container: str = ""
    ) -> None:
        """Report an event of a pod."""
        uid = self._core.read_namespaced_pod(pod, namespace).metadata.uid
        path = f"spec.containers{{{container}}}" if container else ""
        self._core.create_namespaced_event(
            namespace,
            {
                "metadata": {"generateName": f"{pod}."},
                "involvedObject": {
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": pod,
                    "uid": uid,
                    "fieldPath": path,
                },
                "type": "Normal" if reason in ("Pulling", "Started") else "Warning",
                "reason": reason,
                "message": message,
                "firstTimestamp": _now(),
                "lastTimestamp": _now(),
                "source": {"component": "kubelet", "host": self.name},
                "count": 1,
            },
        )

    def log(self, pod: str, *, previous: bool = False, container: str = "triton") -> Log:
        """The log of a container, made on first use."""
        return self.logs.setdefault((pod, container, previous), Log())

    def _run(self) -> None:
        beat = time.monotonic()
        while not self._over.wait(LOOK):
            with suppress(ApiException):  # gone meanwhile, or the server is away
                self._let_go()
                if time.monotonic() - beat > HEARTBEAT:
                    beat = time.monotonic()
                    self._beat()

    def _let_go(self) -> None:
        for name, pod in self._pods(""):
            if pod["metadata"].get("deletionTimestamp"):
                self._core.delete_namespaced_pod(
                    name, pod["metadata"]["namespace"], grace_period_seconds=0
                )

    def _pods(self, namespace: str) -> list[tuple[str, dict[str, Any]]]:
        where = f"spec.nodeName={self.name}"
        raw = self._core.list_pod_for_all_namespaces(
            field_selector=where, _preload_content=False
        ).data
        found = json.loads(raw)["items"]
        return [
            (one["metadata"]["name"], one)
            for one in found
            if namespace in ("", one["metadata"]["namespace"])
        ]

    def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name}
        taint = {"key": "double", "value": "kubelet", "effect": "NoSchedule"}
        self._core.create_node(
            {"metadata": {"name": self.name, "labels": labels}, "spec": {"taints": [taint]}}
        )
        self._leases.create_namespaced_lease(
            "kube-node-lease",
            {
                "metadata": {"name": self.name, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40},
            },
        )
        self._beat()

    def _beat(self) -> None:
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": _now(),
            "lastTransitionTime": _now(),
        }
        status = {
            "capacity": self._capacity,
            "allocatable": self._capacity,
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}},
        }
        self._core.patch_node_status(self.name, {"status": status})
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._leases.patch_namespaced_lease(
            self.name, "kube-node-lease", {"spec": {"renewTime": moment}}
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                parts = url.path.strip("/").split("/")
                query = parse_qs(url.query)
                if parts[0] != "containerLogs" or len(parts) != 4:
                    self.send_error(404)
                    return
                _, _, pod, container = parts
                node.asked.append((pod, query))
                log = node.log(pod, container=container, previous=query.get("previous") == ["true"])
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in _lines(log, query):
                    self._chunk(f"{line}\n".encode())
                self._chunk(b"")

            def _chunk(self, data: bytes) -> None:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Tests look at :attr:`Kubelet.asked`."""

        return Handler


def _lines(log: Log, query: Mapping[str, list[str]]) -> Iterator[str]:
    at = 0
    if "tailLines" in query:
        at = max(0, len(log.lines) - int(query["tailLines"][0]))
    follow = query.get("follow") == ["true"]
    while True:
        over = log.over.is_set()
        while at < len(log.lines):
            yield log.lines[at]
            at += 1
        if over or not follow:
            return
        log.over.wait(0.05)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
