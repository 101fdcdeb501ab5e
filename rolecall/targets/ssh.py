"""A host over SSH, through fabric's ``Connection``: one connection a host, one channel a run."""

from __future__ import annotations

import logging
import math
import re
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection

from rolecall.errors import RolecallError, UnreachableError
from rolecall.shell import decode, encode, quote
from rolecall.targets import Pulse
from rolecall.targets.hostkeys import SYSTEM, USER, KnownHosts, ShownKey, Verify, trust_command
from rolecall.targets.prompt import prompt_transport
from rolecall.targets.tunnel import tunnel
from rolecall.targets.upload import upload

#: How paramiko words that the other side said nothing in time.
_SILENT = ("Error reading SSH protocol banner", "No existing session", "Timeout")

#: How paramiko words that it has nothing to log in with.
_NO_KEY = "No authentication methods available"

_PID = re.compile(rb"@@pid (\d+)")

# Without a handler of its own, paramiko's tracebacks of refused logins reach standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Patience:
    """How long a host may be silent, in seconds.

    Attributes:
        connect: for the connection, the login and the start of a shell, each.
        keepalive: between two signs of life on an idle connection.
        lost: after which a connection whose data nobody confirms is given up.
        interrupt: for a step to end by itself after Ctrl-C.
    """

    connect: float = 15
    keepalive: int = 15
    lost: float = 45
    interrupt: float = 5


@dataclass(frozen=True)
class Address:
    """Where a host is and how to log in; empty values are ssh_config's to fill.

    Attributes:
        host: a name of ssh_config, a host name or an address.
        key_files: private keys to try, besides the agent's and the usual ones.
        known_hosts: files with accepted host keys, besides the user's own.
        kept_keys: the file that belongs to the inventory; it counts as well, if it exists.
        password: for the login; never shown.
        passphrase: of the key files; never shown.
        ssh_config: the file to read in place of the user's and the system's.
        proxy_jump: hosts to go through, ``user@host:port`` with commas, in place of ssh_config's.
        proxy_command: a command whose standard streams are the connection, likewise.
        trust: the command that accepts the host's key, for messages; empty: that of ``./inv``.
        patience: how long to wait.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key_files: tuple[str, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    kept_keys: Path | None = None
    password: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    ssh_config: Path | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    trust: str = ""
    patience: Patience = field(default_factory=Patience)


class SshChannel:
    """The streams of a remote shell."""

    def __init__(self, channel: paramiko.Channel, target: SshTarget) -> None:
        self._channel = channel
        self._target = target
        self._pid = 0

    def expect_pid(self, patience: float) -> None:
        """Read the shell's process id, printed on a line of its own in front of everything.

        Whatever a login script prints before it is passed over.

        Raises:
            UnreachableError: it ended or stayed silent for ``patience`` seconds instead.
        """
        seen = b""
        self._channel.settimeout(patience)
        while not self._pid:
            try:
                data = self._channel.recv(4096)
            except TimeoutError:
                raise self._no_shell(seen, f"it did not start within {patience:g} s") from None
            if not data:
                seen += self._channel.recv_stderr(4096)
                raise self._no_shell(seen, "")
            seen += data
            for line in seen.split(b"\n")[:-1]:
                if said := _PID.fullmatch(line):
                    self._pid = int(said[1])
        self._channel.settimeout(None)

    def _no_shell(self, seen: bytes, why: str) -> UnreachableError:
        said = [line.strip() for line in decode(seen).splitlines() if line.strip()]
        reason = "; ".join([*([why] if why else []), *said[-3:]])
        return UnreachableError(
            f"no shell on {self._target.name}" + (f": {reason}" if reason else ""),
            f"the login shell of {self._target.login} has to run commands: "
            f"try ssh {self._target.login} true",
        )

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        try:
            self._channel.sendall(data)
        except (OSError, EOFError) as error:
            raise UnreachableError(
                f"the connection to {self._target.name} is lost",
                "run the same command again: it goes on from the state it finds",
            ) from error

    def read(self) -> bytes:
        """Whatever the shell has printed, waiting for at least one byte."""
        try:
            return self._channel.recv(1 << 16)
        except (OSError, EOFError):
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
        """End the shell and its step over a second channel, then the connection.

        What does not end by itself within the grace period is killed.
        """
        group = f"-{self._pid}"
        tenths = int(self._target.patience.interrupt * 10)
        script = (
            f"kill -s TERM -- {group} || exit 0; rc_i=0\n"
            f"while kill -s 0 -- {group} 2>/dev/null && [ $rc_i -lt {tenths} ]; do\n"
            "rc_i=$((rc_i + 1)); sleep 0.1 2>/dev/null || { sleep 1; rc_i=$((rc_i + 9)); }; done\n"
            f"kill -s KILL -- {group} 2>/dev/null || :"
        )
        with suppress(RolecallError, OSError, paramiko.SSHException, EOFError):
            self._target.execute(script)
            self._channel.close()
        self._target.disconnect()


class SshTarget:
    """Converges a remote host as the user of the connection."""

    def __init__(self, name: str, address: Address) -> None:
        self.name = name
        self.patience = address.patience
        self.kept_keys = address.kept_keys
        self.trust = address.trust or trust_command(name)
        self._address = address
        self._connection: Connection | None = None

    @property
    def pulse(self) -> Pulse:
        """The host waits a little longer than the controller waits for the host."""
        every = self.patience.keepalive
        return Pulse(every, math.ceil(self.patience.lost) + every)

    @property
    def login(self) -> str:
        """The arguments with which ``ssh`` reaches the same account."""
        connection = self._connection or self._described()
        where = shlex.quote(f"{connection.user}@{connection.host}")
        return where if connection.port == 22 else f"-p {connection.port} {where}"

    def open_shell(self) -> SshChannel:
        """Connect, verify the host's key, and start the shell.

        Raises:
            UnreachableError: any of it did not work; nothing was run.
        """
        # The login shell may be any program: it only has to run a command with quoted words.
        start = quote("echo; echo @@pid $$; exec /bin/sh")
        try:
            channel = SshChannel(self._exec(f"exec /bin/sh -c {start}"), self)
            channel.expect_pid(self.patience.connect)
        except BaseException:
            self.disconnect()
            raise
        return channel

    def execute(self, command: str, data: bytes = b"") -> str:
        """Run a command over a channel of its own and return what it printed.

        Raises:
            RolecallError: it ended with another status than 0.
            UnreachableError: the connection was lost meanwhile.
        """
        channel = self._exec(f"exec /bin/sh -c {quote(command)}")
        channel.set_combine_stderr(True)
        with suppress(OSError, EOFError):  # its status tells why it reads no more
            channel.sendall(data)
            channel.shutdown_write()
        return self._finish(channel)

    def send(self, command: str, read: Callable[[int], bytes]) -> None:
        """Feed a command with what ``read(size)`` returns until it returns nothing.

        Raises:
            RolecallError: it ended with another status than 0.
            UnreachableError: the connection was lost meanwhile.
        """
        channel = self._exec(f"exec /bin/sh -c {quote(command)}")
        channel.set_combine_stderr(True)
        with suppress(OSError, EOFError):
            while block := read(1 << 18):
                channel.sendall(block)
            channel.shutdown_write()
        self._finish(channel)

    def _finish(self, channel: paramiko.Channel) -> str:
        output = b"".join(iter(lambda: channel.recv(1 << 16), b""))
        status = channel.recv_exit_status()
        with suppress(OSError, EOFError):  # saying goodbye fails where the connection is lost
            channel.close()
        if status == -1:  # none came: the connection ended, or a signal ended the command
            raise UnreachableError(
                f"the connection to {self.name} is lost",
                "run the same command again: it goes on from the state it finds",
            )
        if status != 0:
            raise RolecallError(f"on {self.name}: {decode(output).strip() or f'status {status}'}")
        return decode(output)

    def upload(self, source: Path, destination: str, mode: str) -> None:
        """Send a file: to a temporary name that carries its digest, verified, renamed.

        A transfer that was cut goes on where it stopped; a file that is there already is not
        sent again.
        """
        upload(self, source, destination, mode)

    @contextmanager
    def forward(self, port: int) -> Iterator[tuple[str, int]]:
        """A local address that reaches the host's loopback."""
        with tunnel(self._transport(), port) as address:
            yield address

    def shown_keys(self) -> Iterator[tuple[ShownKey, KnownHosts]]:
        """The keys that jump hosts and then the host show, and what is known so far.

        Nothing is trusted by asking: to go on behind a jump host, its key has to be known by
        then.

        Raises:
            UnreachableError: one shows none, or is not known when it has to be passed.
        """
        connection = self._described()
        try:
            for hop in _hops(connection):
                known = self._verify(hop)
                yield self._shown_key(hop, known), known
        finally:
            for hop in _hops(connection):
                hop.close()

    def _shown_key(self, hop: Connection, known: KnownHosts) -> ShownKey:
        for way in _hops(hop)[:-1]:
            self._verify(way)  # it may have been accepted meanwhile
            self._open(way)
        name = _known_name(hop)
        try:
            sock = (
                hop.open_gateway()
                if hop.gateway
                else socket.create_connection((hop.host, hop.port), self.patience.connect)
            )
            with _transport(sock, known.algorithms(name)) as transport:
                transport.banner_timeout = self.patience.connect
                transport.start_client(timeout=self.patience.connect)
                return ShownKey.of(name, transport.get_remote_server_key())
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise self._unreachable(hop, error) from error

    def connect(self) -> Connection:
        """A connection of fabric that is open and whose host is verified, for its owner to close.

        Raises:
            UnreachableError: it cannot be made.
        """
        return self._connect()

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection:
            gateway = self._connection.gateway
            self._connection.close()
            if isinstance(gateway, Connection):
                gateway.close()
            self._connection = None

    def _exec(self, command: str) -> paramiko.Channel:
        try:
            channel = self._transport().open_session(timeout=self.patience.connect)
            channel.exec_command(encode(command))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(
                f"{self.name} refused a channel: {_said(error)}",
                "its sshd allows too few sessions (MaxSessions), or the connection broke",
            ) from error
        return channel

    def _transport(self) -> paramiko.Transport:
        if self._connection is None or not self._connection.is_connected:
            self._connection = self._connect()
        transport = self._connection.transport
        assert isinstance(transport, paramiko.Transport)
        return transport

    def _described(self) -> Connection:
        """The connection that the address and ssh_config describe, not opened."""
        address = self._address
        config = Config(runtime_ssh_path=str(address.ssh_config) if address.ssh_config else None)
        seconds = max(1, int(self.patience.connect))
        options = {
            "key_filename": [str(Path(key).expanduser()) for key in address.key_files],
            "passphrase": address.passphrase,
            "banner_timeout": self.patience.connect,
            "auth_timeout": max(self.patience.connect, 30),
            "transport_factory": prompt_transport,
        }
        target = Connection(
            address.host,
            user=address.user,
            port=address.port,
            config=config,
            connect_timeout=seconds,
            connect_kwargs={**options, "password": address.password},
        )

        def hop(where: str, gateway: Connection | None) -> Connection:
            # False: none at all; fabric would look for one of its own.
            return _Jump(
                where,
                config=config.clone(),
                gateway=gateway or False,
                connect_timeout=seconds,
                connect_kwargs=dict(options),
            )

        hops = address.proxy_jump or target.ssh_config.get("proxyjump", "none")
        if address.proxy_command:
            target.gateway = address.proxy_command
        elif hops != "none":
            target.gateway = _chain(hops.split(","), address.host, hop)
        return target

    def _connect(self) -> Connection:
        connection = self._described()
        for key in self._address.key_files:
            if not Path(key).expanduser().is_file():
                raise UnreachableError(
                    f"{self.name}: the private key {key} does not exist",
                    "correct ansible_ssh_private_key_file in the inventory, or the option -i",
                )
        hops = _hops(connection)
        try:
            for hop in hops:
                self._verify(hop)
                self._open(hop)
        except BaseException:
            for hop in reversed(hops):
                hop.close()
            raise
        connection.transport.set_keepalive(self.patience.keepalive)
        _give_up_after(self.patience.lost, hops[0].transport.sock)
        return connection

    def _open(self, hop: Connection) -> None:
        """Open a connection whose jump hosts are open."""
        try:
            hop.open()
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise self._unreachable(hop, error) from error

    def _verify(self, hop: Connection) -> KnownHosts:
        """Let a host pass by its known key alone; fabric's default accepts any."""
        known = KnownHosts.read(self._known_hosts_files(hop))
        name = _known_name(hop)
        hop.client.set_missing_host_key_policy(Verify(known, name, self.name, self.trust))
        hop.connect_kwargs["transport_factory"] = partial(
            _transport, algorithms=known.algorithms(name)
        )
        return known

    def _known_hosts_files(self, hop: Connection) -> list[Path]:
        """The inventory's files, those that ssh_config names, and the usual ones."""
        kept = self._address.kept_keys
        files = [*([kept] if kept else []), *self._address.known_hosts]
        for option, usual in (("userknownhostsfile", USER), ("globalknownhostsfile", SYSTEM)):
            files += [*map(Path, hop.ssh_config.get(option, "").split()), *usual]
        return files

    def _unreachable(self, connection: Connection, error: Exception) -> UnreachableError:
        """What went wrong on the way, in words a user can act on."""
        account = f"{connection.user}@{connection.host}:{connection.port}"
        jump = isinstance(connection, _Jump)
        names = (account, account.partition("@")[2])  # a host of ./fab -H may be named so
        where = account if self.name in names else f"{self.name} ({account})"
        if jump:
            where = f"{account}, on the way to {self.name},"
        if isinstance(error, paramiko.PasswordRequiredException):
            return UnreachableError(
                f"{where}: the private key has a passphrase",
                "add it to the agent (ssh-add FILE), or ./fab --prompt-for-passphrase",
            )
        if isinstance(error, paramiko.AuthenticationException):
            return UnreachableError(
                f"{where} refused the login: {_said(error)}",
                "check the user and the key: ansible_user and ansible_ssh_private_key_file in the "
                "inventory, -i KEY of ./fab, or ssh-add KEY",
            )
        if str(error) == _NO_KEY:
            return UnreachableError(
                f"{where} asks for a key, and there is none to show",
                "name one: -i KEY of ./fab, ansible_ssh_private_key_file in the inventory, or "
                "ssh-add KEY",
            )
        if "private key file" in str(error):
            keys = ", ".join(connection.connect_kwargs.get("key_filename") or ["of ~/.ssh"])
            return UnreachableError(
                f"{where}: the private key {keys} cannot be read: {_said(error)}",
                "name the file that begins with -----BEGIN … PRIVATE KEY-----",
            )
        if isinstance(error, socket.gaierror):
            named = "" if self.name == connection.host else f"{self.name}: "
            return UnreachableError(
                f"{named}no address is known for {connection.host}",
                "correct the name, or give the address: ansible_host in the inventory, or HostName "
                "in ssh_config",
            )
        if isinstance(error, TimeoutError) or str(error).startswith(_SILENT):
            return UnreachableError(
                f"{where} did not answer within {self.patience.connect:g} s",
                "is it up and reachable, and is that its SSH port?",
            )
        return UnreachableError(
            f"{where} cannot be reached: {_said(error)}", f"try: ssh {self.login}"
        )


class _Jump(Connection):  # type: ignore[misc]
    """A host on the way to the one that is meant."""


def _hops(connection: Connection) -> list[Connection]:
    """The jump hosts of a connection, in their order, and itself."""
    hops = [connection]
    while isinstance(hops[0].gateway, Connection):
        hops.insert(0, hops[0].gateway)
    return hops


def _known_name(hop: Connection) -> str:
    """The host as known_hosts names it."""
    if alias := hop.ssh_config.get("hostkeyalias", ""):
        return str(alias).lower()
    host = str(hop.host).lower()
    return host if hop.port == 22 else f"[{host}]:{hop.port}"


def _transport(sock: Any, algorithms: Sequence[str] = (), **options: Any) -> paramiko.Transport:
    """A transport that asks first for a host key of one of ``algorithms``: those that are known."""
    made = prompt_transport(sock, **options)
    allowed = made.get_security_options()
    first = [name for name in algorithms if name in allowed.key_types]
    allowed.key_types = [*first, *(name for name in allowed.key_types if name not in first)]
    return made


def _chain(
    hops: list[str], host: str, make: Callable[[str, Connection | None], Connection]
) -> Connection | None:
    """Jump hosts in ssh's order: the first is reached directly, the last is returned.

    Fabric nests several inside out. A host that a wildcard makes its own jump host is reached
    directly, as ssh does.
    """
    gateway: Connection | None = None
    for hop in hops:
        made = make(hop.strip(), gateway)
        if made.original_host == host:
            return gateway
        gateway = made
    return gateway


def _give_up_after(seconds: float, sock: object) -> None:
    """Let the kernel end a connection whose data nobody confirms, where it can."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


def _said(error: Exception) -> str:
    """An error's own words, without Python's decoration."""
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".") or type(error).__name__
