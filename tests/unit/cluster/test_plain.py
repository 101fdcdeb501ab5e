"""Kubeconfigs without programs to run: the same access as the official client finds in them."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolecall.cluster import kubeconfig as reader
from rolecall.cluster.plain import plain


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("all_proxy", raising=False)


def written(folder: Path, user: dict[str, Any], **cluster: Any) -> str:
    path = folder / "kubeconfig"
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "space"}},
        {"name": "bare", "context": {"cluster": "c", "user": "u"}},
    ]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": contexts,
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("user", [{"token": "secret"}, {}])
@pytest.mark.parametrize("context", ["here", "bare"])
def test_it_finds_what_the_official_client_finds(
    tmp_path: Path, user: dict[str, Any], context: str
) -> None:
    path = written(tmp_path, user, **{"insecure-skip-tls-verify": True})
    found = plain(context, path)
    assert found is not None
    configuration, namespace = reader._official(context, path)
    assert (found.server, found.namespace) == (configuration.host, namespace)
    assert found.headers() == reader._headers(configuration)
    assert found.verify == configuration.verify_ssl
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}},
        {"auth-provider": {"name": "oidc"}},
        {"username": "u", "password": "p"},
        {"tokenFile": "token"},
        {"token": "t", "as": "somebody"},
        {"client-certificate-data": "not base64"},
        {"client-certificate": "missing.pem"},
    ],
)
def test_what_needs_more_is_left_to_the_official_client(
    tmp_path: Path, user: dict[str, Any]
) -> None:
    assert plain("here", written(tmp_path, user)) is None


@pytest.mark.parametrize("option", ["proxy-url", "tls-server-name", "new-in-some-version"])
def test_so_is_a_way_to_the_server_that_is_not_the_direct_one(tmp_path: Path, option: str) -> None:
    assert plain("here", written(tmp_path, {"token": "t"}, **{option: "http://proxy"})) is None


def test_so_is_a_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, {"token": "t"})
    assert plain("here", path) is not None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert plain("here", path) is None


@pytest.mark.parametrize("text", ["", "[", "clusters: 7", "contexts: [{name: here}]"])
def test_a_file_that_is_no_kubeconfig_is_left_to_it_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    assert plain("here", str(path)) is None
    assert plain("here", str(tmp_path / "none")) is None


def test_a_context_that_is_not_there_is_left_to_it(tmp_path: Path) -> None:
    assert plain("elsewhere", written(tmp_path, {"token": "t"})) is None


def test_files_are_found_beside_the_kubeconfig_and_data_comes_first(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("of the file")
    name = {"certificate-authority": "ca.pem"}
    found = plain("here", written(tmp_path, {}, **name))
    assert found is not None
    assert found.authority == "of the file"
    data = base64.b64encode(b"of the data").decode()
    found = plain("here", written(tmp_path, {}, **name, **{"certificate-authority-data": data}))
    assert found is not None
    assert found.authority == "of the data"


def test_a_certificate_that_cannot_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    found = plain("here", written(tmp_path, {}, **{"certificate-authority": "ca.pem"}))
    assert found is not None
    with pytest.raises(ssl.SSLError):
        found.exchange()
