"""What a deploy to a cluster ends with: an answer of the model, and where it is served."""

from __future__ import annotations

from rolecall.api import Host
from rolecall.cluster.target import ClusterTarget
from rolecall.events import Message, Stream
from roles.k8s.access import address, inside, published, reached
from roles.server.client import QUESTION, Sampling, ask


def say_where(target: ClusterTarget, host: Host, stream: Stream, *, changed: bool) -> None:
    """Tell the address; after a change, ask the model first.

    Raises:
        RolecallError: it does not answer.
    """
    if changed:
        with reached(target, host) as url:
            said = ask(url, QUESTION, Sampling(60, temperature=0.0))
        stream.emit(Message(host.name, f"{QUESTION}\n{said.strip()} …", "good"))
    url = address(host, target.api.read([published(host)])[0])
    where = url or f"{inside(host)} in the cluster"
    stream.emit(Message(host.name, f"serving at {where}"))
