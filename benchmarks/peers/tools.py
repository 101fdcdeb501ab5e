"""The tools that are compared: how each is set up, called, and read.

Every tool gets the same state in the way its own documentation writes it, and the settings that
make it fast.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pformat
from typing import Protocol

from benchmarks.peers.environments import ROOT, environment, version
from benchmarks.peers.hosts import Fleet
from benchmarks.peers.state import TEMPLATE, Wanted

SOURCES = Path(__file__).with_name("projects")


@dataclass(frozen=True)
class Invocation:
    """How a tool is called to bring the state to the hosts."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Tool(Protocol):
    """One tool of the comparison."""

    name: str

    def version(self) -> str:
        """Its version. Raises ``NotInstalled`` where it cannot be had."""

    def set_up(self, folder: Path, state: Wanted, fleet: Fleet) -> Invocation:
        """Write a project for ``state`` on the hosts of ``fleet``."""

    def changes(self, output: str) -> int:
        """How many changes a run reports, over all hosts."""


def python_data(state: Wanted) -> str:
    """The state as a Python module of four lists."""
    return "".join(
        f"{name.upper()} = {pformat(items, width=120)}\n\n" for name, items in state.data.items()
    )


def copy_project(name: str, folder: Path) -> None:
    """The hand-written part of a tool's project."""
    shutil.copytree(SOURCES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))


class Rolecall:
    """This project, as its users call it: a folder with ``./inv``, roles and an inventory."""

    name = "rolecall"

    def version(self) -> str:
        """The version in this working tree."""
        from rolecall import __version__

        environment(self.name)
        return __version__

    def set_up(self, folder: Path, state: Wanted, fleet: Fleet) -> Invocation:
        """A project of its own, with a link to the program."""
        copy_project(self.name, folder)
        (folder / "roles" / "state" / "wanted.py").write_text(python_data(state))
        (folder / "roles" / "state" / "unit.conf.j2").write_text(TEMPLATE)
        packages = environment(self.name)
        shutil.copy(ROOT / "inv", folder)
        shutil.copy(packages / "requirements.lock", folder)
        (folder / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "environment.sh", folder / "tools")
        (folder / ".venv").symlink_to(packages)
        (folder / "rolecall").symlink_to(ROOT / "rolecall")
        hosts = {
            host.name: {
                "ansible_host": "127.0.0.1",
                "ansible_port": host.port,
                "ansible_ssh_private_key_file": str(host.key),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={host.known_hosts}",
                "rolecall": {"home": str(host.folder / "rolecall-home")},
                "state": {"root": str(host.root(self.name))},
            }
            for host in fleet.hosts
        }
        inventory = json.dumps({"all": {"hosts": hosts}}, indent=1)  # JSON is YAML
        (folder / "inventory" / "hosts.yaml").write_text(inventory)
        return Invocation(("./inv", "deploy", "--hosts", "all", "--forks", "20"), folder)

    def changes(self, output: str) -> int:
        """From the recap."""
        return _total(r"^\S+ +: ok=\d+ changed=(\d+) .*failed=0 unreachable=0", output)


class Ansible:
    """ansible-core with pipelining and persistent connections, and without gathering facts."""

    name = "ansible"

    def version(self) -> str:
        """Of ansible-core."""
        return version(environment(self.name), "ansible-core")

    def set_up(self, folder: Path, state: Wanted, fleet: Fleet) -> Invocation:
        """A playbook whose tasks loop over the variables of a group."""
        copy_project(self.name, folder)
        (folder / "templates").mkdir()
        (folder / "templates" / "unit.conf.j2").write_text(TEMPLATE)
        _write_files(folder / "files", state)
        hosts = {
            host.name: {
                "ansible_ssh_common_args": f"-F {fleet.ssh_config}",
                "root": str(host.root(self.name)),
            }
            for host in fleet.hosts
        }
        (folder / "hosts.yaml").write_text(json.dumps({"all": {"hosts": hosts}}, indent=1))
        (folder / "group_vars").mkdir()
        given = {**state.data, "ansible_python_interpreter": _target_python()}
        (folder / "group_vars" / "all.yaml").write_text(json.dumps(given, indent=1))
        program = environment(self.name) / "bin" / "ansible-playbook"
        command = (str(program), "-i", "hosts.yaml", "site.yaml", "--forks", "20")
        return Invocation(command, folder, {"LC_ALL": "C.UTF-8"})

    def changes(self, output: str) -> int:
        """From the recap; a loop counts as one."""
        return _total(r"^\S+ +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", output)


class Pyinfra:
    """pyinfra 3, with ``-y``, so that it looks once and not twice."""

    name = "pyinfra"

    def version(self) -> str:
        """Of pyinfra."""
        return version(environment(self.name), "pyinfra")

    def set_up(self, folder: Path, state: Wanted, fleet: Fleet) -> Invocation:
        """A deploy whose operations loop over a module of data."""
        copy_project(self.name, folder)
        (folder / "wanted.py").write_text(python_data(state))
        (folder / "templates").mkdir()
        (folder / "templates" / "unit.conf.j2").write_text(TEMPLATE)
        _write_files(folder / "files", state)
        hosts = [
            (
                host.name,
                {
                    "root": str(host.root(self.name)),
                    "ssh_config_file": str(fleet.ssh_config),
                    "ssh_known_hosts_file": str(host.known_hosts),
                    "ssh_key": str(host.key),
                    "ssh_allow_agent": False,
                    "ssh_look_for_keys": False,
                },
            )
            for host in fleet.hosts
        ]
        (folder / "inventory.py").write_text(f"hosts = {pformat(hosts)}\n")
        program = environment(self.name) / "bin" / "pyinfra"
        return Invocation((str(program), "-y", "inventory.py", "deploy.py"), folder)

    def changes(self, output: str) -> int:
        """From the line of totals: operations, changed, failed, unchanged."""
        found = re.search(r"^ +Grand total +\d+ +(\d+|-) +(\d+|-) +(\d+|-)", output, re.MULTILINE)
        if not found or found[2] != "-":
            raise ValueError("there are no totals in the output, or an operation failed")
        return 0 if found[1] == "-" else int(found[1])


class Bundlewrap:
    """bundlewrap 5, its ssh commands multiplexed over one connection."""

    name = "bundlewrap"

    def version(self) -> str:
        """Of bundlewrap."""
        return version(environment(self.name), "bundlewrap")

    def set_up(self, folder: Path, state: Wanted, fleet: Fleet) -> Invocation:
        """A repository with one bundle."""
        copy_project(self.name, folder)
        bundle = folder / "bundles" / "state"
        (bundle / "wanted.py").write_text(python_data(state))
        (bundle / "files").mkdir()
        mako = TEMPLATE.replace("{{ ", "${").replace(" }}", "}")
        (bundle / "files" / "unit.conf").write_text(mako)
        nodes = {
            host.name: {
                "hostname": host.name,
                "bundles": ["state"],
                "lock_dir": str(host.folder / "bundlewrap-lock"),
                # Nothing here needs root.
                "cmd_wrapper_outer": "sh -c {}",
                "metadata": {"root": str(host.root(self.name))},
            }
            for host in fleet.hosts
        }
        (folder / "nodes.py").write_text(f"nodes = {pformat(nodes)}\n")
        program = environment(self.name) / "bin" / "bw"
        names = [host.name for host in fleet.hosts]
        sockets = fleet.ssh_config.parent / "bw-%C"
        options = (
            f"-F {fleet.ssh_config} -o ControlMaster=auto -o ControlPersist=60 "
            f"-o ControlPath={sockets}"
        )
        return Invocation(
            (str(program), "apply", "-p", "10", "-P", "8", *names),
            folder,
            {"BW_SSH_ARGS": options, "BW_SCP_ARGS": options},
        )

    def changes(self, output: str) -> int:
        """From the line of each node."""
        return _total(r"\d+ OK, (\d+) fixed, 0 skipped, 0 failed\)", output)


#: All tools, in the order of the table.
TOOLS: tuple[Tool, ...] = (Rolecall(), Pyinfra(), Bundlewrap(), Ansible())


def _write_files(folder: Path, state: Wanted) -> None:
    """The files as files of a project, for tools that copy them from there."""
    for item in state.files:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(item["content"])


def _target_python() -> str:
    """What runs Ansible's modules: named, so that it need not be searched for."""
    return shutil.which("python3", path="/usr/bin:/bin") or sys.executable


def _total(pattern: str, output: str) -> int:
    found = re.findall(pattern, output, re.MULTILINE)
    if not found:
        raise ValueError("there is no recap in the output")
    return sum(map(int, found))


def base_environment(home: Path) -> dict[str, str]:
    """What every tool is run with: no setting of the user's own, and no terminal."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**keep, "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1"}
