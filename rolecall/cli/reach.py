"""How the controller reaches the hosts of the inventory, and hosts that ``fab -H`` names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rolecall.cli.login import Login
from rolecall.errors import ConfigError
from rolecall.inventory import Connection, Inventory, Layer, connection
from rolecall.sudo import SudoPassword
from rolecall.targets import Target
from rolecall.targets.local import LocalTarget
from rolecall.yamlfile import SecretReference, YamlFile

_AD_HOC = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>[^@:\[\]]+|\[[^\]]+\])(?::(?P<port>\d+))?")


def target(inventory: Inventory, name: str, login: Login) -> Target:
    """The way to a host of the inventory."""
    how = connection(inventory, name)
    if how.kind == "local":
        return LocalTarget(name)
    from rolecall.targets.ssh import SshTarget

    return SshTarget(name, _address(how, login))


def sudo_password(inventory: Inventory, name: str, login: Login) -> SudoPassword | None:
    """The password for sudo on a host: fabric's, else the inventory's; None where neither is.

    Raises:
        ConfigError: the inventory asks for another account than root.
    """
    become = connection(inventory, name).become
    if become.user != "root":
        raise ConfigError(
            f"host {name}: ansible_become_user is {become.user}, and Rolecall becomes only root",
            "leave ansible_become_user out; log in as that user instead (ansible_user)",
        )
    if login.sudo_password:
        return SudoPassword(login.sudo_password)
    given = become.password
    if given is None:
        return None
    return SudoPassword(given.read if isinstance(given, SecretReference) else given)


def _address(how: Connection, login: Login) -> Any:
    from rolecall.targets.ssh import Address, Patience

    keys = (*login.key_files, *((str(how.key_file),) if how.key_file else ()))
    return Address(
        how.host,
        port=how.port,
        user=how.user,
        key_files=keys,
        known_hosts=how.known_hosts,
        password=login.password or _read(how.password),
        passphrase=login.passphrase,
        ssh_config=login.ssh_config,
        proxy_jump=how.proxy_jump,
        proxy_command=how.proxy_command,
        patience=Patience(connect=how.timeout) if how.timeout else Patience(),
    )


def _read(password: SecretReference | str | None) -> str | None:
    return password.read() if isinstance(password, SecretReference) else password


def add_unknown(inventory: Inventory, names: Sequence[str]) -> tuple[Inventory, list[str]]:
    """The hosts that ``-H`` names; what the inventory does not know becomes a host of ``all``.

    ``user@host:port`` is understood.

    Raises:
        ConfigError: a name cannot be that of a host.
    """
    found: dict[str, None] = {}
    for name in names:
        if name in inventory.hosts or name in inventory.groups:
            found.update(dict.fromkeys(inventory.match(name)))
            continue
        match = _AD_HOC.fullmatch(name)
        if not match:
            raise ConfigError(f"-H {name!r} is not of the form user@host:port")
        inventory = inventory.ad_hoc(name)
        inventory.host(name).inline.append(_layer(match.groupdict()))
        found[name] = None
    return inventory, list(found)


def _layer(parts: dict[str, str | None]) -> Layer:
    variables: dict[str, Any] = {"ansible_host": str(parts["host"]).strip("[]")}
    if parts["user"]:
        variables["ansible_user"] = parts["user"]
    if parts["port"]:
        variables["ansible_port"] = int(parts["port"])
    return Layer(YamlFile(Path("-H"), variables), (), variables)
