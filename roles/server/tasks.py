"""The tasks of a served model: chat, status, start, stop, logs; and what deploy ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import Flags, choose_roles, from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import DEFAULT_HOSTS, Project, reported
from rolecall.cli.tasks import task
from rolecall.errors import ConfigError

if TYPE_CHECKING:
    from rolecall.events import Stream
    from rolecall.resource import Resource
    from rolecall.role import Host
    from rolecall.run import HostResult

N = TypeVar("N", int, float)

_CHAT_HELP = {
    "question": "Ask this and leave; without it, a conversation begins.",
    "raw": "Let the model go on with the text as it is, without its chat template.",
    "max_tokens": "The longest answer, in tokens.",
    "temperature": "0 always takes the likeliest token; higher is more varied.",
    "top_k": "Choose among this many likeliest tokens.",
    "top_p": "Choose among the likeliest tokens of this total probability.",
    "seed": "The same seed gives the same answer.",
}


def serving_tasks(project: Project) -> list[RolecallTask]:
    """Every task about the server."""
    return [
        chat_task(project),
        status_task(project),
        _switch_task(project, "start", "Start the server and wait until it is ready.", on=True),
        _switch_task(project, "stop", "Stop the server.", on=False),
        rollback_task(project),
        logs_task(project),
    ]


def chat_task(project: Project) -> RolecallTask:
    """``chat [QUESTION]``."""

    @task(
        positional="question",
        help=_CHAT_HELP,
        examples={
            '"What is machine learning?"': "one question",
            "--hosts gpu-1 --temperature 0": "a conversation, always the likeliest answer",
        },
    )
    def chat(
        _: invoke.Context,
        question: str = "",
        raw: bool = False,
        max_tokens: int = 256,
        temperature: str = "",
        top_k: str = "",
        top_p: str = "",
        seed: str = "",
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Ask the served model; the answer comes token by token.

        Ctrl-C stops an answer, Ctrl-D a conversation.
        """
        from roles.server.client import Sampling
        from roles.server.talk import talk

        with reported(project.state):
            sampling = Sampling(
                max_tokens,
                _number("temperature", temperature, float),
                _number("top-k", top_k, int),
                _number("top-p", top_p, float),
                _number("seed", seed, int),
            )
            flags = from_arguments(locals())
            talk(project, flags, question, sampling, raw=raw)

    return chat


def _number(name: str, text: str, kind: type[N]) -> N | None:
    try:
        return kind(text) if text else None
    except ValueError:
        raise ConfigError(f"--{name} {text!r} is not a number") from None


def status_task(project: Project) -> RolecallTask:
    """``status``."""

    @task(
        help={"verbose": "Show many hosts in full as well, which are a table otherwise."},
        examples={
            "": "this machine",
            "--hosts all --json": "every host, for programs",
        },
        ends={0: "every host serves", 1: "one does not serve, or could not be asked"},
    )
    def status(
        _: invoke.Context,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        json: bool = False,
        verbose: bool = False,
    ) -> None:
        """Show what is served where: ready or not, since when, from what."""
        from roles.server.status import show_status

        with reported(project.state, json=json):
            flags = from_arguments(locals())
            serving = show_status(project, flags, json=json)
        if not serving:
            raise Exit(code=1)

    return status


def _switch_task(project: Project, name: str, doc: str, *, on: bool) -> RolecallTask:
    def body(
        _: invoke.Context,
        check: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        json: bool = False,
        verbose: bool = False,
        lock_wait: str = "0",
    ) -> None:
        from roles.server.openai.service import services
        from roles.server.role import service

        def switched(host: Host) -> list[tuple[str, Resource]]:
            if host.kind == "cluster":
                raise ConfigError(
                    f"{host.name} is a cluster, and {name} is for hosts",
                    "k8s.replicas says how many pods serve there, and may be 0",
                )
            # Whoever asks Triton comes after it, and goes before it.
            order = [service(host), *services(host)][:: 1 if on else -1]
            return [("server", replace(one, running=on)) for one in order]

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            status = project.converge(name, flags, what=switched)
        if status:
            raise Exit(code=status)

    body.__name__ = name
    body.__doc__ = doc
    examples = {
        "": "on this machine",
        "--hosts gpu-1": "on another host",
    }
    return task(examples=examples)(body)


def rollback_task(project: Project) -> RolecallTask:
    """``rollback``."""

    @task(
        examples={
            "--check": "what would be served again",
            "--hosts gpu-1": "go back on one host",
        }
    )
    def rollback(
        _: invoke.Context,
        check: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
        json: bool = False,
        verbose: bool = False,
        lock_wait: str = "0",
    ) -> None:
        """Serve again what was served before, in one restart.

        ./inv deploy goes forward again.
        """
        from roles.server.rollback import roll_back

        flags = from_arguments(locals())
        with reported(project.state, json=json):
            status = roll_back(project, flags)
            if not (status or json or check):
                print("next: ./inv plan shows the way forward, ./inv deploy goes it")
        if status:
            raise Exit(code=status)

    return rollback


def logs_task(project: Project) -> RolecallTask:
    """``logs [-f]``."""

    @task(
        help={
            "follow": "Go on until Ctrl-C.",
            "lines": "How many lines to begin with.",
            "openai": "Of what speaks OpenAI's API in front of Triton.",
        },
        examples={
            "-f": "follow the log on this machine",
            "--hosts gpu-1 --lines 500": "the last 500 lines on another host",
        },
    )
    def logs(
        _: invoke.Context,
        follow: bool = False,
        lines: int = 50,
        openai: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Show the server's log."""
        from roles.server.logs import show_logs

        with reported(project.state):
            flags = from_arguments(locals())
            show_logs(project, flags, lines=lines, follow=follow, openai=openai)

    return logs


def show_answer(
    project: Project, result: HostResult, stream: Stream, flags: Flags, changed: bool
) -> None:
    """After a deploy: an answer of the model if anything changed, the endpoint, what is next."""
    from rolecall.cluster.target import ClusterTarget
    from rolecall.events import Message
    from roles.repo.settings import Repo
    from roles.server.client import QUESTION, Sampling, ask
    from roles.server.openai.place import openai_line
    from roles.server.openai.warning import warning
    from roles.server.place import Place
    from roles.server.role import endpoint
    from roles.server.settings import Server
    from roles.server.talk import asked_anew

    serves = "k8s" if isinstance(result.target, ClusterTarget) else "server"
    # A canary has to answer whatever it was that changed there.
    asked = serves in choose_roles(project.roles, flags) or flags.canary
    if result.host is None or not asked:
        return
    name = result.target.name
    if isinstance(result.target, ClusterTarget):
        from roles.k8s.answer import say_where

        if say_where(result.target, result.host, stream, changed=changed):
            stream.emit(Message(name, f"next: {_what_comes_next(project, flags, name)}"))
        return
    if changed:
        sampling = asked_anew(result.target, result.host, Sampling(60, temperature=0.0))
        with endpoint(result.host, result.target) as url:
            answer = ask(url, QUESTION, sampling)
        stream.emit(Message(name, f"{QUESTION}\n{answer.strip()} …", "good"))
    model = "tensorrt_llm" if result.host.settings(Repo).kind == "llmapi" else "ensemble"
    place = Place.of(result.host, result.target)
    stream.emit(
        Message(
            name,
            f"serving at {place.at(f'/v2/models/{model}/generate')}\n"
            f"{openai_line(result.host, place)}"
            f"next: {_what_comes_next(project, flags, name)}",
        )
    )
    if said := warning(result.host.settings(Server)):
        stream.emit(Message(name, said, "warning"))


def _what_comes_next(project: Project, flags: Flags, name: str) -> str:
    """Commands for the host that was deployed; one of them, where each would be long."""
    from roles.server.client import QUESTION

    hosts = "" if name == DEFAULT_HOSTS and not flags.fab_hosts else name
    if flags.fab_hosts or flags.set or flags.inventory:
        chat = project.command(flags, "chat", QUESTION, hosts=hosts)
        return f"{chat}   (likewise status, logs, destroy)"
    tasks = (("chat", QUESTION), ("status",), ("logs",), ("destroy",))
    return "   ".join(project.command(flags, *task, hosts=hosts) for task in tasks)
