"""A namespace of a real cluster for one test, and what is said there."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from rolecall.cluster.api import Api
from rolecall.cluster.target import ClusterTarget


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
def space(kubeconfig: Path, context: str, cache: Path) -> Iterator[Space]:
    """A namespace with pods' default account, gone afterwards."""
    from kubernetes.config import new_client_from_config

    client = new_client_from_config(str(kubeconfig), context)
    core = CoreV1Api(client)
    name = f"t-{uuid.uuid4().hex[:10]}"
    core.create_namespace({"metadata": {"name": name}})
    until = time.monotonic() + 30
    while not core.list_namespaced_service_account(name).items:  # pods need it
        assert time.monotonic() < until, "is the controller manager running?"
        time.sleep(0.05)
    try:
        yield Space(client, Api(context, str(kubeconfig), name, cache), name)
    finally:
        core.delete_namespace(name, grace_period_seconds=0)


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
