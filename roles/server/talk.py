"""``chat``: find the served model of a host and talk to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.run import host_of
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import ConfigError, RolecallError
from rolecall.loop.answers import parts
from rolecall.loop.scripts import dialect
from rolecall.role import Host
from rolecall.session import Session
from rolecall.shell import quote
from rolecall.targets import Target
from roles.engine import role as engines
from roles.k8s.access import reached
from roles.k8s.model_files import description
from roles.model import role as models
from roles.repo.role import repository
from roles.server.chat import ChatFormat, answer, converse
from roles.server.client import Sampling, is_ready
from roles.server.openai.front.chat_template import Template
from roles.server.role import endpoint


def talk(project: Project, flags: Flags, question: str, sampling: Sampling, *, raw: bool) -> None:
    """Answer one question, or hold a conversation.

    Raises:
        RolecallError: nothing is served, or the server refuses.
        ConfigError: ``raw`` without a text to go on with.
    """
    if raw and not question:
        raise ConfigError("--raw needs a text to go on with", './inv chat --raw "Once upon a time"')
    plan = project.host_plans(flags)[0]
    if isinstance(plan.target, ClusterTarget):
        cluster, host = plan.target, host_of(plan)
        with reached(cluster, host) as url:
            _need_ready(url, host.name)
            about, formats = ("", []) if raw else description(cluster, host)
            chosen = None if raw else first_with_template(formats)
            _talk_to(url, question, _with_ids(sampling, about), chosen)
        return
    for session, opened in project.look(flags, what=lambda _: [], only=plan.target.name):
        with endpoint(opened.host, session.target) as url:
            _need_ready(url, opened.host.name)
            sampling = with_token_ids(session, opened.host, sampling)
            style = None if raw else chat_format(session, opened.host)
            _talk_to(url, question, sampling, style)


def _need_ready(url: str, host: str) -> None:
    if not is_ready(url):
        raise RolecallError(
            f"nothing is served on {host}: {url} is not ready",
            "./inv status shows why, ./inv deploy brings it up",
        )


def _talk_to(url: str, question: str, sampling: Sampling, style: ChatFormat | None) -> None:
    """Answer, or hold a conversation; without a style, go on with the text as it is."""
    if style is None:
        answer(url, question, sampling)
    elif question:
        answer(url, style.prompt([{"role": "user", "content": question}]), sampling)
    else:
        converse(url, style, sampling)


def with_token_ids(session: Session, host: Host, sampling: Sampling) -> Sampling:
    """``sampling`` with the ids that end and fill a sequence, where the repository names them."""
    path = repository(host).description
    if not path:
        return sampling
    return _with_ids(sampling, _texts(session, [path])[0])


def _with_ids(sampling: Sampling, description: str) -> Sampling:
    """``sampling`` with the ids that the text of a repository.json names."""
    said: dict[str, Any] = json.loads(description or "{}")
    ids = {name: said[name] for name in ("end_id", "pad_id") if isinstance(said.get(name), int)}
    return replace(sampling, **ids)


def asked_anew(target: Target, host: Host, sampling: Sampling) -> Sampling:
    """As :func:`with_token_ids`, for whoever has no session with the host any more."""
    if not repository(host).description:
        return sampling
    session = Session(target)
    try:
        session.tell(dialect(session.mark, host.facts.state_dir, "", "", is_root=True).opening())
        return with_token_ids(session, host, sampling)
    finally:
        session.close()


def chat_format(session: Session, host: Host) -> ChatFormat:
    """The chat template and special tokens of the model that the settings name.

    A built engine brings its own; else they are the model's. Hugging Face's tokenizers keep the
    template in ``chat_template.jinja`` or, earlier, in ``tokenizer_config.json``.
    """
    engine = engines.artifact(host)
    folders = [*([engine.path] if engine else []), models.artifact(host).path]
    names = ("chat_template.jinja", "tokenizer_config.json")
    texts = _texts(session, [f"{folder}/{name}" for folder in folders for name in names])
    if not any(texts):
        raise RolecallError(
            f"{host.name} has no model of these settings: in {' and '.join(folders)} there is no "
            "tokenizer",
            "deploy it, or give the --set options that it was deployed with; ./inv status shows "
            "what is served",
        )
    formats = [
        parse_format(template, config)
        for template, config in zip(texts[::2], texts[1::2], strict=True)
    ]
    return first_with_template(formats)


def tokenizer(session: Session, host: Host) -> str:
    """The text of the served model's tokenizer.json; empty where there is none."""
    engine = engines.artifact(host)
    folders = [*([engine.path] if engine else []), models.artifact(host).path]
    texts = _texts(session, [f"{folder}/tokenizer.json" for folder in folders])
    return next((text for text in texts if text), "")


def first_with_template(formats: Sequence[ChatFormat]) -> ChatFormat:
    """The first that can hold a conversation, else any."""
    usual = formats[0] if formats else ChatFormat("")
    return next((found for found in formats if found.template), usual)


def parse_format(template: str, tokenizer_config: str) -> ChatFormat:
    """The format from the two files' texts; an empty text is a file that is not there."""
    read = Template.read(template, tokenizer_config)
    return ChatFormat(read.text, dict(read.tokens))


def _texts(session: Session, paths: list[str]) -> list[str]:
    """The texts of files on the host; empty for those that are not there."""
    script = "\n".join(f"rc_frame text; cat -- {quote(path)} 2>/dev/null" for path in paths)
    return [part.text for part in parts(session.exchange(script)) if part.frame.kind == "text"]
