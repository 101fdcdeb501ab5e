"""Host keys: which are known, and what a host that shows another one is told.

paramiko's own reading of known_hosts passes over ``@revoked`` and wildcards, takes one key a
host, and does not say where it stands; here the rules are those of OpenSSH's sshd(8), "SSH_KNOWN_
HOSTS FILE FORMAT", and every answer has its file and line. Certificates of host authorities
(``@cert-authority``) are not supported, since paramiko does not ask for any.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.client import MissingHostKeyPolicy, SSHClient

from rolecall.errors import UnreachableError
from rolecall.shell import quote

#: Where OpenSSH looks by default: the user's keys, and those accepted for everyone.
USER = (Path("~/.ssh/known_hosts"), Path("~/.ssh/known_hosts2"))
SYSTEM = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))

#: The algorithms that show a key of one kind, the best first.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


def _digest(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Entry:
    """One line of a known_hosts file.

    Attributes:
        path: the file.
        line: counted from 1.
        marker: ``@revoked``, ``@cert-authority`` or nothing.
        names: as they stand: patterns with commas, or one hashed name.
        kind: of the key, such as ``ssh-ed25519``.
        key: in base64.
    """

    path: Path
    line: int
    marker: str
    names: str
    kind: str
    key: str

    @classmethod
    def parse(cls, path: Path, line: int, text: str) -> Entry | None:
        """Read a line; None for a comment, an empty or a broken one."""
        words = text.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#"):
            return None
        names, kind, key = words[:3]
        return cls(path, line, marker, names if names[0] == "|" else names.lower(), kind, key)

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.path}:{self.line}"

    @property
    def shown(self) -> str:
        """Kind and fingerprint."""
        try:
            return f"{self.kind} {_digest(base64.b64decode(self.key))}"
        except ValueError:
            return f"{self.kind}, which cannot be read"

    def covers(self, name: str) -> bool:
        """Whether the line is about ``name``: ``host`` or ``[host]:port``."""
        if self.names.startswith("|1|"):
            with suppress(ValueError):
                salt, digest = map(base64.b64decode, self.names.split("|")[2:])
                return hmac.digest(salt, name.encode(), "sha1") == digest
            return False
        if name not in self.names and self.is_plain:  # most lines, at no cost
            return False
        patterns = self.names.split(",")
        if any(_matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
            return False
        return any(_matches(pattern, name) for pattern in patterns)

    @property
    def is_plain(self) -> bool:
        """Whether the line is about hosts by name alone, rather than by a pattern."""
        return not ("*" in self.names or "?" in self.names or "!" in self.names)


def _matches(pattern: str, name: str) -> bool:
    """OpenSSH's wildcards: ``*`` and ``?`` alone; a bracket is a bracket."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None


@dataclass(frozen=True)
class ShownKey:
    """The key that a host shows.

    Attributes:
        name: the host as known_hosts names it: ``host``, or ``[host]:port``.
        kind: such as ``ssh-ed25519``.
        fingerprint: ``SHA256:…``, as OpenSSH prints it, for the user to compare.
        key: the key in base64.
    """

    name: str
    kind: str
    fingerprint: str
    key: str

    @classmethod
    def of(cls, name: str, key: paramiko.PKey) -> ShownKey:
        """``key`` as ``name`` shows it."""
        return cls(name, key.get_name(), _digest(key.asbytes()), key.get_base64())

    @property
    def shown(self) -> str:
        """Kind and fingerprint."""
        return f"{self.kind} {self.fingerprint}"

    def accept(self, path: Path) -> None:
        """Add the key to the end of ``path``, hashed where that file is hashed.

        Raises:
            OSError: the file cannot be written.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = path.read_bytes() if path.exists() else b""
        hashed = re.search(rb"^\|1\|", old, re.MULTILINE)
        name = paramiko.HostKeys.hash_host(self.name) if hashed else self.name
        line = f"{name} {self.kind} {self.key}\n"
        with open(path, "a", encoding="utf-8") as file:  # in one write: others may append as well
            file.write(line if old.endswith(b"\n") or not old else f"\n{line}")
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class KnownHosts:
    """All that some known_hosts files say."""

    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, files: Iterable[Path]) -> KnownHosts:
        """Read ``files`` in their order; one that does not exist says nothing.

        Raises:
            UnreachableError: one cannot be read: what it revokes would go unnoticed.
        """
        entries: list[Entry] = []
        for path in dict.fromkeys(file.expanduser() for file in files):
            try:
                text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            except OSError as error:
                raise UnreachableError(
                    f"{path} cannot be read, so no host key can be verified: {error.strerror}",
                    "make it readable for you, or take it away",
                ) from error
            entries += _entries(path, text)
        return cls(tuple(entries))

    def about(self, name: str) -> list[Entry]:
        """The keys known for ``name``, without what certifies others."""
        name = name.lower()
        return [
            entry
            for entry in self.entries
            if entry.marker in ("", "@revoked") and entry.covers(name)
        ]

    def algorithms(self, name: str) -> list[str]:
        """The algorithms to ask the host for first, so that it shows a key that is known."""
        kinds = dict.fromkeys(entry.kind for entry in self.about(name) if not entry.marker)
        return [algorithm for kind in kinds for algorithm in _ALGORITHMS.get(kind, (kind,))]

    def judge(self, shown: ShownKey) -> Judgement:
        """What is known about the key that a host shows."""
        entries = self.about(shown.name)
        same = [entry for entry in entries if (entry.kind, entry.key) == (shown.kind, shown.key)]
        for entry in same:
            if entry.marker:
                return Judgement("revoked", (entry,))
        if same:
            return Judgement("known", tuple(same))
        others = tuple(entry for entry in entries if not entry.marker)
        if others:
            return Judgement("changed", others)
        # As OpenSSH does for a port of its own: the key of the host itself will do.
        bare = re.fullmatch(r"\[(.+)\]:\d+", shown.name)
        if bare:
            at_host = self.judge(ShownKey(bare[1], shown.kind, shown.fingerprint, shown.key))
            if at_host.verdict in ("known", "revoked"):
                return at_host
        return Judgement("unknown", ())


@lru_cache(maxsize=16)  # the hosts of a fleet share their files
def _entries(path: Path, text: str) -> tuple[Entry, ...]:
    lines = enumerate(text.splitlines(), 1)
    parsed = (Entry.parse(path, number, line) for number, line in lines)
    return tuple(entry for entry in parsed if entry)


@dataclass(frozen=True)
class Judgement:
    """What known_hosts says of a key.

    Attributes:
        verdict: ``known``, ``unknown``, ``changed`` (others are known for this name) or
            ``revoked``.
        entries: the lines that say so.
    """

    verdict: str
    entries: tuple[Entry, ...]


def forget(entries: Sequence[Entry]) -> None:
    """Remove lines from their files; each file is replaced as a whole, links and modes kept.

    Raises:
        OSError: a file cannot be written.
    """
    for path in dict.fromkeys(entry.path for entry in entries):
        real = path.resolve()
        gone = {entry.line for entry in entries if entry.path == path}
        lines = real.read_bytes().splitlines(keepends=True)
        temporary = real.with_name(f"{real.name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                os.fchmod(file.fileno(), real.stat().st_mode & 0o777)
                file.writelines(line for number, line in enumerate(lines, 1) if number not in gone)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, real)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


class Verify(MissingHostKeyPolicy):
    """Lets only known keys pass. The client itself knows none, so that it asks about every one.

    Attributes:
        host: the host of the inventory that the user named.
        trust: the command that accepts its key.
    """

    def __init__(self, known: KnownHosts, name: str, host: str, trust: str) -> None:
        self._known = known
        self._name = name
        self._host = host
        self._trust = trust

    def missing_host_key(self, client: SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Refuse a key that is not known, and say what to do.

        Raises:
            UnreachableError: it is unknown, has changed, or was revoked.
        """
        shown = ShownKey.of(self._name, key)
        judgement = self._known.judge(shown)
        if judgement.verdict != "known":
            raise refusal(self._host, shown, judgement, self._trust)


def refusal(host: str, shown: ShownKey, judgement: Judgement, trust: str) -> UnreachableError:
    """The error for a key that is not accepted; ``trust`` is the command that would do so."""
    if judgement.verdict == "revoked":
        return UnreachableError(
            f"THE KEY OF {host} IS REVOKED: {shown.name} shows {shown.shown}, which "
            f"{judgement.entries[0].where} says nobody may trust",
            "do not connect; ask whoever runs the host for its new key",
        )
    if judgement.verdict == "changed":
        old = ", ".join(f"{entry.shown} ({entry.where})" for entry in judgement.entries)
        return UnreachableError(
            f"THE KEY OF {host} HAS CHANGED: {shown.name} is known by {old} and now shows "
            f"{shown.shown}; somebody may be in between",
            f"only if the host was reinstalled or got new keys: {trust} --replace",
        )
    return UnreachableError(
        f"the key of {host} is not known: {shown.name} shows {shown.shown}",
        f"compare it with ssh-keygen -lf /etc/ssh/ssh_host_{_file(shown.kind)}_key.pub on the "
        f"host itself, then: {trust}",
    )


def _file(kind: str) -> str:
    """How sshd names the file of a key: ``ssh_host_ed25519_key``."""
    kind = kind.removeprefix("sk-")
    return "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")


def trust_command(host: str) -> str:
    """The command that accepts the key of a host of the project's own inventory."""
    return f"./inv trust --hosts {quote(host)}"
