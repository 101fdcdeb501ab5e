"""A cluster to try things on by hand, until this is interrupted.

    python -m tests.rig.kubernetes.serve FOLDER           # a control plane without nodes
    python -m tests.rig.kubernetes.serve FOLDER --node    # with a node that runs pods; as root

writes FOLDER/kubeconfig, and with a node FOLDER/enter, which runs a command beside the pods.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.kubernetes import cluster, configuration, node
from tests.rig.kubernetes.cluster import Cluster


def main() -> int:
    """Start, say how to use it, and wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.kubernetes.serve")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--node", action="store_true", help="with a node that runs pods")
    given = parser.parse_args()
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with _with_node(folder) if given.node else cluster.cluster() as made:
        made.controllers()
        shutil.copy(made.kubeconfig, folder / "kubeconfig")
        print(f"export KUBECONFIG={folder / 'kubeconfig'}", flush=True)
        print(f"{made.kubectl_program} get all", flush=True)
        while True:
            signal.pause()


@contextmanager
def _with_node(folder: Path) -> Iterator[Cluster]:
    with node.node() as made:
        enter = folder / "enter"
        enter.write_text(f'#!/bin/sh\nexec {shlex.join(made.room.enter())} "$@"\n')
        enter.chmod(0o755)
        ctr = f"ctr -a {configuration.CONTAINERD} -n k8s.io images import"
        print(f"{enter} {ctr} ARCHIVE  # of podman save --format docker-archive", flush=True)
        yield made.cluster


if __name__ == "__main__":
    sys.exit(main())
