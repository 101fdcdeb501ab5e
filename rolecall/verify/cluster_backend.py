"""Testinfra in a pod: each command is run through the API of the cluster, with its exit status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn

from testinfra.backend.base import BaseBackend, CommandResult

from rolecall.cluster.diagnosis.pods import is_ready
from rolecall.cluster.errors import NotFound
from rolecall.cluster.objects import Object
from rolecall.cluster.rollout import many, rollout_of
from rolecall.cluster.streams import Executed
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import RolecallError
from rolecall.resource import Resource, Skip
from rolecall.resources.cluster_ready import ClusterReady

#: Names the container that is meant where none is said (kubernetes.io, well-known annotations).
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Container:
    """A container of a running pod."""

    pod: str
    name: str

    @classmethod
    def of(cls, pod: Object) -> Container:
        """The one that a pod is about: what it says itself, else its first."""
        names = [str(one["name"]) for one in pod["spec"]["containers"]]
        said = str((pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER, ""))
        return cls(str(pod["metadata"]["name"]), said if said in names else names[0])


class ClusterBackend(BaseBackend):
    """Commands run in a pod that is ready, of the workload that the roles declare.

    It is looked for at the first command, and again when it has gone. The image has to have
    ``/bin/sh``.
    """

    NAME = "cluster"

    def __init__(self, target: ClusterTarget, declared: Iterable[Resource | Skip]) -> None:
        """``declared`` is what the roles declare for the cluster."""
        super().__init__(target.name)
        self._target = target
        ready = [one for one in declared if isinstance(one, ClusterReady)]
        self._rollouts = [rollout_of(one.manifest) for one in ready]
        self._container: Container | None = None

    @property
    def container(self) -> Container:
        """Where commands run.

        Raises:
            RolecallError: no pod is ready, or pods may not be listed.
        """
        if self._container is None:
            self._container = self._find()
        return self._container

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command; ``%s`` in it stand for the quoted ``args``.

        Raises:
            RolecallError: no pod is ready, or commands may not be run in it.
        """
        text = self.get_command(command, *args)
        try:
            ended = self._execute(text)
        except NotFound:  # replaced meanwhile
            self._container = None
            ended = self._execute(text)
        return self.result(ended.status, text.encode(), ended.output, ended.errors)

    def forward(self, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A local address that leads to a port of the pod.

        Raises:
            RolecallError: no pod is ready, or its ports may not be forwarded.
        """
        return self._target.api.forward(self._target.namespace, self.container.pod, port)

    def get_sudo_command(self, command: str, sudo_user: str | None) -> NoReturn:
        """There is no sudo. Raises ``RolecallError``."""
        raise RolecallError(
            "a container has no sudo: its commands run as its own user",
            "leave host.sudo() out of checks of a cluster",
        )

    def get_encoding(self) -> str:
        """What containers print is UTF-8; the usual way to ask would run a command for it."""
        return "utf-8"

    def _execute(self, text: str) -> Executed:
        where = self.container
        command = ["/bin/sh", "-c", text]
        api = self._target.api
        return api.execute(self._target.namespace, where.pod, where.name, command)

    def _find(self) -> Container:
        found = self._target.api.read([one for rollout in self._rollouts for one in rollout.pods])
        pods = [pod for answer in found for pod in many(answer)]
        ready = sorted((pod for pod in pods if is_ready(pod)), key=_newest_last)
        if ready:
            return Container.of(ready[-1])
        raise RolecallError(
            f"no check can be run in {self._target.name}: of {len(pods)} pods in namespace "
            f"{self._target.namespace} none is ready",
            f"./inv status --hosts {self._target.name} shows why",
        )


def _newest_last(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))
