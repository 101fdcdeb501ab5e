"""What every served model has to be able to do, on a host as on a cluster: asserted by checks."""

from __future__ import annotations

from rolecall.api import Host
from roles.server import questions
from roles.server.client import QUESTION, Sampling, ask, served, stream
from roles.server.openai.place import model_name
from roles.server.settings import Server

#: Always the likeliest token.
SURE = Sampling(24, temperature=0.0)


def assert_same_twice(url: str, logs: str) -> None:
    """The same question has the same answer. ``logs`` is the command that shows what went on."""
    first, second = (ask(url, QUESTION, SURE).strip() for _ in range(2))
    assert first, f"the answer to {QUESTION!r} is empty\nnext: {logs}"
    assert first == second, (
        f"asked twice, the model answers otherwise:\n  {first}\n  {second}\n"
        "next: see repo and engine settings that make answers vary"
    )


def assert_in_pieces(url: str, logs: str) -> None:
    """A stream comes in pieces, and says what the answer in one piece does."""
    whole = ask(url, QUESTION, SURE)
    pieces = [piece for piece in stream(url, QUESTION, SURE) if piece]
    assert pieces, f"the stream ended without a word\nnext: {logs}"
    if served(url, stream=True).decoupled:
        assert len(pieces) > 1, f"the stream was one piece: {pieces[0]!r}\nnext: {logs}"
    assert "".join(pieces).strip() == whole.strip(), (
        f"the stream says\n  {''.join(pieces)}\nand the answer in one piece\n  {whole}"
    )


def assert_openai(base: str, host: Host, logs: str) -> None:
    """The OpenAI API at ``base`` (it ends in ``/v1``) names its model, and chats.

    Where the settings have a key, it answers nobody without it.
    """
    key = host.settings(Server).api_key
    given = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    health = questions.status("GET", f"{base.removesuffix('/v1')}/health")
    assert health == 200, f"/health of the OpenAI API answers {health}, not 200\nnext: {logs}"
    if key:
        refused = questions.status("GET", f"{base}/models")
        assert refused == 401, (
            f"/v1/models answers {refused} without the key, not 401\nnext: ./inv deploy sets it"
        )
    names = questions.openai_models(base, given)
    assert names == [model_name(host)], (
        f"the models are {names}, and should be {model_name(host)}\nnext: ./inv deploy sets it"
    )
    said = questions.openai_chat(base, names[0], QUESTION, given)
    assert said.strip(), f"the answer to {QUESTION!r} is empty\nnext: {logs}"
