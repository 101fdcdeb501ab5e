"""Testinfra in a real pod: output, exit statuses, files, and pods that are replaced."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from testinfra.host import Host

from rolecall.cluster.rollout import rollout_of
from rolecall.cluster.waiting import wait
from rolecall.errors import RolecallError
from rolecall.resources.cluster_ready import ClusterReady
from rolecall.verify.cluster_backend import ClusterBackend
from tests.integration.cluster.documented import documented_rules
from tests.integration.cluster.place import Place
from tests.integration.cluster.test_rights import without
from tests.rig.kubernetes import images
from tests.rig.kubernetes.node import Node

#: The pod of the rig, with a shell.
IMAGE = "localhost/rolecall-test-shell:1"

#: Programs that testinfra's modules for files ask for.
PROGRAMS = ("sh", "cat", "id", "ls", "readlink", "stat", "test", "uname")


@pytest.fixture(scope="module")
def image(node: Node, tmp_path_factory: pytest.TempPathFactory) -> str:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("a shell for a pod needs busybox, not installed")
    program = Path(busybox).read_bytes()
    linked = subprocess.run(["ldd", busybox], capture_output=True, text=True).stdout
    libraries = {path.lstrip("/") for path in re.findall(r"(/\S+) \(0x", linked)}
    files = {f"bin/{name}": program for name in PROGRAMS}
    files |= {path: Path(f"/{path}").read_bytes() for path in libraries}
    files["etc/greeting"] = "grüß\n".encode()
    archive = tmp_path_factory.mktemp("image") / "shell.tar"
    pod = Path(node.cluster.plane.programs("pod"))
    node.load(images.archive(archive, pod, [IMAGE], files))
    return IMAGE


@dataclass
class Shell:
    """A workload of one pod with a shell."""

    place: Place
    ready: ClusterReady

    @property
    def backend(self) -> ClusterBackend:
        return ClusterBackend(self.place.target(), [self.ready])

    @property
    def host(self) -> Host:
        return Host(self.backend)

    def wait(self) -> None:
        wait(self.place.target(), rollout_of(self.ready.manifest), timeout=120)


@pytest.fixture(scope="module")
def shell(node: Node, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with node.cluster.namespace() as name:
        place = Place(node.cluster, name, tmp_path_factory.mktemp("shell"))
        manifest = place.deployment(1, image)
        template = manifest["spec"]["template"]["spec"]
        template["terminationGracePeriodSeconds"] = 1
        beside = {"name": "beside", "image": image, "args": ["serve", "8001"]}
        # The container that is meant is not the first.
        template["containers"] = [beside, {**template["containers"][0], "args": ["serve", "8000"]}]
        annotations = {"kubectl.kubernetes.io/default-container": "main"}
        manifest["spec"]["template"]["metadata"]["annotations"] = annotations
        place.api().apply(manifest)
        made = Shell(place, ClusterReady(manifest))
        made.wait()
        yield made


def test_a_command_tells_its_output_its_errors_and_its_status(shell: Shell) -> None:
    said = shell.host.run("echo out; echo err >&2; exit 3")
    assert (said.rc, said.stdout, said.stderr) == (3, "out\n", "err\n")
    assert shell.host.run("exit 0").succeeded


def test_arguments_are_quoted_and_output_is_kept_to_the_byte(shell: Shell) -> None:
    awkward = "a 'b' \"c\" $d\n%s"
    assert shell.host.run("printf %%s %s", awkward).stdout == awkward
    assert shell.host.run(r"printf '\377\0x'").stdout_bytes == b"\xff\0x"


def test_much_output_comes_whole(shell: Shell) -> None:
    said = shell.host.run("i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done")
    assert said.stdout.splitlines() == [f"line {number}" for number in range(40000)]


def test_files_are_looked_at_with_testinfras_own_module(shell: Shell) -> None:
    greeting = shell.host.file("/etc/greeting")
    assert greeting.exists and greeting.mode == 0o755
    assert greeting.content_string == "grüß\n"
    assert not shell.host.file("/etc/none").exists


def test_the_container_that_the_pod_names_is_meant(shell: Shell) -> None:
    container = shell.backend.container
    assert container.name == "main"
    assert shell.host.run("cat /proc/1/cmdline").stdout == "/pod\0serve\x008000\0"


def test_a_pod_that_was_replaced_is_followed_by_the_next(shell: Shell) -> None:
    host = shell.host
    first = host.backend.container
    assert host.run("true").succeeded
    shell.place.kubectl("delete", f"pod/{first.pod}", "--wait=true")
    shell.wait()
    assert host.run("exit 4").rc == 4
    assert host.backend.container != first


def test_a_port_of_the_pod_is_reached(shell: Shell) -> None:
    backend = shell.backend
    with backend.forward(8000) as (name, port):
        assert httpx.get(f"http://{name}:{port}/").text == f"{backend.container.pod}\n"


def test_sudo_is_refused_with_the_reason(shell: Shell) -> None:
    host = shell.host
    with host.sudo(), pytest.raises(RolecallError, match="a container has no sudo"):
        host.run("true")


def test_without_a_pod_that_is_ready_no_command_is_run(shell: Shell) -> None:
    gone = shell.place.deployment(0)
    gone["spec"]["selector"]["matchLabels"] = {"app": "nobody"}
    gone["spec"]["template"]["metadata"]["labels"] = {"app": "nobody"}
    backend = ClusterBackend(shell.place.target(), [ClusterReady(gone)])
    with pytest.raises(RolecallError, match=r"of 0 pods in namespace .* none is ready"):
        backend.run("true")


def test_a_missing_right_to_run_commands_is_named(node: Node, shell: Shell, tmp_path: Path) -> None:
    space = shell.place.namespace
    rules = without("get", "pods/exec", "")
    kubeconfig = node.cluster.user("looker", rules, space)
    place = Place(node.cluster, space, tmp_path, kubeconfig, "looker")
    with pytest.raises(RolecallError) as raised:
        ClusterBackend(place.target(), [shell.ready]).run("true")
    said = f"{raised.value.message} {raised.value.hint}"
    assert all(word in said for word in ("get", "pods/exec", space, "docs/kubernetes.md")), said
    enough = node.cluster.user("deployer", documented_rules(), space)
    place = Place(node.cluster, space, tmp_path, enough, "deployer")
    assert ClusterBackend(place.target(), [shell.ready]).run("exit 5").rc == 5
