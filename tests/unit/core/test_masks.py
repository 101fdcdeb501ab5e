"""Secrets never reach an event."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import SecretStr

from rolecall.events import Event, Message, Output, ResourceDone, RunStarted, Stream
from rolecall.inventory import load_inventory
from rolecall.masks import MASK, longest_first, secrets_in, settings_of, without
from rolecall.resource import Change
from rolecall.settings import Override, Settings, resolve
from rolecall.testing import Result


class Inner(Settings):
    password: SecretStr | None = None
    port: int = 1


class Hub(Settings):
    token: SecretStr | None = None
    inner: Inner = Inner()
    keys: tuple[SecretStr, ...] = ()
    environment: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    plain: str = "x"
    mirror: str = ""


def told(**values: object) -> dict[str, tuple[str, str]]:
    resolved = resolve({"hub": Hub}, [], [Override(("hub", k), v) for k, v in values.items()])
    return {name: (value, source) for name, value, source in settings_of(resolved["hub"])}


def test_settings_are_told_with_their_source_and_without_secrets() -> None:
    assert told(token="s3cret", inner={"password": "hidden"}, keys=["k1", "k2"], plain="y") == {
        "token": (MASK, "--set"),
        "inner.password": (MASK, "--set"),
        "inner.port": ("1", "default"),
        "keys": (f'["{MASK}", "{MASK}"]', "--set"),
        "environment": ("{}", "default"),
        "plain": ("y", "--set"),
        "mirror": ("", "default"),
    }


def test_a_secret_that_is_not_set_is_not_masked() -> None:
    assert told()["token"] == ("none", "default")


def test_a_password_in_an_address_is_masked() -> None:
    value, _ = told(mirror="https://me:pass@hub.example/simple http://open.example:80/a@b")[
        "mirror"
    ]
    assert value == f"https://me:{MASK}@hub.example/simple http://open.example:80/a@b"


def test_what_is_given_by_reference_is_masked_whatever_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "planted-4711")
    (tmp_path / "hosts.yaml").write_text(
        "all:\n  hosts:\n    a:\n  vars:\n    hub:\n"
        "      plain: !env PLANTED\n      environment: {KEY: !env PLANTED, OTHER: open}\n"
    )
    layers = load_inventory(tmp_path / "hosts.yaml").layers("a")
    resolved = resolve({"hub": Hub}, layers, [])["hub"]
    values = {name: value for name, value, _ in settings_of(resolved)}
    assert (values["plain"], values["environment"]) == (MASK, MASK)
    assert set(resolved.secrets.values()) == {"planted-4711"}
    assert "planted" not in repr(resolved).replace(repr(resolved.settings), "")


def test_every_secret_among_settings_is_found() -> None:
    hub = Hub(token=SecretStr("a"), inner=Inner(password=SecretStr("b")), keys=(SecretStr("c"),))
    assert list(secrets_in(hub)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "event",
    [
        Output("a", "act:x", "with planted-4711 in it"),
        Message("", "planted-4711"),
        RunStarted("", "r", "deploy", False, ("a",), command="--set x=planted-4711"),
        ResourceDone("a", "r", "x", "failed", (Change("f", "planted-4711", None),), "planted-4711"),
        Output("a", "act:x", "second line of a key"),
    ],
)
def test_a_stream_hides_secrets_in_every_event(event: Event) -> None:
    result = Result()
    stream = Stream([result])
    stream.hide(["planted-4711", "first line of a key\nsecond line of a key", "a", ""])
    stream.emit(event)
    stream.emit(Message("", "nothing is hidden"))
    assert "planted" not in result.text
    assert "second line" not in result.text
    assert MASK in result.text
    assert result.events[-1] == Message("", "nothing is hidden")
    assert result.events[0].host == event.host


@pytest.mark.parametrize("secret", ['hf_"a/b c+d\u00e9&=', "plain-token-123", "~~~???>>>"])
def test_a_secret_is_masked_as_other_programs_write_it(secret: str) -> None:
    data = secret.encode()
    written = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *(base64.b64encode(before + data + b":end").decode() for before in (b"", b"u:", b"us:")),
        *(base64.urlsafe_b64encode(before + data).decode() for before in (b"", b"u:", b"us:")),
    ]
    known = longest_first([secret])
    for text in written:
        masked = without(f"said: {text}", known)
        assert MASK in masked
        assert len(masked) <= len("said: ") + len(MASK) + 14, "no more than its edges is left"
