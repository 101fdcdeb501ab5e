"""What is tested: a served model, how it is reached, and what it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.run import host_of
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import ConfigError
from rolecall.run import HostPlan
from rolecall.targets import Target
from roles.bench.client import Asker, OpenAiAsker, TritonAsker
from roles.bench.prompts import Lengths, Tokens, Words
from roles.bench.workload import Api
from roles.server import questions
from roles.server.settings import Server


@dataclass(frozen=True)
class Subject:
    """A served model.

    Attributes:
        metrics: the base URL of Triton's metrics; empty where they are not reached.
        about: what it runs on and which versions serve it, for whoever reads the result.
    """

    name: str
    asker: Asker
    lengths: Lengths
    metrics: str = ""
    about: dict[str, str] = field(default_factory=dict)


@contextmanager
def subject(project: Project, flags: Flags, plan: HostPlan, api: Api) -> Iterator[Subject]:
    """The model that a host serves, with the connections that it takes.

    Raises:
        RolecallError: nothing is served there.
        ConfigError: the OpenAI API is asked for, and is off.
    """
    if isinstance(plan.target, ClusterTarget):
        with _in_cluster(plan, plan.target, api) as found:
            yield found
        return
    from roles.server.talk import tokenizer

    for session, opened in project.look(flags, what=lambda _: [], only=plan.target.name):
        host = opened.host
        server, text = host.settings(Server), tokenizer(session, host)
        _check(server, api, plan.target.name)
        about = {
            "cpus": str(host.facts.cpus),
            "memory_mib": str(host.facts.memory_mib),
            "arch": host.facts.arch,
            "gpu": host.fact("gpu.0.name") or "none",
        }
        with _ports(plan.target, server) as (triton, metrics, openai):
            yield _subject(plan, api, triton, metrics, openai, text, about)


@contextmanager
def _ports(target: Target, server: Server) -> Iterator[tuple[str, str, str]]:
    """The base URLs of Triton, its metrics and the OpenAI API, as they are reached from here."""
    with (
        target.forward(server.http_port) as http,
        target.forward(server.metrics_port) as metrics,
        target.forward(server.openai_port) as openai,
    ):
        yield _url(http), _url(metrics), f"{_url(openai)}/v1"


@contextmanager
def _in_cluster(plan: HostPlan, target: ClusterTarget, api: Api) -> Iterator[Subject]:
    from roles.k8s.access import reached, ready_pod, serving
    from roles.k8s.model_files import tokenizer

    host = host_of(plan)
    server = host.settings(Server)
    _check(server, api, plan.target.name)
    pod = str(ready_pod(target, host, target.api.read([serving(host)])[0])["metadata"]["name"])
    text = tokenizer(target, host)
    with (
        reached(target, host) as triton,
        target.api.forward(target.namespace, pod, server.metrics_port) as metrics,
        target.api.forward(target.namespace, pod, server.openai_port) as openai,
    ):
        about = {"cluster": target.namespace}
        yield _subject(plan, api, triton, _url(metrics), f"{_url(openai)}/v1", text, about)


def _check(server: Server, api: Api, name: str) -> None:
    if api == "openai" and not server.openai:
        raise ConfigError(
            f"{name} does not serve the OpenAI API: server.openai is off",
            "leave --api away, or deploy with --set server.openai=true",
        )


def _subject(
    plan: HostPlan,
    api: Api,
    triton: str,
    metrics: str,
    openai: str,
    tokenizer_json: str,
    about: dict[str, str],
) -> Subject:
    server = plan.settings["server"]
    assert isinstance(server, Server)
    said = questions.server(triton)
    lengths: Lengths = Tokens(tokenizer_json) if tokenizer_json else Words()
    about = {**about, "triton": str(said.get("version", ""))}
    asker: Asker
    if api == "openai":
        key = server.api_key.get_secret_value() if server.api_key else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        asker = OpenAiAsker(openai, questions.openai_models(openai, headers)[0], key)
        about["model"] = asker.model
    else:
        asker = TritonAsker.of(triton)
        about["model"] = asker.model.name
    return Subject(plan.target.name, asker, lengths, metrics, about)


def _url(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"
