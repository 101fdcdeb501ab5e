"""A cluster as tests use it: a namespace each, kubectl, users with few rights, the audit log."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.rig.kubernetes import audit, programs
from tests.rig.kubernetes import plane as planes
from tests.rig.kubernetes.audit import Request
from tests.rig.kubernetes.plane import PATIENCE, ControlPlane

#: The context of one who may do everything.
CONTEXT = "admin"

_SETTLE = 20  #: seconds until a request has to stand in the audit log


class StatusError(AssertionError):
    """The API server refused a request of the rig; ``code`` is that of HTTP."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass
class Cluster:
    """A running control plane; it has no nodes unless a test registers one.

    Attributes:
        plane: its processes.
        kubeconfig: of one who may do everything; the context is called :data:`CONTEXT`.
    """

    plane: ControlPlane
    kubeconfig: Path
    _controlled: bool = field(default=False)

    @property
    def folder(self) -> Path:
        """For files of this cluster; goes with it."""
        return self.plane.folder

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.plane.url

    @property
    def kubectl_program(self) -> str:
        return self.plane.programs("kubectl")

    def controllers(self) -> Cluster:
        """Have a controller manager and a scheduler from now on; returns this cluster."""
        if not self._controlled:
            self.plane.start_controllers()
            self._controlled = True
            self._wait_until_furnished("default")
        self.plane.check()
        return self

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl printed; it has to succeed unless ``check`` is off."""
        done = subprocess.run(
            [self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=PATIENCE,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request as the administrator, which :meth:`requests` leaves out.

        Raises:
            StatusError: The server answered with a status of 400 or more.
        """
        asked = urllib.request.Request(
            f"{self.server}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"User-Agent": audit.RIG, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=60, context=self._trust) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise StatusError(error.code, error.read().decode(errors="replace")) from None

    @contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """A namespace that no other test has, and that is deleted afterwards."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        if not self._controlled:
            # Pods are admitted only where it is, and a controller makes it where one runs.
            account = {"metadata": {"name": "default"}}
            self.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)
        else:
            self._wait_until_furnished(name)
        try:
            yield name
        finally:
            self.call("DELETE", f"/api/v1/namespaces/{name}")

    def user(
        self, name: str, rules: Sequence[Mapping[str, Any]], namespace: str = "default"
    ) -> Path:
        """A kubeconfig of one who may do in a namespace what the rules say, and nothing else.

        Args:
            name: of the user, and of the context.
            rules: as a Role has them: ``apiGroups``, ``resources``, ``verbs``, ``resourceNames``.
            namespace: that they hold in, and that the context names.
        """
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        self.call("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        }
        self.call("POST", f"{rbac}/rolebindings", binding)
        return self.plane.kubeconfig(name, self.plane.issuer.issue(name), namespace)

    def mark(self) -> int:
        """A moment to give to :meth:`requests`: now, after all that was asked so far."""
        self._settle()
        return self.plane.audit_log.stat().st_size

    def requests(self, since: int = 0) -> tuple[Request, ...]:
        """What the server was asked since a :meth:`mark`, by others than its own parts."""
        self._settle()
        return tuple(audit.read(self.plane.audit_log, since))

    def close(self) -> None:
        """End it and remove everything of it."""
        self.plane.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        trust = ssl.create_default_context(cafile=str(self.plane.issuer.certificate))
        trust.load_cert_chain(self.plane.admin.certificate, self.plane.admin.key)
        return trust

    def _settle(self) -> None:
        """Wait until the log has what was answered before: it has when a later request is in."""
        log = self.plane.audit_log
        before = log.stat().st_size if log.exists() else 0
        mark = uuid.uuid4().hex
        self.call("GET", f"/version?mark={mark}")
        deadline = time.monotonic() + _SETTLE
        while not (log.exists() and audit.has(log, before, mark)):
            assert time.monotonic() < deadline, f"{log} lacks a request after {_SETTLE} s"
            time.sleep(0.01)

    def _wait_until_furnished(self, namespace: str) -> None:
        """Wait until controllers have put into a namespace what every pod wants."""
        inside = f"/api/v1/namespaces/{namespace}"
        deadline = time.monotonic() + PATIENCE
        for path in (f"{inside}/serviceaccounts/default", f"{inside}/configmaps/kube-root-ca.crt"):
            while not self._exists(path):
                self.plane.check()
                assert time.monotonic() < deadline, f"no controller makes {path}"
                time.sleep(0.02)

    def _exists(self, path: str) -> bool:
        try:
            self.call("GET", path)
        except StatusError as error:
            if error.code != 404:
                raise
            return False
        return True


def start(folder: Path, address: str = "127.0.0.1") -> Cluster:
    """A cluster below an existing folder; skips where there are no programs for it."""
    plane = planes.start(folder, programs.find(), address)
    return Cluster(plane, plane.kubeconfig(CONTEXT, plane.admin))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that ends with the context."""
    folder = Path(tempfile.mkdtemp(prefix="rolecall-cluster-"))
    try:
        made = start(folder)
        try:
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
