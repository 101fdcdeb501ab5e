"""``chat``: find the served model of a host and talk to it."""

from __future__ import annotations

import json
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import ConfigError, RolecallError
from rolecall.loop.answers import parts
from rolecall.role import Host
from rolecall.session import Session
from rolecall.shell import quote
from roles.engine import role as engines
from roles.server.chat import ChatFormat, answer, converse
from roles.server.client import Sampling, is_ready
from roles.server.role import endpoint


def talk(project: Project, flags: Flags, question: str, sampling: Sampling, *, raw: bool) -> None:
    """Answer one question, or hold a conversation.

    Raises:
        RolecallError: nothing is served, or the server refuses.
        ConfigError: ``raw`` without a text to go on with.
    """
    if raw and not question:
        raise ConfigError("--raw needs a text to go on with", './inv chat --raw "Once upon a time"')
    for session, opened in project.look(flags, what=lambda _: []):
        with endpoint(opened.host, session.target) as url:
            _talk_to(session, opened.host, url, question, sampling, raw=raw)
        return


def _talk_to(
    session: Session, host: Host, url: str, question: str, sampling: Sampling, *, raw: bool
) -> None:
    if not is_ready(url):
        raise RolecallError(
            f"nothing is served on {host.name}: {url} is not ready",
            "./inv status shows why, ./inv deploy brings it up",
        )
    if raw:
        answer(url, question, sampling)
        return
    style = chat_format(session, host)
    if question:
        answer(url, style.prompt([{"role": "user", "content": question}]), sampling)
    else:
        converse(url, style, sampling)


def chat_format(session: Session, host: Host) -> ChatFormat:
    """The chat template and special tokens of the engine that the settings name."""
    path = engines.artifact(host).path
    names = ("chat_template.jinja", "tokenizer_config.json")
    script = "\n".join(
        f"rc_frame text; cat -- {quote(f'{path}/{name}')} 2>/dev/null" for name in names
    )
    texts = [part.text for part in parts(session.exchange(script)) if part.frame.kind == "text"]
    tokens: dict[str, Any] = json.loads(texts[1]) if texts[1] else {}
    return ChatFormat(
        texts[0], {name: value for name, value in tokens.items() if name.endswith("_token")}
    )
