"""What a kubeconfig may hold, and how one that is of no use is told."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolecall.cluster.kubeconfig import Access, access
from rolecall.errors import ConfigError, RolecallError

SECRET = "s3cr3t-token"
VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def content(name: str = "one", user: Any = None, **context: Any) -> dict[str, Any]:
    """A kubeconfig of one context."""
    return {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example.org"}}],
        "users": [{"name": name, "user": {"token": SECRET} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
    }


def written(folder: Path, given: Any, name: str = "kubeconfig") -> str:
    path = folder / name
    path.write_text(given if isinstance(given, str) else yaml.safe_dump(given))
    return str(path)


def with_program(folder: Path, *command: str, **fields: Any) -> str:
    program = {"apiVersion": VERSION, "command": command[0], "args": list(command[1:])}
    return written(folder, content(user={"exec": {**program, **fields}}))


def script(folder: Path, text: str) -> str:
    path = folder / "login"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def credential(**status: str) -> str:
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def refusal(path: str, context: str = "one") -> RolecallError:
    """How the context is refused: on one screen, and without what is secret."""
    with pytest.raises(RolecallError) as raised:
        access(context, path)
    said = f"{raised.value.message}\n{raised.value.hint}"
    assert raised.value.hint
    assert SECRET not in said
    assert len(said) < 1000
    assert len(said.splitlines()) < 10
    return raised.value


@pytest.mark.parametrize("official", [False, True])
def test_no_context_has_to_be_the_current_one(tmp_path: Path, official: bool) -> None:
    user = {"token": SECRET, "username": "u"} if official else None  # only that one knows names
    found = access("one", written(tmp_path, content(user=user)))
    assert (found.server, found.namespace) == ("https://one.example.org", "default")
    assert found.configuration().host == found.server
    assert found.headers() == {"authorization": f"Bearer {SECRET}"}
    assert SECRET not in repr(found)


def test_the_current_context_may_be_one_that_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path, {**content(), "current-context": "gone"})
    assert access("one", path).configuration().host == "https://one.example.org"


def test_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path, content(namespace="space"), "first")
    second = written(tmp_path, {**content("two"), "users": []}, "second")
    third = written(tmp_path, {"users": content("two")["users"]}, "third")
    missing = str(tmp_path / "missing")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join((missing, first, second, third)))
    assert (access("one", "").server, access("one", "").namespace) == (
        "https://one.example.org",
        "space",
    )
    assert access("two", "").headers() == {"authorization": f"Bearer {SECRET}"}
    assert "did you mean" in refusal("", "tow").hint


def test_the_nearest_context_is_named(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, content("production")), "prodution")
    assert "has no context prodution" in error.message
    assert "did you mean production?" in error.hint


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "empty"),
        ("a: [", "line 1"),
        ("\tcontexts:", "cannot start any token"),
        ("- 1", "no kubeconfig"),
        ("seven", "no kubeconfig"),
        ("clusters: 7", "no kubeconfig"),
        ("contexts: [7]", "no kubeconfig"),
        ({"contexts": [{"context": {}}]}, "no kubeconfig"),
        ({**content(), "users": None}, "has no user one"),
        ({**content(), "clusters": []}, "has no cluster one"),
        ({**content(), "users": [{"name": "one", "token": SECRET}]}, "key user"),
        ({**content(), "clusters": [{"name": "one", "server": SECRET}]}, "key cluster"),
        ({**content(), "contexts": [{"name": "one"}]}, "key"),
        (content(user=[SECRET]), "user of one"),
        (content(user={"exec": SECRET}), "(exec)"),
        (content(user={"exec": {"command": "login"}}), "apiVersion"),
        (content(user={"client-certificate": "gone.pem"}), "gone.pem"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, given: Any, says: str) -> None:
    path = written(tmp_path, given)
    error = refusal(path)
    assert path in error.message
    assert says in error.message


def test_neither_is_a_folder_nor_what_is_no_text_a_kubeconfig(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(str(tmp_path)).message
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert str(binary) in refusal(str(binary)).message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    error = refusal(path)
    assert isinstance(error, ConfigError)
    assert f"there is no kubeconfig {path}" in error.message
    assert "k8s_kubeconfig" in error.hint


def test_a_program_gives_the_token(tmp_path: Path) -> None:
    program = script(tmp_path, f"printf %s '{credential(token=SECRET)}'")
    found = access("one", with_program(tmp_path, program))
    assert found.headers() == {"authorization": f"Bearer {SECRET}"}


def test_a_token_that_has_expired_is_asked_for_anew(tmp_path: Path) -> None:
    said = credential(token="$(cat n)", expirationTimestamp="2020-01-01T00:00:00Z")
    count = f"cd {tmp_path}; echo x >>n; said=$(wc -l <n)"
    program = script(tmp_path, f"{count}; cat <<E\n{said.replace('$(cat n)', '$said')}\nE")
    found = access("one", with_program(tmp_path, program))
    tokens = [found.headers()["authorization"].split()[1] for _ in range(2)]
    assert int(tokens[0]) < int(tokens[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo you are not logged in >&2; exit 3", "you are not logged in"),
        (f"echo {SECRET}", "decode"),
        (f"""echo '{{"token": "{SECRET}"}}'""", "apiVersion"),
        (f"printf %s '{credential(password=SECRET)}'", "missing token"),
        (f"printf %s '{credential(clientCertificateData=SECRET)}'", "clientKeyData"),
    ],
)
def test_a_program_that_fails_is_told_with_its_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    error = refusal(with_program(tmp_path, script(tmp_path, text)))
    assert f"its program {tmp_path / 'login'} gave no credentials" in error.message
    assert says in error.message
    assert "log in again" in error.hint
    assert capfd.readouterr() == ("", "")


def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    error = refusal(with_program(tmp_path, "no-such-login"))
    assert "its program no-such-login gave no credentials" in error.message
    assert "No such file" in error.message
    assert "is it installed?" in error.hint


def test_nothing_is_left_that_logs(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    refusal(with_program(tmp_path, "no-such-login"))
    assert logging.getLogger().handlers == before


def test_an_access_has_no_secret_in_its_words(tmp_path: Path) -> None:
    found: Access = access(
        "one", written(tmp_path, content(user={"username": "u", "password": SECRET}))
    )
    assert SECRET not in repr(found)
    assert found.headers()["authorization"].startswith("Basic ")
