"""Host keys are verified: an unknown one is refused with its fingerprint, a changed one loudly."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.client import MissingHostKeyPolicy, SSHClient

from rolecall.errors import UnreachableError

#: Keys that the administrator of this machine accepts for everyone.
SYSTEM = Path("/etc/ssh/ssh_known_hosts")


def fingerprint(key: paramiko.PKey) -> str:
    """A key's fingerprint as OpenSSH prints it: ``SHA256:…``."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class KnownHost:
    """A key as a line of a known_hosts file.

    Attributes:
        name: the host as known_hosts names it: ``host``, or ``[host]:port``.
        kind: such as ``ssh-ed25519``.
        fingerprint: ``SHA256:…``, for the user to compare.
        key: the key in base64.
    """

    name: str
    kind: str
    fingerprint: str
    key: str

    @classmethod
    def of(cls, host: str, port: int, key: paramiko.PKey) -> KnownHost:
        """The entry for ``key``, shown by ``host`` at ``port``."""
        name = host if port == 22 else f"[{host}]:{port}"
        return cls(name, key.get_name(), fingerprint(key), key.get_base64())

    @property
    def line(self) -> str:
        """The line, without its newline."""
        return f"{self.name} {self.kind} {self.key}"

    def accept(self, path: Path) -> None:
        """Add the key to ``path``, in place of any other that the file has for this name.

        Raises:
            OSError: the file cannot be written.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
        kept = [line for line in old if not self._names(line)]
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with open(temporary, "w", errors="surrogateescape") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write("\n".join([*kept, self.line, ""]))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)

    def _names(self, line: str) -> bool:
        """Whether a line is about this name alone, plain or hashed."""
        names = line.split(" ", 1)[0]
        if names.startswith("|1|"):
            with suppress(ValueError, paramiko.SSHException):
                return paramiko.HostKeys.hash_host(self.name, names) == names
            return False
        return names == self.name


class RefuseUnknown(MissingHostKeyPolicy):
    """Refuses a host whose key no known_hosts file has."""

    def __init__(self, host: str) -> None:
        self._host = host

    def missing_host_key(self, client: SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Refuse, and say how the key is accepted.

        Raises:
            UnreachableError: always.
        """
        raise UnreachableError(
            f"the key of {hostname} is not known: {key.get_name()} {fingerprint(key)}",
            f"compare the fingerprint with the host's own, then ./inv trust --hosts {self._host}",
        )


def verify_host_keys(client: SSHClient, host: str, files: Iterable[Path]) -> None:
    """Let ``client`` accept only keys in the user's known_hosts, the system's and ``files``."""
    client.load_system_host_keys()
    for path in (SYSTEM, *files):
        if path.is_file():
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(RefuseUnknown(host))


def changed_key(
    host: str, shown: KnownHost, error: paramiko.BadHostKeyException
) -> UnreachableError:
    """The error for a host that shows another key than the one that is known."""
    return UnreachableError(
        f"THE KEY OF {host} HAS CHANGED: {shown.name} is known by "
        f"{fingerprint(error.expected_key)}, shown was {shown.kind} {shown.fingerprint}; "
        "somebody may be in between",
        f"if the host was reinstalled: ssh-keygen -R '{shown.name}', "
        f"then ./inv trust --hosts {host}",
    )
