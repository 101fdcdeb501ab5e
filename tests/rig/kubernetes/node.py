"""A one-node cluster with real pods: kubelet, containerd, runc, CNI and kube-proxy in a room.

Nothing is pulled: images come from archives (:meth:`Node.load`). Pods reach each other, Services
and this machine's end of the cable, and nothing beyond; there is no name service.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.kubernetes import cluster as clusters
from tests.rig.kubernetes import configuration, images, programs, room
from tests.rig.kubernetes.cluster import Cluster
from tests.rig.kubernetes.plane import PATIENCE
from tests.rig.kubernetes.room import Room

#: The node's name.
NAME = "node"

#: An image of a few megabytes; ``/pod serve 8080`` in it answers with the pod's name.
IMAGE = "localhost/rolecall-test-pod:1"

#: The storage class, the default one: local volumes, bound when a pod comes that wants them.
STORAGE = "local"

#: Volumes that are there from the start; the size is what they say, not what they take.
VOLUMES, VOLUME_SIZE = 16, "200Gi"

_STORAGE_CLASS = {
    "metadata": {
        "name": STORAGE,
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


@dataclass
class Node:
    """A cluster whose one node runs what it is told to.

    Attributes:
        cluster: its control plane, with controllers.
        room: where the node is.
    """

    cluster: Cluster
    room: Room

    @property
    def outside(self) -> str:
        """The address of this machine that pods reach, for servers of a test."""
        return self.room.outside

    def run(self, *command: str) -> str:
        """What a command printed that ran beside the pods; it has to succeed.

        Pods and Services are reached from there by their addresses.
        """
        done = subprocess.run(
            [*self.room.enter(), *command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def load(self, archive: Path) -> None:
        """Have an image: what ``podman save --format docker-archive`` wrote."""
        ctr = ["ctr", "-a", configuration.CONTAINERD, "-n", "k8s.io"]
        self.run(*ctr, "images", "import", str(archive))

    def add_volumes(self, count: int) -> None:
        """More empty volumes of the class :data:`STORAGE`."""
        for _ in range(count):
            self.cluster.call("POST", "/api/v1/persistentvolumes", self._volume())

    def _volume(self) -> dict[str, object]:
        parent = self.room.folder / "volumes"
        parent.mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="volume-", dir=parent))
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
        return {
            "metadata": {"generateName": "volume-"},
            "spec": {
                "capacity": {"storage": VOLUME_SIZE},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": STORAGE,
                "local": {"path": str(place)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }


def require() -> None:
    """Skip, by name, where something that real pods need is missing."""
    if os.getuid() != 0:
        pytest.skip("running pods needs root")
    needed = ("containerd", "ctr", "runc", "iptables", "nsenter", "unshare", "ip")
    missing = [program for program in needed if shutil.which(program) is None]
    plugins = [configuration.CNI / name for name in ("ptp", "host-local")]
    missing += [str(plugin) for plugin in plugins if not plugin.exists()]
    if missing:
        pytest.skip(f"real pods need {', '.join(missing)}, not installed")
    if without := room.lacking():
        pytest.skip(f"real pods need {without}")


@contextmanager
def node() -> Iterator[Node]:
    """A cluster with a ready node, and nothing of it left afterwards."""
    require()
    found = programs.find()
    for program in ("kubelet", "kube-proxy", "pod"):
        found(program)
    folder = Path(tempfile.mkdtemp(prefix="rolecall-node-"))
    try:
        with _room(folder / "room") as made, _cluster(folder / "plane", made) as running:
            yield _start(Node(running, made))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _room(folder: Path) -> Iterator[Room]:
    folder.mkdir()
    made = room.make(folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _cluster(folder: Path, made: Room) -> Iterator[Cluster]:
    folder.mkdir()
    running = clusters.start(folder, made.outside)
    try:
        yield running.controllers()
    finally:
        running.close()


def _start(made: Node) -> Node:
    plane, folder, enter = made.cluster.plane, made.room.folder, made.room.enter()
    _configure(made)
    plane.start("containerd", [*enter, "containerd", f"--config={folder}/containerd.toml"])
    archive = images.archive(folder / "pod.tar", Path(plane.programs("pod")), [IMAGE])
    _wait(made, "containerd", lambda: made.load(archive))
    config = plane.component(f"system:node:{NAME}", groups=["system:nodes"])
    plane.serve(
        "kubelet",
        f"--config={folder}/kubelet.json",
        f"--kubeconfig={config}",
        f"--root-dir={room.SHORT}/kubelet",
        f"--cert-dir={folder}/kubelet-pki",
        f"--hostname-override={NAME}",
        f"--node-ip={made.room.inside}",
        through=enter,
    )
    plane.serve("kube-proxy", f"--config={folder}/kube-proxy.json", through=enter)
    made.cluster.call("POST", "/apis/storage.k8s.io/v1/storageclasses", _STORAGE_CLASS)
    made.add_volumes(VOLUMES)
    _wait(made, "the node", lambda: _check_ready(made.cluster))
    rules = ["iptables", "-w", "-t", "nat", "-S", "KUBE-SERVICES"]
    _wait(made, "kube-proxy", lambda: made.run(*rules))
    return made


def _configure(made: Node) -> None:
    plane, folder = made.cluster.plane, made.room.folder
    snapshotter = "overlayfs" if _overlays(folder) else "native"
    told = configuration.containerd(folder, IMAGE, snapshotter)
    (folder / "containerd.toml").write_text(told)
    (folder / "cni").mkdir()
    (folder / "cni/pods.conflist").write_text(json.dumps(configuration.network()))
    (folder / "resolv.conf").touch()
    place = made.room
    kubelet = configuration.kubelet(
        folder, plane.issuer.certificate, place.name, address=place.inside
    )
    (folder / "kubelet.json").write_text(json.dumps(kubelet))
    proxy = configuration.proxy(plane.component("system:kube-proxy"), NAME)
    (folder / "kube-proxy.json").write_text(json.dumps(proxy))


def _overlays(folder: Path) -> bool:
    """Whether an overlay can lie on the file system of a folder."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for part in ("lower", "upper", "work", "root"):
            Path(place, part).mkdir()
        layers = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
        mount = ["mount", "-t", "overlay", "overlay", "-o", layers, f"{place}/root"]
        # In a name space of its own, where it ends with the command.
        return subprocess.run(["unshare", "-m", *mount], capture_output=True).returncode == 0


def _check_ready(cluster: Cluster) -> None:
    found = cluster.call("GET", f"/api/v1/nodes/{NAME}")
    conditions = {each["type"]: each for each in found["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True", conditions["Ready"]["message"]
    taints = found["spec"].get("taints", [])
    assert not taints, f"it has taints: {taints}"


def _wait(made: Node, what: str, check: Callable[[], object]) -> None:
    """Wait until a check holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        made.cluster.plane.check()
        try:
            check()
            return
        except AssertionError as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} is not ready after {PATIENCE} s: {error}") from None
        time.sleep(0.2)
