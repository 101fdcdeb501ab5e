"""Starting etcd, the API server, the controllers and the scheduler, each with what it needs."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rig.kubernetes import audit
from tests.rig.kubernetes.certificates import Authority, Pair, signing_keys
from tests.rig.kubernetes.processes import Server
from tests.rig.kubernetes.programs import Programs
from tests.rig.sshd import free_port

#: Seconds until the server has to answer; idle, it does after six, and under load after fifty.
PATIENCE = 120

#: The services' addresses; nothing outside a node's namespace ever sees them.
SERVICES = "10.96.0.0/16"

_FIRST_SERVICE = "10.96.0.1"
_TRIES = 3  #: another process may take a free port before the server does


@dataclass
class ControlPlane:
    """A running API server and its etcd.

    Attributes:
        folder: everything that belongs to it: keys, state, logs.
        address: that the API server listens on.
        port: of the API server.
        issuer: of certificates for its users.
        admin: the certificate of one who may do everything.
        tokens: what ServiceAccounts' tokens are checked and signed with.
        servers: its processes.
    """

    folder: Path
    programs: Programs
    address: str
    port: int
    issuer: Authority
    admin: Pair
    tokens: Pair
    servers: list[Server]

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def kubeconfig(self, user: str, pair: Pair, namespace: str = "default") -> Path:
        """A kubeconfig file for one user, with one context that is called as the user is."""
        place = self.folder / f"kubeconfig-{pair.key.stem}"
        place.touch(mode=0o600)
        place.write_text(
            "apiVersion: v1\nkind: Config\n"
            f"clusters: [{{name: test, cluster: {{server: '{self.url}',"
            f" certificate-authority: '{self.issuer.certificate}'}}}}]\n"
            f"users: [{{name: '{user}', user: {{client-certificate: '{pair.certificate}',"
            f" client-key: '{pair.key}'}}}}]\n"
            f"contexts: [{{name: '{user}', context: {{cluster: test, user: '{user}',"
            f" namespace: '{namespace}'}}}}]\n"
            f"current-context: '{user}'\n"
        )
        return place

    def start_controllers(self) -> None:
        """The controller manager and the scheduler, as the users that upstream's roles are for."""
        manager = self.component("system:kube-controller-manager")
        self.serve(
            "kube-controller-manager",
            f"--kubeconfig={manager}",
            f"--service-account-private-key-file={self.tokens.key}",
            f"--root-ca-file={self.issuer.certificate}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
        )
        scheduler = self.component("system:kube-scheduler")
        self.serve(
            "kube-scheduler", f"--kubeconfig={scheduler}", "--leader-elect=false", "--secure-port=0"
        )

    def serve(self, name: str, *options: str, through: Sequence[str] = ()) -> Server:
        """Start a program, by a command that runs another if one is given."""
        return self.start(name, [*through, self.programs(name), *options])

    def start(self, name: str, command: Sequence[str]) -> Server:
        """Start a server that ends with the control plane."""
        server = Server(self.folder / f"{name}.log", command)
        self.servers.append(server)
        return server

    def check(self) -> None:
        """Fail, with its last words, where a server has ended by itself."""
        for server in self.servers:
            assert not server.ended, f"{server.name} has ended: {server.tail()}"

    def close(self) -> None:
        """End everything."""
        for server in reversed(self.servers):
            server.kill()
        self.servers.clear()

    def component(self, user: str, groups: Sequence[str] = ()) -> Path:
        """The kubeconfig of a part of the cluster, which RBAC knows already."""
        return self.kubeconfig(user, self.issuer.issue(user, groups=groups))


def start(folder: Path, programs: Programs, address: str = "127.0.0.1") -> ControlPlane:
    """A control plane without controllers, ready to answer.

    Args:
        folder: an empty one, for its files.
        programs: what to run.
        address: that the API server listens on and that its clients come to.
    """
    issuer = Authority(folder)
    tokens = signing_keys(folder)
    admin = issuer.issue("admin", groups=["system:masters"])
    (folder / "audit-policy.yaml").write_text(audit.POLICY)
    for attempt in range(_TRIES):
        plane = ControlPlane(folder, programs, address, free_port(), issuer, admin, tokens, [])
        try:
            _start_server(plane, folder / f"etcd-{attempt}")
            _wait(plane)
        except BaseException:
            said = "".join(server.tail() for server in plane.servers)
            plane.close()
            if "address already in use" not in said or attempt == _TRIES - 1:
                raise
        else:
            return plane
    raise AssertionError("unreachable")


def _start_server(plane: ControlPlane, data: Path) -> None:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    plane.serve(
        "etcd",
        f"--data-dir={data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    )
    names = ["localhost", "127.0.0.1", "kubernetes.default.svc", _FIRST_SERVICE]
    hosts = dict.fromkeys([*names, plane.address])
    serving = plane.issuer.issue("kube-apiserver", hosts=list(hosts))
    kubelets = plane.issuer.issue("kube-apiserver-kubelet-client", groups=["system:masters"])
    loopback = plane.address.startswith("127.")
    plane.serve(
        "kube-apiserver",
        f"--etcd-servers={client}",
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.port}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={plane.issuer.certificate}",
        f"--kubelet-client-certificate={kubelets.certificate}",
        f"--kubelet-client-key={kubelets.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={plane.tokens.certificate}",
        f"--service-account-signing-key-file={plane.tokens.key}",
        f"--service-cluster-ip-range={SERVICES}",
        # A loopback address must not stand in the endpoints of the service `kubernetes`.
        f"--endpoint-reconciler-type={'none' if loopback else 'lease'}",
        "--allow-privileged",
        f"--audit-policy-file={plane.folder}/audit-policy.yaml",
        f"--audit-log-path={plane.audit_log}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=1000",
    )


def _wait(plane: ControlPlane) -> None:
    trust = ssl.create_default_context(cafile=str(plane.issuer.certificate))
    trust.load_cert_chain(plane.admin.certificate, plane.admin.key)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        plane.check()
        try:
            with urllib.request.urlopen(f"{plane.url}/readyz", timeout=10, context=trust):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    raise AssertionError(f"no API server after {PATIENCE} s: {plane.servers[-1].tail()}")
