"""What containerd, CNI, kubelet and kube-proxy of a node are told.

By containerd 1.6 and newer, CNI 1.0, and Kubernetes 1.34 (kubelet.config.k8s.io/v1beta1,
kubeproxy.config.k8s.io/v1alpha1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: Where Debian has the CNI plugins.
CNI = Path("/usr/lib/cni")

#: The pods' addresses, known in the room only.
PODS = "10.97.0.0/24"

#: Where containerd listens, in the room.
CONTAINERD = "/run/containerd/containerd.sock"

_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{folder}/cni"
"""


def containerd(folder: Path, sandbox: str, snapshotter: str) -> str:
    """For ``containerd --config``, with its files in ``folder``; it may not raise a priority."""
    return _CONTAINERD.format(
        folder=folder, sandbox=sandbox, snapshotter=snapshotter, socket=CONTAINERD, cni=CNI
    )


def network() -> dict[str, Any]:
    """A cable from every pod to the node, which hides their addresses from what is outside."""
    ranges = {"type": "host-local", "subnet": PODS, "routes": [{"dst": "0.0.0.0/0"}]}
    cable = {"type": "ptp", "ipMasq": True, "ipam": ranges}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [cable]}


def kubelet(folder: Path, authority: Path, group: str, address: str) -> dict[str, Any]:
    """For ``kubelet --config``.

    Args:
        folder: for its files.
        authority: the certificate that its clients are signed by.
        group: the control group that the pods' groups are made in.
        address: of the node. Pods ask it for names, and are refused at once.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "clusterDNS": [address],
        "resolvConf": str(folder / "resolv.conf"),
        "podLogsDir": str(folder / "pods"),
        "volumePluginDir": str(folder / "plugins"),
        "authentication": {
            "x509": {"clientCAFile": str(authority)},
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
        },
        "authorization": {"mode": "AlwaysAllow"},
        # The disk is the tests' machine's, and may be as full as it is.
        "evictionHard": {"memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
    }


def proxy(kubeconfig: Path, node: str) -> dict[str, Any]:
    """For ``kube-proxy --config``; the tables of tracked connections stay as the host has them."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": node,
        "mode": "iptables",
        "clusterCIDR": PODS,
        "oomScoreAdj": 0,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
