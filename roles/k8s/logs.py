"""The logs of the pods that serve."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

from rolecall.api import Host, RolecallError
from rolecall.cluster.objects import Object
from rolecall.cluster.target import ClusterTarget
from roles.k8s import pods
from roles.k8s.access import serving
from roles.k8s.kubernetes.openai import NAME as OPENAI

#: Seconds between two looks for pods that have come meanwhile, and for an interrupt.
_LOOK = 2.0


def pod_logs(
    target: ClusterTarget, host: Host, lines: int, *, follow: bool, openai: bool = False
) -> Iterator[str]:
    """The last lines of each pod's log, and with ``follow`` what all of them say from then on.

    With several pods each line begins with its pod's name. ``openai``: of the container that
    speaks OpenAI's API.

    Raises:
        RolecallError: there is no pod.
    """
    known = pods.listed(target.api.read([serving(host)])[0])
    if not known:
        raise RolecallError(
            f"there is no log in {target.name}: nothing runs there",
            f"./inv deploy --hosts {target.name} starts it",
        )
    if follow:
        yield from _followed(target, host, known, lines, openai)
        return
    for pod in known:
        if len(known) > 1:
            yield f"==> {pod['metadata']['name']} <=="
        yield from _log(target, pod, lines, openai, follow=False)


def _log(
    target: ClusterTarget, pod: Object, lines: int, openai: bool, *, follow: bool
) -> Iterator[str]:
    name = str(pod["metadata"]["name"])
    known = list(pods.containers(pod))
    container = OPENAI if openai else known[0]
    if container not in known:
        raise RolecallError(
            f"pod {name} has no container {OPENAI}: nothing speaks OpenAI's API beside Triton",
            "set server.openai and deploy; what openai_kind triton says is in ./inv logs",
        )
    return target.api.logs(target.namespace, name, container, follow=follow, tail=lines)


def _followed(
    target: ClusterTarget, host: Host, known: Sequence[Object], lines: int, openai: bool
) -> Iterator[str]:
    """The lines of all pods as they come; pods that come later are followed too."""
    said: queue.Queue[str] = queue.Queue()
    heard: set[str] = set()

    def listen(pod: Object) -> None:
        name = pod["metadata"]["name"]
        try:
            with closing(_log(target, pod, lines, openai, follow=True)) as log:  # type: ignore[type-var]
                for line in log:
                    said.put(f"{name}  {line}")
        except RolecallError as error:
            said.put(f"{name}  {error.message}")

    while not target.interrupted:
        for pod in known:
            if pod["metadata"]["uid"] not in heard:
                heard.add(pod["metadata"]["uid"])
                threading.Thread(target=listen, args=(pod,), daemon=True).start()
        look = time.monotonic() + _LOOK
        while time.monotonic() < look and not target.interrupted:
            with suppress(queue.Empty):
                yield said.get(timeout=0.2)
        else:
            known = pods.listed(target.api.read([serving(host)])[0])
