"""Where the commands of the documentation run: copies of the project, made once for all blocks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import ROOT, Block, difference
from tests.integration.cli.project import copy_project
from tests.integration.cluster.conftest import cluster, namespace
from tests.integration.deployed import free_ports
from tests.rig.kubernetes.cluster import Cluster
from tests.rig.sshd import USER, Sshd

__all__ = ["cluster", "namespace"]

#: Seconds after which a command counts as hung, on however busy a machine.
TIMEOUT = 600

#: The ports that pages name; each is another, free one where the blocks run.
PORTS = (8000, 8001, 8002, 9000)

#: What a page calls the user's home and the checkout.
HOME, CHECKOUT = "/home/joe", "/home/joe/rolecall"


@dataclass
class Desk:
    """A copy of the project at which somebody types what a page says.

    Attributes:
        folder: the copy.
        home: the home directory of whoever types.
        ports: the port in place of each usual one.
    """

    folder: Path
    home: Path
    ports: dict[int, int]
    env: dict[str, str] = field(default_factory=dict)
    deployed: bool = False

    def type(self, block: Block) -> None:
        """Run the commands of a block, and compare with what it shows.

        Raises:
            AssertionError: another exit status, or something that the page shows was not printed.
        """
        for command in block.commands:
            last = command is block.commands[-1]
            status, printed = self.run(command.text)
            wanted = block.status if last else 0
            assert status == wanted, f"{block.place}: {command.text}\nstatus {status}\n{printed}"
            if missing := difference(command.shown, printed):
                raise AssertionError(f"{block.place}: {command.text}\n{missing}\n\n{printed}")

    def run(self, script: str) -> tuple[int, str]:
        """A script's exit status and all that it printed, in the words of the pages."""
        for usual, port in self.ports.items():
            script = re.sub(rf"\b{usual}\b", str(port), script)
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.folder,
            env={
                **os.environ,
                "HOME": str(self.home),
                "NO_COLOR": "1",
                "COLUMNS": "200",
                **self.env,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        printed = done.stdout
        for usual, port in self.ports.items():
            printed = re.sub(rf"\b{port}\b", str(usual), printed)
        printed = printed.replace(str(self.folder), CHECKOUT).replace(str(self.home), HOME)
        return done.returncode, printed


def make_desk(folder: Path) -> Desk:
    """A copy of the project with free ports; nothing is deployed."""
    home = folder / "home"
    home.mkdir(parents=True)
    copy = copy_project(folder / "rolecall")
    for name in ("fab", "fabfile.py", "verify", "docker"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, copy / name)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    everybody = copy / "inventory" / "group_vars" / "all.yaml"
    settings = yaml.safe_load(everybody.read_text())
    names = ("http_port", "grpc_port", "metrics_port", "openai_port")
    settings["server"] |= dict(zip(names, ports.values(), strict=True))
    everybody.write_text(yaml.safe_dump(settings))
    return Desk(copy, home, ports)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk of contexts ``project`` and ``local``; what it deployed goes at the end."""
    made = make_desk(tmp_path_factory.mktemp("desk"))
    yield made
    if (made.home / ".rolecall").exists():
        status, printed = made.run("./inv destroy --yes")
        assert status == 0, printed


@pytest.fixture(scope="session")
def deployed_desk(desk: Desk) -> Desk:
    """The same, with the model served."""
    if not desk.deployed:
        status, printed = desk.run("./inv deploy")
        assert status == 0, printed
        desk.deployed = True
    return desk


@pytest.fixture(scope="session")
def ssh_desk(deployed_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose host gpu-1 is an sshd here; there lies what the other desk has deployed."""
    sshd = Sshd(tmp_path_factory.mktemp("sshd")).start()
    made = make_desk(tmp_path_factory.mktemp("ssh"))
    made.ports = deployed_desk.ports
    try:
        inventory = made.folder / "inventory"
        shutil.copy(
            deployed_desk.folder / "inventory" / "group_vars" / "all.yaml", inventory / "group_vars"
        )
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": sshd.port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(sshd.key),
            "rolecall": {"home": str(deployed_desk.home / ".rolecall")},
        }
        groups = {"cpu": {"hosts": {"gpu-1": host}}}
        (inventory / "hosts.yaml").write_text(yaml.safe_dump({"all": {"children": groups}}))
        shutil.copy(sshd.known_hosts, inventory / "known_hosts")
        yield made
    finally:
        sshd.stop()


@pytest.fixture
def cluster_desk(
    cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Desk:
    """A desk whose host ``cluster`` is a namespace of the rig's API server."""
    made = make_desk(tmp_path_factory.mktemp("cluster"))
    host = {
        "k8s_context": yaml.safe_load(Path(cluster.kubeconfig).read_text())["current-context"],
        "k8s_kubeconfig": str(cluster.kubeconfig),
        "k8s_namespace": namespace,
        "k8s": {"image": "registry.example/team/rolecall-cpu:0123456789abcdef"},
    }
    groups = {"kubernetes": {"hosts": {"cluster": host}}, "cpu": {"hosts": {"cluster": None}}}
    (made.folder / "inventory" / "hosts.yaml").write_text(
        yaml.safe_dump({"all": {"children": groups}})
    )
    return made
