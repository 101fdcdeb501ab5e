"""Read an inventory: a file, a folder of them, a program, or a list of hosts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rolecall.errors import ConfigError
from rolecall.inventory.build import Builder
from rolecall.inventory.groups_yaml import read_groups
from rolecall.inventory.hostnames import split_port
from rolecall.inventory.ini import read_ini
from rolecall.inventory.model import Inventory
from rolecall.inventory.program import TIMEOUT, is_program, read_program
from rolecall.inventory.variables import SUFFIXES, read_data

#: What lies in an inventory's folder and is none, by Ansible's defaults; and its hosts' keys.
_IGNORED = re.compile(
    r"^\.|^(?:host_vars|group_vars|vars_plugins|known_hosts)$"
    r"|(?:\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.cfg|\.retry)$"
)

#: How a file begins that is YAML, or that Ansible Vault encrypted.
_MEANT_AS_YAML = re.compile(r"(?:\s*#.*\n|\s*\n)*(?:---|[\w.'\"-]+:(?:\s|$)|\$ANSIBLE_VAULT;)")


def load_inventory(path: Path, timeout: float = TIMEOUT) -> Inventory:
    """Read the inventory at ``path``.

    A folder holds several, read in the order of their names, and perhaps folders of more. A file
    is a program, if it begins with ``#!`` or is binary, and has ``timeout`` seconds to answer;
    else YAML, JSON or INI. ``group_vars`` and ``host_vars`` lie in the folder, or beside the
    file. A text with a comma that is no file, such as ``a,b`` or ``a,``, is a list of hosts.

    Raises:
        ConfigError: there is none, or it cannot be read: with file and line.
    """
    builder = Builder()
    if path.is_dir():
        files = list(_files(path))
        if not files:
            raise ConfigError(
                f"there is no inventory: {path}/hosts.yaml does not exist",
                "write one, or name another with --inventory",
            )
        for file in files:
            _read_file(builder, file, timeout)
        return builder.inventory(path)
    if path.exists():
        _read_file(builder, path, timeout)
        return builder.inventory(path.parent)
    if "," in str(path):
        for name in (name.strip() for name in str(path).split(",")):
            if name:
                host, port = split_port(name)
                builder.host("ungrouped", host, f"--inventory {path}", port)
        return builder.inventory(None)
    raise ConfigError(
        f"there is no inventory: {path} does not exist",
        "name a file, a folder or a program with --inventory, or hosts: --inventory 'a,b'",
    )


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name)):
        if _IGNORED.search(entry.name):
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _read_file(builder: Builder, path: Path, timeout: float) -> None:
    if is_program(path):
        read_program(builder, path, timeout)
    elif path.suffix in SUFFIXES:
        read_groups(builder, read_data(path))
    elif path.suffix == ".toml":
        raise ConfigError(f"{path}: an inventory is YAML, JSON or INI, not TOML")
    else:
        _read_ini_or_yaml(builder, path)


def _read_ini_or_yaml(builder: Builder, path: Path) -> None:
    """A file without an ending, ``hosts``, may be either; anything else is INI."""
    no_yaml: ConfigError | None = None
    if not path.suffix:
        try:
            source = read_data(path)
            if isinstance(source.data, dict):
                return read_groups(builder, source)
        except ConfigError as error:
            no_yaml = error
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    if no_yaml and _MEANT_AS_YAML.match(text):
        raise no_yaml
    return read_ini(builder, path, text)
