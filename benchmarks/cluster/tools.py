"""What is compared: Rolecall, and kubectl's ways to bring manifests to a cluster.

Each gets the same manifests in the way that its own documentation describes: Rolecall from a role,
kubectl from a folder of files.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.manifests import INSTANCE, write
from benchmarks.cluster.server import Server
from benchmarks.peers.environments import ROOT, environment
from benchmarks.peers.measure import WrongResult
from benchmarks.peers.tools import Invocation

HERE = Path(__file__).parent


def accept(_: str, __: int) -> None:
    """Kubectl's words are not counted: what it wrote, the objects' versions tell."""


@dataclass(frozen=True)
class Tool:
    """One of those that are compared.

    Attributes:
        call: what is measured.
        makes: what makes the objects, where ``call`` only looks.
        check: raises ``WrongResult`` unless the output reports so many changes.
    """

    name: str
    namespace: str
    call: Invocation
    makes: Invocation | None = None
    check: Callable[[str, int], None] = accept


def tools(
    names: Sequence[str], folder: Path, server: Server, things: Sequence[dict[str, Any]]
) -> list[Tool]:
    """The tools of these names, set up below ``folder`` for the manifests ``things``."""
    files = folder / "manifests"
    write(files, list(things))
    return [TOOLS[name](name, folder, server, len(things)) for name in names]


def _rolecall(name: str, folder: Path, server: Server, size: int) -> Tool:
    """This project as its users call it: a folder with ``./inv``, a role and an inventory."""
    namespace = _namespace(name, size)
    project = folder / name
    shutil.copytree(HERE / "project", project, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "manifests.py", project / "roles" / "objects")
    packages = environment("rolecall")
    shutil.copy(ROOT / "inv", project)
    shutil.copy(packages / "requirements.lock", project)
    (project / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "environment.sh", project / "tools")
    (project / ".venv").symlink_to(packages)
    (project / "rolecall").symlink_to(ROOT / "rolecall")
    variables = {
        "k8s_context": server.context,
        "k8s_kubeconfig": str(server.kubeconfig),
        "k8s_namespace": namespace,
        "objects": {"size": size},
    }
    inventory = json.dumps({"all": {"hosts": {"cluster": variables}}}, indent=1)  # JSON is YAML
    (project / "inventory" / "hosts.yaml").write_text(inventory)
    call = Invocation(("./inv", "deploy", "--hosts", "cluster"), project)
    return Tool(name, namespace, call, check=_recap)


def _recap(output: str, changes: int) -> None:
    found = re.search(r"^cluster +: ok=\d+ changed=(\d+) .*failed=0 unreachable=0", output, re.M)
    if not found or int(found[1]) != changes:
        raise WrongResult(f"rolecall should report {changes} changes:\n{output[-3000:]}")


def _apply(name: str, folder: Path, server: Server, size: int) -> Tool:
    namespace = _namespace(name, size)
    return Tool(name, namespace, server.call(namespace, "apply", "-f", _files(folder)))


def _server_side(name: str, folder: Path, server: Server, size: int) -> Tool:
    namespace = _namespace(name, size)
    arguments = ("apply", "--server-side", "-f", _files(folder))
    return Tool(name, namespace, server.call(namespace, *arguments))


def _diff(name: str, folder: Path, server: Server, size: int) -> Tool:
    namespace = _namespace(name, size)
    makes = server.call(namespace, "apply", "-f", _files(folder))
    call = server.call(namespace, "diff", "--concurrency", "8", "-f", _files(folder))
    return Tool(name, namespace, call, makes)


def _files(folder: Path) -> str:
    return str(folder / "manifests")


def _namespace(name: str, size: int) -> str:
    return f"{INSTANCE}-{name.replace(' ', '-')}-{size}".replace("--", "-")


#: All tools by name, in the order of the table.
TOOLS: dict[str, Callable[[str, Path, Server, int], Tool]] = {
    "rolecall": _rolecall,
    "kubectl apply --server-side": _server_side,
    "kubectl apply": _apply,
    "kubectl diff": _diff,
}
