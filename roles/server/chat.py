"""A conversation with the served model, in the words of its own chat template."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from rolecall.errors import RolecallError
from roles.server.client import Sampling, stream
from roles.server.openai.front.chat_template import ConversationError, Template


@dataclass(frozen=True)
class ChatFormat:
    """How a conversation becomes a prompt: the model's template and its special tokens.

    The template is a file of the model, so it runs in a sandbox.
    """

    template: str
    tokens: dict[str, Any] = field(default_factory=dict)

    def prompt(self, messages: list[dict[str, str]]) -> str:
        """The text that asks the model for the next answer.

        Raises:
            RolecallError: the model has no template, or it cannot hold this conversation.
        """
        if not self.template:
            raise RolecallError(
                "the model brings no chat template, so it cannot hold a conversation",
                'ask it for a completion instead: ./inv chat --raw "Once upon a time"',
            )
        try:
            return Template(self.template, self.tokens).render(messages)
        except ConversationError as error:
            raise RolecallError(f"the model's chat template failed: {error}") from error


def answer(base_url: str, prompt: str, sampling: Sampling) -> str:
    """Print an answer as it comes and return it; Ctrl-C ends the answer, and the request."""
    pieces: list[str] = []
    with closing(stream(base_url, prompt, sampling)) as coming:
        try:
            for piece in coming:
                pieces.append(piece)
                sys.stdout.write(piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            sys.stdout.write(" … stopped")
    sys.stdout.write("\n")
    sys.stdout.flush()
    return "".join(pieces)


def converse(base_url: str, style: ChatFormat, sampling: Sampling) -> None:
    """Ask and answer until the user ends it with Ctrl-D."""
    messages: list[dict[str, str]] = []
    print("Ctrl-C stops an answer, Ctrl-D or /quit ends the conversation, /new starts another.")
    while True:
        try:
            question = input("> ").strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            continue
        if question == "/quit":
            return
        if question == "/new":
            messages.clear()
        elif question:
            messages.append({"role": "user", "content": question})
            said = ""
            try:
                said = answer(base_url, style.prompt(messages), sampling)
            except KeyboardInterrupt:  # before the answer has begun, or at its very end
                print(" … stopped")
            messages.append({"role": "assistant", "content": said.strip()})
