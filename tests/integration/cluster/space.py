"""A namespace of a real cluster for one test, and what is said there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from rolecall.cluster.api import Api
from rolecall.cluster.target import ClusterTarget
from tests.rig.kubernetes.cluster import CONTEXT, Cluster


@dataclass
class Space:
    """A namespace, as a target and as a client of the API.

    Attributes:
        said: what has been said through the target so far.
        told: how far it was said to be: what, done, of how many.
    """

    client: ApiClient
    api: Api
    namespace: str
    said: list[str] = field(default_factory=list)
    told: list[tuple[str, float, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def target(self) -> ClusterTarget:
        def tell(label: str, done: float, total: float) -> None:
            self.told.append((label, done, total))

        return ClusterTarget(
            "cluster", self.api, self.namespace, say=self.said.append, tell=tell, stop=self.stop
        )

    @property
    def core(self) -> CoreV1Api:
        return CoreV1Api(self.client)

    def heard(self, words: str, timeout: float = 30.0) -> str:
        """The first line said with these words, for which it waits."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if found := [line for line in list(self.said) if words in line]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"nobody said {words!r}; said was: {self.said}")


@contextmanager
def space(cluster: Cluster, cache: Path) -> Iterator[Space]:
    """A namespace of a cluster whose controllers and scheduler run, gone afterwards."""
    from kubernetes.config import new_client_from_config

    with cluster.controllers().namespace() as name:
        client = new_client_from_config(str(cluster.kubeconfig), CONTEXT)
        yield Space(client, Api(CONTEXT, str(cluster.kubeconfig), name, cache), name)


class Relay:
    """Carries connections to the API server, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and every new one at once."""
        self._is_cut = True
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def relayed(cluster: Cluster, directory: Path) -> Iterator[tuple[Relay, Path]]:
    """A relay to the cluster, and a kubeconfig that goes through it."""
    relay = Relay(cluster.plane.address, cluster.plane.port)
    path = directory / "relayed.yaml"
    direct = cluster.kubeconfig.read_text()
    path.write_text(direct.replace(cluster.server, f"https://127.0.0.1:{relay.port}"))
    try:
        yield relay, path
    finally:
        relay.close()


@contextmanager
def waiting(act: Any) -> Iterator[Waiting]:
    """``act`` in a thread of its own, as a run has it while a test is the cluster."""
    one = Waiting(act)
    one.thread.start()
    yield one
    one.thread.join(60)
    assert not one.thread.is_alive(), "it still waits"


class Waiting:
    """Something that goes on; ``error`` is how it ended, if not well."""

    def __init__(self, act: Any) -> None:
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(act,), daemon=True)

    def _run(self, act: Any) -> None:
        try:
            act()
        except BaseException as error:
            self.error = error

    def failed(self, timeout: float = 60.0) -> Any:
        """Its error, for which it waits."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "it still waits"
        assert self.error is not None, "it ended well"
        return self.error
