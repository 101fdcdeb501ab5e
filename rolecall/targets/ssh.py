"""A host over SSH, through fabric's ``Connection``: one connection a host, one channel a run."""

from __future__ import annotations

import hashlib
import posixpath
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Connection

from rolecall.errors import RolecallError, UnreachableError
from rolecall.shell import decode, encode, quote
from rolecall.targets.hostkeys import changed_key, verify_host_keys
from rolecall.targets.tunnel import tunnel

#: Seconds between two signs of life on an idle connection.
KEEPALIVE = 15

#: Seconds within which a host has to answer.
CONNECT_TIMEOUT = 15


@dataclass(frozen=True)
class Address:
    """Where a host is and how to log in; empty values are ssh_config's to fill.

    Attributes:
        key_files: private keys to try, besides the agent's and the usual ones.
        known_hosts: files with accepted host keys, besides the user's own.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key_files: tuple[str, ...] = ()
    known_hosts: tuple[Path, ...] = ()


class SshChannel:
    """The streams of a remote shell."""

    def __init__(self, channel: paramiko.Channel, target: SshTarget) -> None:
        self._channel = channel
        self._target = target
        self._pid = ""

    def expect_pid(self) -> None:
        """Read the shell's process id, printed on a line of its own in front of everything.

        Whatever a login script prints before it is passed over.
        """
        seen = b""
        while not self._pid:
            data = self._channel.recv(4096)
            if not data:
                said = decode(seen).strip().splitlines()
                raise UnreachableError(
                    f"no shell on {self._target.name}" + (f": {said[-1]}" if said else ""),
                    "the account needs a login shell that can run /bin/sh",
                )
            seen += data
            for line in seen.split(b"\n")[:-1]:
                if line.startswith(b"@@pid "):
                    self._pid = decode(line.removeprefix(b"@@pid "))

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise UnreachableError(f"the connection to {self._target.name} is lost") from error

    def read(self) -> bytes:
        """Whatever the shell has printed, waiting for at least one byte."""
        try:
            return self._channel.recv(1 << 16)
        except OSError:
            return b""

    def close(self) -> None:
        """End the input and wait: a step in progress is finished, not cut."""
        with suppress(OSError, EOFError):
            self._channel.shutdown_write()
            while self._channel.recv(1 << 16):
                pass
        self._channel.close()
        self._target.disconnect()

    def interrupt(self) -> None:
        """End the shell and its step over a second channel, then the connection."""
        with suppress(RolecallError, OSError, paramiko.SSHException, EOFError):
            self._target.execute(f"kill -s TERM -- -{int(self._pid)}")
        self._channel.close()
        self._target.disconnect()


class SshTarget:
    """Converges a remote host as the user of the connection."""

    def __init__(self, name: str, address: Address) -> None:
        self.name = name
        self._address = address
        self._connection: Connection | None = None

    def open_shell(self) -> SshChannel:
        """Connect, verify the host's key, and start the shell."""
        channel = SshChannel(self._exec("echo; echo @@pid $$; exec /bin/sh"), self)
        channel.expect_pid()
        return channel

    def execute(self, command: str, data: bytes = b"") -> str:
        """Run a command over a channel of its own and return what it printed.

        Raises:
            RolecallError: it ended with another status than 0.
        """
        channel = self._exec(f"exec /bin/sh -c {quote(command)}")
        channel.set_combine_stderr(True)
        channel.sendall(data)
        channel.shutdown_write()
        output = b"".join(iter(lambda: channel.recv(1 << 16), b""))
        status = channel.recv_exit_status()
        channel.close()
        if status != 0:
            raise RolecallError(f"on {self.name}: {decode(output).strip() or f'status {status}'}")
        return decode(output)

    def upload(self, source: Path, destination: str, mode: str) -> None:
        """Send a file: to a temporary name that carries its digest, verified, renamed.

        A transfer that was cut goes on where it stopped; a file that is there already is not
        sent again.
        """
        digest = hashlib.sha256()
        with open(source, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        folder, name = posixpath.split(destination)
        part = quote(posixpath.join(folder, f".rolecall-{digest.hexdigest()[:16]}-{name}"))
        place = quote(destination)
        there = self.execute(
            f"[ -f {place} ] && sha256sum <{place} || :; wc -c 2>/dev/null <{part} || echo 0"
        ).split()
        if there[0] != digest.hexdigest():
            offset = int(there[-1])
            with open(source, "rb") as file:
                file.seek(offset)
                self._send(f"umask 077; cat >>{part}", file.read)
            sent = self.execute(f"sha256sum <{part}").split()[0]
            if sent != digest.hexdigest():
                self.execute(f"rm -f -- {part}")
                raise RolecallError(
                    f"{destination} on {self.name} arrived damaged", "run the same command again"
                )
            self.execute(f"sync -- {part} 2>/dev/null || sync; mv -f -- {part} {place}")
        self.execute(f"chmod -- {quote(mode)} {place}")

    @contextmanager
    def forward(self, port: int) -> Iterator[tuple[str, int]]:
        """A local address that reaches the host's loopback."""
        with tunnel(self._transport(), port) as address:
            yield address

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, command: str, read: object) -> None:
        channel = self._exec(f"exec /bin/sh -c {quote(command)}")
        while block := read(1 << 18):  # type: ignore[operator]
            channel.sendall(block)
        channel.shutdown_write()
        status = channel.recv_exit_status()
        channel.close()
        if status != 0:
            raise RolecallError(f"an upload to {self.name} failed with status {status}")

    def _exec(self, command: str) -> paramiko.Channel:
        try:
            channel = self._transport().open_session(timeout=CONNECT_TIMEOUT)
            channel.exec_command(encode(command))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(f"{self.name} refused a channel: {error}") from error
        return channel

    def _transport(self) -> paramiko.Transport:
        if self._connection is None or not self._connection.is_connected:
            self._connection = self._connect()
        transport = self._connection.transport
        assert isinstance(transport, paramiko.Transport)
        return transport

    def _connect(self) -> Connection:
        address = self._address
        keys = [str(Path(key).expanduser()) for key in address.key_files]
        connection = Connection(
            address.host,
            user=address.user,
            port=address.port,
            connect_timeout=CONNECT_TIMEOUT,
            connect_kwargs={"key_filename": keys} if keys else None,
        )
        self._verify(connection)
        where = f"{self.name} ({connection.user}@{connection.host}:{connection.port})"
        try:
            connection.open()
        except paramiko.BadHostKeyException as error:
            raise changed_key(self.name, error) from error
        except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
            raise UnreachableError(
                f"{where} refused the login: {error}",
                "name the key in the inventory (ansible_ssh_private_key_file) or add it to "
                "the agent: ssh-add",
            ) from error
        except TimeoutError as error:
            raise UnreachableError(
                f"{where} did not answer within {CONNECT_TIMEOUT} s", "is it up, and reachable?"
            ) from error
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise UnreachableError(
                f"{where} cannot be reached: {error}",
                f"try: ssh -p {connection.port} "
                f"{shlex.quote(f'{connection.user}@{connection.host}')}",
            ) from error
        assert connection.transport is not None
        connection.transport.set_keepalive(KEEPALIVE)
        return connection

    def _verify(self, connection: Connection) -> None:
        """Fabric accepts any key by default; this and every jump host on the way must not."""
        verify_host_keys(connection.client, self.name, self._address.known_hosts)
        gateway = connection.gateway
        if isinstance(gateway, Connection):
            self._verify(gateway)
