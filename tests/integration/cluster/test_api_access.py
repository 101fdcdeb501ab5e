"""Ways to log in to a real API server, and what it looks like where there is none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolecall.cluster.api import Api, Right
from rolecall.cluster.errors import Forbidden
from rolecall.cluster.objects import Ref
from rolecall.errors import ConfigError, RolecallError, UnreachableError
from tests.rig.kubernetes.certificates import Authority
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

#: Writes a kubeconfig like the rig's, with another user and some fields of its cluster replaced.
Writer = Callable[..., str]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rolecall.cluster.wire.PAUSES", ())
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def token(cluster: Cluster, namespace: str) -> str:
    """One of the namespace's service account."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    return str(cluster.call("POST", path, {"spec": {}})["status"]["token"])


@pytest.fixture
def write(cluster: Cluster, tmp_path: Path) -> Writer:
    def write(user: Any = None, name: str = "kubeconfig", **fields: Any) -> str:
        written = yaml.safe_load(cluster.kubeconfig.read_text())
        there = written["clusters"][0]["cluster"] | fields
        written["clusters"][0]["cluster"] = {k: v for k, v in there.items() if v is not None}
        if user is not None:
            written["users"][0]["user"] = user
        path = tmp_path / name
        path.write_text(yaml.safe_dump(written))
        return str(path)

    return write


def api(path: str, folder: Path, namespace: str = "", context: str = CONTEXT) -> Api:
    return Api(context, path, namespace, folder / "cache")


def one_screen(error: RolecallError, *secrets: str) -> str:
    said = f"{error.message}\n{error.hint}"
    assert error.hint
    assert len(said) < 1200
    assert len(said.splitlines()) < 12
    assert not [secret for secret in secrets if secret in said]
    return said


@pytest.mark.parametrize("way", ["token", "tokenFile", "exec"])
def test_a_token_is_a_way_in(
    write: Writer, tmp_path: Path, namespace: str, token: str, way: str
) -> None:
    file = tmp_path / "credential"
    version = "client.authentication.k8s.io/v1"
    if way == "exec":
        said = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}
        file.write_text(json.dumps(said))
        user: Any = {"exec": {"apiVersion": version, "command": "cat", "args": [str(file)]}}
    else:
        file.write_text(token)
        user = {way: token if way == "token" else str(file)}
    asked = api(write(user), tmp_path)
    with pytest.raises(Forbidden, match=f"system:serviceaccount:{namespace}:default") as raised:
        asked.read([Ref("v1", "ConfigMap", "one", namespace)])
    one_screen(raised.value, token)
    assert asked.version().startswith("v1.")


@pytest.mark.parametrize("way", ["token", "exec"])
def test_a_token_that_nobody_has_given_is_refused(
    write: Writer, tmp_path: Path, token: str, way: str
) -> None:
    version, wrong = "client.authentication.k8s.io/v1", f"{token[:-4]}AAAA"
    said = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": wrong}}
    program = {"apiVersion": version, "command": "printf", "args": ["%s", json.dumps(said)]}
    path = write({"token": wrong} if way == "token" else {"exec": program})
    with pytest.raises(RolecallError, match="credentials are refused") as raised:
        api(path, tmp_path).read([Ref("v1", "ConfigMap", "one", "default")])
    one_screen(raised.value, wrong)


def test_one_who_is_nobody_is_refused(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(RolecallError) as raised:
        api(write({}), tmp_path).read([Ref("v1", "ConfigMap", "one", "default")])
    one_screen(raised.value)


def test_another_authority_and_one_that_is_none_are_told(write: Writer, tmp_path: Path) -> None:
    other = Authority(tmp_path).certificate
    with pytest.raises(UnreachableError, match="authority has not signed") as raised:
        api(write(**{"certificate-authority": str(other)}), tmp_path).version()
    one_screen(raised.value)
    other.write_text("no certificate")
    with pytest.raises(ConfigError, match="certificates cannot be used") as refused:
        api(write(**{"certificate-authority": str(other)}), tmp_path).version()
    one_screen(refused.value)


@pytest.mark.parametrize("user", [{}, {"username": "for the official client"}])
def test_a_certificate_that_is_none_is_told(
    write: Writer, tmp_path: Path, user: dict[str, str]
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    path = write({**user, "client-certificate": str(wrong), "client-key": str(wrong)})
    with pytest.raises(RolecallError, match=CONTEXT) as raised:
        api(path, tmp_path).version()
    one_screen(raised.value)


@pytest.mark.parametrize("official", [False, True])
def test_a_server_may_be_trusted_blindly(
    write: Writer,
    cluster: Cluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    official: bool,
) -> None:
    fields = {"certificate-authority": None, "insecure-skip-tls-verify": True}
    more = {"tls-server-name": "kubernetes"} if official else {}
    assert api(write(**fields, **more), tmp_path).version().startswith("v1.")
    assert capfd.readouterr() == ("", "")
    assert not [one for one in recwarn.list if "Insecure" in str(one.category)]


def test_a_server_behind_a_name_that_is_none_is_told(write: Writer, tmp_path: Path) -> None:
    path = write(server="https://nowhere.invalid:6443")
    with pytest.raises(UnreachableError, match="no address is known") as raised:
        api(path, tmp_path).version()
    assert "nowhere.invalid" in one_screen(raised.value)


@pytest.fixture
def page() -> Iterator[str]:
    """A server that has a page for everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in" + b"." * 5000)

        do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_no_api_server_is_told(page: str, write: Writer, tmp_path: Path) -> None:
    asked = api(write(server=page), tmp_path)
    thing = Ref("v1", "ConfigMap", "one", "default")
    for ask in (asked.version, lambda: asked.read([thing]), lambda: asked.serves("a/v1", "B")):
        with pytest.raises(UnreachableError, match="no API server") as raised:
            ask()
        assert "Please log in" in one_screen(raised.value)


def test_a_tls_server_that_is_asked_without_tls_is_told(
    write: Writer, cluster: Cluster, tmp_path: Path
) -> None:
    path = write(server=cluster.server.replace("https", "http", 1))
    with pytest.raises(RolecallError, match="HTTP request to an HTTPS server") as raised:
        api(path, tmp_path).version()
    one_screen(raised.value)


def test_a_context_may_be_spread_over_several_files(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = yaml.safe_load(cluster.kubeconfig.read_text())
    written["contexts"][0]["context"]["namespace"] = namespace
    files = []
    for part in ("contexts", "users", "clusters"):
        files.append(tmp_path / part)
        files[-1].write_text(yaml.safe_dump({part: written[part]}))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert api("", tmp_path).namespace == namespace
    assert api("", tmp_path, "other").namespace == "other"
    assert api("", tmp_path).version().startswith("v1.")


def test_a_context_without_a_namespace_is_in_the_default_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    written = yaml.safe_load(cluster.kubeconfig.read_text())
    written["contexts"][0]["context"].pop("namespace", None)
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(written))
    assert api(str(path), tmp_path).namespace == "default"


def test_what_may_not_be_done_is_told_with_what_and_where(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    reader = cluster.user("reader", rules=rules, namespace=namespace)
    asked = api(str(reader), tmp_path, namespace, "reader")
    ref = Ref("v1", "ConfigMap", "one", namespace)
    secret = Ref("v1", "Secret", "one", namespace)
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    thing["metadata"] = {"name": "one", "namespace": namespace}
    assert asked.read([ref]) == [None]
    refusals: list[tuple[str, str, Callable[[], object]]] = [
        ("list", "configmaps", lambda: asked.read([ref, *(refs(namespace))])),
        ("get", "secrets", lambda: asked.read([secret])),
        ("create", "configmaps", lambda: asked.create(thing)),
        ("patch", "configmaps", lambda: asked.merge(ref, {})),
        ("delete", "configmaps", lambda: asked.delete(ref)),
        ("get", "pods/log", lambda: list(asked.logs(namespace, "one", "pod"))),
        ("pods/exec", "get", lambda: asked.execute(namespace, "one", "pod", ["true"])),
        ("pods/portforward", "get", lambda: asked.forward(namespace, "one", 1).__enter__()),
    ]
    for verb, resource, ask in refusals:
        with pytest.raises(Forbidden) as raised:
            ask()
        said = one_screen(raised.value)
        assert all(word in said for word in (verb, resource, namespace, "reader")), said


def refs(namespace: str) -> list[Ref]:
    return [Ref("v1", "ConfigMap", name, namespace) for name in ("two", "three")]


def test_rights_of_parts_and_of_other_groups_are_known(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    ]
    user = cluster.user("deployer", rules=rules, namespace=namespace)
    asked = api(str(user), tmp_path, namespace, "deployer")
    pod, deployment = Ref("v1", "Pod", "", namespace), Ref("apps/v1", "Deployment", "", namespace)
    given = [Right.on("get", pod, "log"), Right.on("patch", deployment)]
    lacking = [
        Right.on("get", pod),
        Right.on("create", pod, "portforward"),
        Right.on("delete", deployment),
        Right.on("patch", Ref("apps/v1", "Deployment", "", "default")),
    ]
    assert asked.missing([*given, *lacking]) == lacking
    assert str(lacking[1]) == f"create pod/portforward in namespace {namespace}"
    assert str(lacking[2]) == f"delete deployment.apps in namespace {namespace}"
