"""How the controller reaches the hosts of the inventory, and hosts that ``fab -H`` names."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import invoke

from rolecall.cli.flags import Flags
from rolecall.cli.login import Login
from rolecall.errors import ConfigError
from rolecall.inventory import Connection, Inventory, Layer, connection, load_inventory
from rolecall.inventory.connection import ClusterAddress
from rolecall.sudo import SudoPassword
from rolecall.targets import Target
from rolecall.targets.local import LocalTarget
from rolecall.yamlfile import SecretReference, YamlFile

if TYPE_CHECKING:
    from rolecall.settings import RunnerSettings

# The last kind of host is an IPv6 address without brackets, and so without a port.
_AD_HOC = re.compile(
    r"(?:(?P<user>[^@]+)@)?"
    r"(?:(?P<host>[^@:\[\]\s]+|\[[^\]]+\])(?::(?P<port>\d+))?|(?P<bare>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*))"
)


def target(
    inventory: Inventory, name: str, flags: Flags, settings: RunnerSettings, state: Path
) -> Target:
    """The way to a host of the inventory; ``state`` is the controller's own folder."""
    how = connection(inventory, name)
    if how.kind == "local":
        return LocalTarget(name)
    if how.cluster:
        return _cluster(how.name, how.cluster, flags, state)
    from rolecall.targets.ssh import SshTarget

    return SshTarget(name, _address(how, flags, _kept_keys(inventory, settings)))


def _cluster(name: str, where: ClusterAddress, flags: Flags, state: Path) -> Target:
    from rolecall.cluster.api import Api
    from rolecall.cluster.target import ClusterTarget

    kubeconfig = str(where.kubeconfig) if where.kubeconfig else ""
    api = Api(where.context, kubeconfig, where.namespace, state / "clusters")
    return ClusterTarget(name, api, api.namespace, flags.force_conflicts, flags.delete_data)


def runner_settings(inventory: Inventory, name: str) -> RunnerSettings:
    """The runner's own settings on a host, whatever else its variables hold.

    Raises:
        ConfigError: one of them is wrong.
    """
    from rolecall.settings import RunnerSettings, resolve

    layers = [
        replace(layer, variables={"rolecall": layer.variables["rolecall"]})
        for layer in inventory.layers(name)
        if "rolecall" in layer.variables
    ]
    settings = resolve({"rolecall": RunnerSettings}, layers, ())["rolecall"].settings
    assert isinstance(settings, RunnerSettings)
    return settings


def _kept_keys(inventory: Inventory, settings: RunnerSettings) -> Path | None:
    """The inventory's own known_hosts file, whether it exists or not."""
    path = Path(settings.known_hosts).expanduser()
    if path.is_absolute():
        return path
    return inventory.folder / path if inventory.folder else None


def hosts_named(names: Sequence[str], root: Path) -> list[str]:
    """The hosts that names of ``-H`` mean in the project at ``root``: groups are taken apart."""
    if not names:
        return []
    return add_unknown(load_inventory(root / "inventory"), names)[1]


def verified_connection(name: str, root: Path, config: Any) -> Any:
    """A context for tasks that know nothing of Rolecall: fabric's connection to a host, open.

    Raises:
        ConfigError: the inventory is wrong.
        UnreachableError: the host, or its key, is not what it has to be.
    """
    flags = Flags(fab_hosts=(name,), login=Login.from_config(config))
    inventory, _ = add_unknown(load_inventory(root / "inventory"), [name])
    way = target(inventory, name, flags, runner_settings(inventory, name), root / ".rolecall")
    if isinstance(way, LocalTarget):
        return invoke.Context(config)
    from rolecall.targets.ssh import SshTarget

    if not isinstance(way, SshTarget):
        raise ConfigError(f"{name} is a cluster: it has no shell", "name hosts with -H")
    context = way.connect()
    context.config = config
    return context


def trust_command(name: str, flags: Flags) -> str:
    """The command that accepts the key of a host, found in the way that ``flags`` say."""
    kept = [given for given in flags.set if given.startswith("rolecall.known_hosts")]
    return flags.command("trust", hosts=name, set=kept)


def sudo_password(
    inventory: Inventory, name: str, flags: Flags, asked: SudoPassword | None
) -> SudoPassword | None:
    """The password for sudo on a host: fabric's, else the inventory's, else ``asked``.

    Raises:
        ConfigError: the inventory asks for another account than root.
    """
    become = connection(inventory, name).become
    if become.user != "root":
        raise ConfigError(
            f"host {name}: ansible_become_user is {become.user}, and Rolecall becomes only root",
            "leave ansible_become_user out; log in as that user instead (ansible_user)",
        )
    if flags.login.sudo_password:
        return SudoPassword(flags.login.sudo_password)
    given = become.password
    if given is None:
        return asked
    return SudoPassword(given.read if isinstance(given, SecretReference) else given)


def question(names: Sequence[str], flags: Flags) -> SudoPassword | None:
    """The user's answer, once and for all hosts that ask; None where nobody can be asked."""
    if flags.json or not sys.stdin.isatty():
        return None
    where = names[0] if len(names) == 1 else f"the {len(names)} hosts of this run"
    from rolecall.cli.terminal import Question

    asked = Question(f"Password for sudo on {where}: ")
    return SudoPassword(asked.ask, only_if_asked=True, withdraw=asked.withdraw)


def _address(how: Connection, flags: Flags, kept_keys: Path | None) -> Any:
    from rolecall.targets.ssh import Address, Patience

    login = flags.login
    keys = (*login.key_files, *((str(how.key_file),) if how.key_file else ()))
    timeout = login.timeout or how.timeout
    return Address(
        how.host,
        port=how.port,
        user=how.user,
        key_files=keys,
        known_hosts=how.known_hosts,
        kept_keys=kept_keys,
        password=login.password or _read(how.password),
        passphrase=login.passphrase,
        ssh_config=login.ssh_config,
        proxy_jump=how.proxy_jump,
        proxy_command=how.proxy_command,
        trust=trust_command(how.name, flags),
        patience=Patience(connect=timeout) if timeout else Patience(),
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
            raise ConfigError(
                f"-H {name!r} is neither in the inventory nor of the form user@host:port",
                inventory.known(),
            )
        inventory = inventory.ad_hoc(name)
        inventory.host(name).inline.append(_layer(match.groupdict()))
        found[name] = None
    return inventory, list(found)


def _layer(parts: dict[str, str | None]) -> Layer:
    variables: dict[str, Any] = {"ansible_host": str(parts["host"] or parts["bare"]).strip("[]")}
    if parts["user"]:
        variables["ansible_user"] = parts["user"]
    if parts["port"]:
        variables["ansible_port"] = int(parts["port"])
    return Layer(YamlFile(Path("-H"), variables), (), variables)
