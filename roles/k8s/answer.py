"""What a deploy to a cluster ends with: an answer of the model, and where it is served."""

from __future__ import annotations

from rolecall.api import Host
from rolecall.cluster.target import ClusterTarget
from rolecall.events import Message, Stream
from roles.k8s.access import address, inside, openai_address, published, reached
from roles.k8s.settings import K8s
from roles.server.client import QUESTION, Sampling, ask
from roles.server.openai.place import model_name
from roles.server.settings import Server


def say_where(target: ClusterTarget, host: Host, stream: Stream, *, changed: bool) -> bool:
    """Tell the address; after a change, ask the model first. False: nothing is to be served.

    Raises:
        RolecallError: it does not answer.
    """
    if host.settings(K8s).serves_nothing:
        stream.emit(Message(host.name, "k8s.replicas is 0: nothing serves until it is more"))
        return False
    if changed:
        with reached(target, host) as url:
            said = ask(url, QUESTION, Sampling(60, temperature=0.0))
        stream.emit(Message(host.name, f"{QUESTION}\n{said.strip()} …", "good"))
    found = target.api.read([published(host)])[0]
    where = address(host, found) or f"{inside(host)} in the cluster"
    stream.emit(Message(host.name, f"serving at {where}"))
    settings = host.settings(Server)
    if settings.openai:
        key = ", with the key of server.api_key" if settings.api_key else ""
        where = f"{openai_address(host, found)}, model {model_name(host)}{key}"
        stream.emit(Message(host.name, f"OpenAI API at {where}"))
    return True
