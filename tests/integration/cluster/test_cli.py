"""The commands of the project on a cluster, as processes."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.cluster.desk import (
    IMAGE,
    Desk,
    claim_filled,
    eventually,
    node_double,
    pods_go_well,
    project,
)
from tests.rig.kubernetes.cluster import CONTEXT, Cluster

GROUPS = ("cpu", "kubernetes")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("desk") / "project")


@pytest.fixture
def desk(root: Path, cluster: Cluster, namespace: str, tmp_path: Path) -> Desk:
    made = Desk(root, tmp_path, cluster, namespace, cluster.kubeconfig)
    made.write(*GROUPS, k8s={"image": IMAGE})
    return made


def test_plan_shows_every_object_and_writes_nothing(desk: Desk) -> None:
    mark = desk.cluster.mark()
    shown = desk.inv("plan", "--diff")
    for id_ in ("deployment:llm", "persistentvolumeclaim:llm-data", "service:llm"):
        assert re.search(rf"would change +{id_} ", shown), shown
    assert f"image: {IMAGE}" in shown
    assert re.search(r"unknown +leftovers:llm", shown)
    assert not [one for one in desk.cluster.requests(mark) if one.writes and not one.dry]


def test_what_only_hosts_have_is_refused_with_the_way_out(desk: Desk) -> None:
    for words, said in {
        ("jobs",): "it has no shell",
        ("unlock",): "it has no shell",
        ("preflight",): "it has no shell",
        ("start",): "k8s.replicas says how many pods serve there",
        ("stop",): "k8s.replicas says how many pods serve there",
        ("model",): "./inv deploy --hosts cluster",
        ("plan", "--tags", "server"): "./inv deploy --hosts cluster",
    }.items():
        shown = desk.inv(*words, status=None)
        assert said in shown, shown
        assert "cluster is a cluster" in shown, shown
    assert "cluster is a cluster: there is no key" in desk.inv("trust")


def test_the_role_k8s_is_refused_on_a_host(desk: Desk) -> None:
    shown = desk.inv("k8s", hosts="localhost", status=2)
    assert "localhost is a host, and k8s is for clusters" in shown
    assert "k8s_context in the inventory" in shown


def test_where_nothing_serves_each_command_says_so(desk: Desk) -> None:
    assert "stopped, not ready" in desk.inv("status", status=1)
    said = json.loads(desk.inv("status", "--json", status=1).splitlines()[-1])
    assert "cluster" in json.dumps(said)
    assert "./inv deploy --hosts cluster starts it" in desk.inv("logs", status=1)
    assert "has served nothing else before" in desk.inv("rollback", status=1)
    assert "Nothing to remove" in desk.inv("destroy", "--yes")
    why = desk.inv("why", "deployment:llm")
    assert "reads Deployment/llm" in why
    assert "exists: no → yes" in why
    assert "never: it does not exist" in why


def test_hosts_and_clusters_are_planned_in_one_run(desk: Desk) -> None:
    shown = desk.inv("plan", "--tags", "system,k8s", hosts="cluster,localhost")
    assert re.search(r"cluster +would change +deployment:llm", shown), shown
    assert re.search(r"^localhost : .*failed=0", shown, re.MULTILINE), shown
    assert re.search(r"^cluster +: .*failed=0", shown, re.MULTILINE), shown


def test_fab_and_the_inventory_know_it_as_a_host(desk: Desk, root: Path, tmp_path: Path) -> None:
    said = json.loads(desk.inv("inventory", "--list", hosts=""))
    assert said["_meta"]["hostvars"]["cluster"]["k8s_namespace"] == desk.namespace
    fab = [str(root / "fab"), "-H", "cluster", "plan", "--inventory", str(desk.inventory)]
    shown = desk.run(fab)
    assert re.search(r"cluster +would change +deployment:llm", shown), shown


@pytest.mark.parametrize(
    ("wrong", "said", "way_out"),
    [
        ({"k8s_context": "nix"}, "has no context nix", "it has: admin"),
        ({"k8s_kubeconfig": "/not/there"}, "/not/there", "k8s_kubeconfig in the inventory"),
        ({"k8s_namespace": "not-there"}, "there is no namespace not-there", "kubectl create"),
        ({"k8s_contxt": "admin"}, "there is no variable k8s_contxt", "k8s_context"),
        ({"k8s_context": ""}, "k8s_context is not", "names the context"),
        ({"ansible_connection": "local"}, "ansible_connection is set", "leave one of them out"),
    ],
)
def test_a_wrong_connection_is_one_error(
    desk: Desk, wrong: dict[str, str], said: str, way_out: str
) -> None:
    desk.write(*GROUPS, k8s={"image": IMAGE}, **wrong)
    shown = desk.inv("deploy", status=2)
    assert shown.count(said) == 1, shown
    assert way_out in shown, shown
    assert shown.count("error: ") == 1, shown


def test_manifests_are_rendered_without_cluster_kubeconfig_or_secret(desk: Desk) -> None:
    registry = {"username": "me", "password": "!env REGISTRY_PASSWORD"}
    desk.write(
        *GROUPS, k8s={"image": IMAGE, "registry": registry}, k8s_kubeconfig=str(desk.folder / "no")
    )
    first = desk.inv("k8s", "--render", "out", hosts="")
    files = {path: path.read_text() for path in (desk.folder / "out").iterdir()}
    assert any("deployment-llm" in path.name for path in files)
    assert "kind: Secret" not in "".join(files.values())
    assert re.findall(r"^(\w+) ", first, re.MULTILINE).count("changed") == len(files)
    second = desk.inv("k8s", "--render", "out", hosts="")
    assert set(re.findall(r"^(\w+) ", second, re.MULTILINE)) == {"ok"}
    assert files == {path: path.read_text() for path in (desk.folder / "out").iterdir()}


def test_manifests_are_rendered_of_an_inventory_without_a_cluster(desk: Desk) -> None:
    (desk.inventory / "hosts.yaml").write_text("all: {children: {cpu: {hosts: {localhost: }}}}\n")
    desk.inv("k8s", "--render", "out", "--set", f"k8s.image={IMAGE}", hosts="")
    assert any("deployment-llm" in path.name for path in (desk.folder / "out").iterdir())


def test_an_interrupt_gives_up_the_lock_and_the_next_run_follows_the_same_job(desk: Desk) -> None:
    desk.cluster.controllers()

    def interrupted() -> None:
        log = desk.folder / "log"
        with log.open("w") as said:
            run = subprocess.Popen(
                desk.command("deploy"),
                cwd=desk.folder,
                env=desk.environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            eventually(lambda: "networkpolicy:llm" in log.read_text() and desk.names("job"))
            assert desk.names("lease") == ["lease.coordination.k8s.io/rolecall"]
            os.killpg(run.pid, signal.SIGINT)
            assert run.wait(30) == 130, log.read_text()
        finally:
            run.kill()
            run.wait()
        shown = log.read_text()
        assert "Traceback" not in shown
        assert "the same command again" in shown
        assert "failed=0" in shown
        assert "not over  in prepared:llm-data" in shown

    interrupted()
    (job,) = desk.names("job")
    uid = desk.kubectl("get", job, "-o", "jsonpath={.metadata.uid}")
    assert uid
    assert desk.names("lease") == []
    interrupted()
    assert desk.names("job") == [job]
    assert desk.kubectl("get", job, "-o", "jsonpath={.metadata.uid}") == uid
    assert desk.names("lease") == []
    planned = desk.inv("destroy", "--check")
    assert re.search(r"would change +job:llm-prepare-", planned), planned
    desk.inv("destroy", "--yes")
    assert desk.names("job,deployment,service,lease") == []
    assert desk.names("pvc") == ["persistentvolumeclaim/llm-data"]
    desk.inv("destroy", "--yes", "--delete-data")
    assert desk.names("pvc") == []


def turn_to(desk: Desk, port: int) -> None:
    """Let the kubeconfig name another server, at a port of this machine."""
    kubeconfig = {
        "contexts": [{"name": CONTEXT, "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "a", "user": {}}],
    }
    desk.kubeconfig = desk.folder / "elsewhere"
    desk.kubeconfig.write_text(json.dumps(kubeconfig))
    desk.write(*GROUPS, k8s={"image": IMAGE})


@pytest.mark.parametrize("words", [("plan",), ("status",), ("destroy", "--yes")])
def test_an_api_server_that_never_answers_holds_on_to_nobody(
    desk: Desk, words: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        turn_to(desk, silent.getsockname()[1])
        run = subprocess.Popen(
            desk.command(*words),
            cwd=desk.folder,
            env=desk.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            silent.settimeout(30)
            with silent.accept()[0] as asked:
                assert asked.recv(1000)
                os.killpg(run.pid, signal.SIGINT)
                shown, _ = run.communicate(timeout=10)
        finally:
            run.kill()
            run.wait()
    assert run.returncode == 130, shown
    assert "Traceback" not in shown and "interrupted" in shown


class Elsewhere(BaseHTTPRequestHandler):
    """A web server that has nothing: such as a proxy, or an ingress."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("words", [("plan",), ("destroy", "--yes")])
def test_a_server_that_is_no_cluster_is_not_taken_for_an_empty_one(
    desk: Desk, words: tuple[str, ...]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        turn_to(desk, server.server_port)
        said = desk.inv(*words, status=1)
        server.shutdown()
    assert f"http://127.0.0.1:{server.server_port} is no Kubernetes API server" in said
    assert "kubectl config view" in said


def test_secrets_show_up_nowhere_but_in_secrets(desk: Desk, root: Path) -> None:
    planted = {"REGISTRY_PASSWORD": "pl4nted-registry", "HUB_TOKEN": "pl4nted-hub"}
    registry = {"username": "me", "password": "!env REGISTRY_PASSWORD"}
    model = {"source": "hf://a/b", "token": "!env HUB_TOKEN"}
    desk.cluster.controllers()
    with node_double(desk.cluster) as (client, node):
        desk.write(
            *GROUPS,
            k8s={
                "image": IMAGE,
                "registry": registry,
                "rolling": {"min_ready": 0},
                "scheduling": {
                    "node_selector": node.place["nodeSelector"],
                    "tolerations": node.place["tolerations"],
                },
            },
            model=model,
        )
        said = [desk.inv("plan", "--diff", env=planted), desk.inv("plan", "--json", env=planted)]
        with (
            claim_filled(desk.cluster, desk.namespace, "llm-data"),
            pods_go_well(node, client, desk.namespace),
        ):
            said.append(desk.inv("k8s", "--diff", "--verbose", env=planted))
            said.append(desk.inv("k8s", "--json", env=planted))
            said.append(desk.inv("why", "secret:llm-registry", env=planted))
            changed = {name: f"{value}-2" for name, value in planted.items()}
            said.append(desk.inv("k8s", "--diff", env=changed))
            assert re.search(r"changed +secret:llm-registry", said[-1]), said[-1]
            said.append(desk.inv("status", env=planted, status=None))
            secrets = desk.kubectl("get", "secret", "-o", "json")
            said.append(desk.kubectl("get", "cm,deploy,job,controllerrevision", "-o", "yaml"))
            desk.inv("destroy", "--yes", "--delete-data", env=planted)
    desk.inv("k8s", "--render", "out", hosts="", env=planted)
    said += [path.read_text() for path in (desk.folder / "out").iterdir()]
    said += [path.read_text() for path in (root / ".rolecall").rglob("*") if path.is_file()]
    assert "llm-registry" in secrets and "llm-secrets" in secrets
    for value in planted.values():
        coded = base64.b64encode(value.encode()).decode()
        assert not [text for text in said if value in text or coded in text]
