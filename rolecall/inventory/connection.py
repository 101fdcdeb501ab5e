"""How to reach a host: Ansible's ``ansible_*`` variables as one typed value."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from rolecall.errors import ConfigError
from rolecall.inventory.model import Inventory, Layer
from rolecall.yamlfile import SecretReference

#: A password: by reference (``!env NAME``, ``!file PATH``), or as it stands in the inventory.
Password = SecretReference | str

_T = TypeVar("_T")

# Names of one thing, the strongest last, as Ansible's ssh connection and sudo plugins have them.
_HOST = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port")
_USER = ("ansible_user", "ansible_ssh_user")
_PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_KEY_FILE = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_TIMEOUT = ("ansible_timeout", "ansible_ssh_timeout")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_BECOME = ("ansible_become",)
_BECOME_METHOD = ("ansible_become_method",)
_BECOME_USER = ("ansible_become_user", "ansible_sudo_user")
_BECOME_PASSWORD = (
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
)
_KINDS = {"local": "local", "ssh": "ssh", "smart": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh"}
_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}


#: The variables that make a host a cluster, and say which.
CLUSTER = ("k8s_context", "k8s_namespace", "k8s_kubeconfig")


@dataclass(frozen=True)
class ClusterAddress:
    """Which cluster a host is, and which namespace of it.

    Attributes:
        context: of the kubeconfig.
        namespace: empty is the context's own.
        kubeconfig: the file, ``~`` expanded; None is kubectl's usual one.
    """

    context: str
    namespace: str = ""
    kubeconfig: Path | None = None


@dataclass(frozen=True)
class Become:
    """Who to become for what needs it.

    Attributes:
        wanted: what ``ansible_become`` says; None where the inventory does not.
        user: the account to become.
        password: for sudo, where it asks.
    """

    wanted: bool | None = None
    user: str = "root"
    password: Password | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Connection:
    """How to reach one host; None is for ssh_config, or the defaults of ssh, to fill.

    Attributes:
        name: the host's name in the inventory.
        kind: over SSH, this machine itself, or a cluster's API.
        host: the address: ``ansible_host``, else the name.
        password: of the account, for hosts that take no key.
        key_file: a private key, ``~`` expanded.
        known_hosts: files with host keys to accept, besides the user's own.
        proxy_jump: ``-J``: hosts to go through, ``user@host:port`` with commas.
        proxy_command: a command whose standard streams are the connection.
        timeout: seconds in which the host has to answer.
        ignored: options of ``ansible_ssh_common_args`` and the like that Rolecall does not know.
    """

    name: str
    kind: Literal["local", "ssh", "cluster"]
    host: str
    port: int | None = None
    user: str | None = None
    password: Password | None = field(default=None, repr=False)
    key_file: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    proxy_jump: str | None = None
    proxy_command: str | None = None
    timeout: float | None = None
    become: Become = Become()
    ignored: tuple[str, ...] = ()
    cluster: ClusterAddress | None = None


def connection(inventory: Inventory, host: str) -> Connection:
    """How the inventory says ``host`` is reached.

    ``localhost`` is this machine itself unless ``ansible_connection`` says otherwise.

    Raises:
        ConfigError: there is no such host, or a value is of the wrong type, a template, or asks
            for a way that Rolecall does not have: with file and line.
    """
    given = _Given(inventory.layers(host))
    if cluster := _cluster(given, host):
        return Connection(name=host, kind="cluster", host=host, cluster=cluster)
    default = "local" if host == "localhost" else "ssh"
    kind = given.one(("ansible_connection",), _choice(_KINDS)) or default
    given.one(_BECOME_METHOD, _choice({"sudo": "sudo"}))
    options = _options(given)
    return Connection(
        name=host,
        kind="local" if kind == "local" else "ssh",
        host=given.one(_HOST, _text) or host,
        port=_first(given.one(_PORT, _port), options.port),
        user=_first(given.one(_USER, _text), options.user),
        password=given.one(_PASSWORD, _password),
        key_file=_first(given.one(_KEY_FILE, _path), options.key_file),
        known_hosts=options.known_hosts,
        proxy_jump=options.proxy_jump,
        proxy_command=options.proxy_command,
        timeout=_first(given.one(_TIMEOUT, _seconds), options.timeout),
        become=Become(
            given.one(_BECOME, _truth),
            given.one(_BECOME_USER, _text) or "root",
            given.one(_BECOME_PASSWORD, _password),
        ),
        ignored=options.ignored,
    )


def _cluster(given: _Given, host: str) -> ClusterAddress | None:
    """Which cluster the variables of a host name; None where it is a machine."""
    for name, where in given.named("k8s_"):
        if name not in CLUSTER:
            raise ConfigError(
                f"{where}: there is no variable {name}", f"known names: {', '.join(CLUSTER)}"
            )
    context = given.one(("k8s_context",), _text)
    if context is None:
        if others := list(given.named("k8s_")):
            raise ConfigError(
                f"{others[0][1]}: {others[0][0]} is set for {host}, but k8s_context is not",
                "k8s_context names the context of the kubeconfig that makes it a cluster",
            )
        return None
    for name, where in given.named("ansible_connection"):
        raise ConfigError(
            f"{where}: {name} is set for {host}, which k8s_context makes a cluster",
            "leave one of them out",
        )
    return ClusterAddress(
        context,
        given.one(("k8s_namespace",), _namespace) or "",
        given.one(("k8s_kubeconfig",), _path),
    )


def _first(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


class _Given:
    """The connection variables of a host, each with its place."""

    def __init__(self, layers: list[Layer]) -> None:
        self._values = {
            name: (value, layer)
            for layer in layers
            for name, value in layer.variables.items()
            if name.startswith(("ansible_", "k8s_"))
        }

    def named(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The names that begin so, each with its place."""
        for name, (value, layer) in self._values.items():
            if name.startswith(prefix) and value is not None:
                yield name, layer.where(name)

    def every(self, names: tuple[str, ...], read: Callable[[Any], _T]) -> Iterator[_T]:
        """The values of those of ``names`` that are set, the strongest last."""
        for name in names:
            value, layer = self._values.get(name, (None, None))
            if value is None or layer is None:
                continue
            where = layer.where(name)
            if isinstance(value, str) and ("{{" in value or "{%" in value):
                raise ConfigError(
                    f"{where}: {name} is a template, and Rolecall takes inventories as they stand",
                    "write the value itself",
                )
            try:
                yield read(value)
            except ValueError as error:
                raise ConfigError(f"{where}: {name}: {error}") from error

    def one(self, names: tuple[str, ...], read: Callable[[Any], _T]) -> _T | None:
        """The strongest of them."""
        return next(iter(reversed(list(self.every(names, read)))), None)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"must be a text, not {_shown(value)}")
    return str(value)


def _namespace(value: Any) -> str:
    """A DNS label, as namespaces are called, or nothing."""
    text = _text(value)
    if text and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise ValueError(
            "must be a namespace: up to 63 lower-case letters, digits and hyphens, not "
            f"{_shown(value)}"
        )
    return text


def _port(value: Any) -> int:
    try:
        port = 0 if isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise ValueError(f"must be a port between 1 and 65535, not {_shown(value)}")
    return port


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a number of seconds, not {_shown(value)}") from None


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"must be yes or no, not {_shown(value)}")
    return word in _TRUE


def _password(value: Any) -> Password:
    if isinstance(value, SecretReference):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("must be a text, or a secret by reference: !env NAME or !file PATH")
    return str(value)


def _choice(choices: dict[str, str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(value)}")
        return choices[value]

    return read


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, SecretReference) else repr(value)


@dataclass(frozen=True)
class _Options:
    """What command-line arguments of ssh say."""

    port: int | None = None
    user: str | None = None
    key_file: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    proxy_jump: str | None = None
    proxy_command: str | None = None
    timeout: float | None = None
    ignored: tuple[str, ...] = ()


#: ssh's one-letter options, and the name of the same thing in ssh_config.
_LETTERS = {
    "J": "proxyjump",
    "i": "identityfile",
    "l": "user",
    "p": "port",
}


def _options(given: _Given) -> _Options:
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for arguments in given.every(_ARGUMENTS, lambda value: _ssh_arguments(_text(value))):
        for key, value in arguments:
            if key == "ignored":
                ignored.append(value)
            else:
                found.setdefault(key, value)  # ssh too takes the first it is given
    return _Options(**found, ignored=tuple(ignored))


def _files(value: str) -> tuple[Path, ...]:
    return tuple(Path(name).expanduser() for name in value.split())


_READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "port": ("port", _port),
    "user": ("user", _text),
    "identityfile": ("key_file", _path),
    "userknownhostsfile": ("known_hosts", _files),
    "proxyjump": ("proxy_jump", _text),
    "proxycommand": ("proxy_command", _text),
    "connecttimeout": ("timeout", _seconds),
}


def _ssh_arguments(text: str) -> list[tuple[str, Any]]:
    """``-J bastion -o Port=22 -C`` as fields of :class:`_Options` and their values."""
    tokens = iter(shlex.split(text))
    pairs: list[tuple[str, Any]] = []
    for token in tokens:
        letter, value = token[1:2], token[2:]
        if not token.startswith("-") or letter not in {"o", *_LETTERS}:
            pairs.append(("ignored", token))
            continue
        value = value or next(tokens, "")
        if letter == "o":
            name, _, value = value.partition("=" if "=" in value else " ")
            name, value = name.strip().lower(), value.strip()
        else:
            name = _LETTERS[letter]
        if name in _READ:
            key, read = _READ[name]
            pairs.append((key, read(value)))
        else:
            pairs.append(("ignored", f"{name}={value}"))
    return pairs
