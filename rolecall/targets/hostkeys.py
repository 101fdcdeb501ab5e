"""Host keys are verified: an unknown one is refused with its fingerprint, a changed one loudly."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

import paramiko
from paramiko.client import MissingHostKeyPolicy, SSHClient

from rolecall.errors import UnreachableError


def fingerprint(key: paramiko.PKey) -> str:
    """A key's fingerprint as OpenSSH prints it: ``SHA256:…``."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


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
    """Let ``client`` accept only keys in the user's known_hosts and in ``files``."""
    client.load_system_host_keys()
    for path in files:
        if path.is_file():
            client.load_system_host_keys(str(path))
    client.set_missing_host_key_policy(RefuseUnknown(host))


def changed_key(host: str, error: paramiko.BadHostKeyException) -> UnreachableError:
    """The error for a host that shows another key than the one that is known."""
    return UnreachableError(
        f"THE KEY OF {host} HAS CHANGED: known is {fingerprint(error.expected_key)}, "
        f"shown was {error.key.get_name()} {fingerprint(error.key)}; somebody may be in between",
        f"if the host was reinstalled: ssh-keygen -R {error.hostname}, "
        f"then ./inv trust --hosts {host}",
    )
