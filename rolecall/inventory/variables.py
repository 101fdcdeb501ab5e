"""Files of variables: ``group_vars/NAME`` and ``host_vars/NAME``, as files or as folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from rolecall.errors import ConfigError
from rolecall.inventory.model import Layer
from rolecall.yamlfile import YamlFile, read_yaml

#: What a file of variables may end in; without an ending it is YAML too.
SUFFIXES = (".yml", ".yaml", ".json")


def variable_layers(folder: Path, name: str) -> list[Layer]:
    """The variables of one host or group: from the first of ``NAME``, ``NAME.yml`` and so on.

    Raises:
        ConfigError: a file cannot be read, or does not hold a mapping.
    """
    if name.startswith("/"):
        return []
    layers: list[Layer] = []
    for path in _files(folder, name):
        source = read_data(path)
        if not isinstance(source.data, Mapping):
            raise ConfigError(f"{path}: variables must be a mapping of names to values")
        if source.data:
            layers.append(Layer(source, (), named(source.data)))
    return layers


def read_data(path: Path) -> YamlFile:
    """Read a file of YAML or JSON; an empty one is an empty mapping.

    Raises:
        ConfigError: it is neither, with file, line and column.
    """
    with suppress(OSError, ValueError, RecursionError):
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip()[:1] in {"{", "["}:  # JSON proper: YAML reads 1e3 in it as text
            data = json.loads(text, object_pairs_hook=_unique)
            with suppress(ConfigError, yaml.YAMLError):
                return YamlFile(path, data, read_yaml(path).lines)
            return YamlFile(path, data)
    return read_yaml(path)


def named(variables: Mapping[Any, Any]) -> dict[str, Any]:
    """Variables by name, as JSON spells a key that is not text: ``1``, ``true``, ``null``."""
    return {
        key if isinstance(key, str) else json.dumps(key, default=str): value
        for key, value in variables.items()
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Leave a key that stands twice to the YAML reader, which says where."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _files(folder: Path, name: str) -> Iterator[Path]:
    for suffix in ("", *SUFFIXES):
        path = folder / f"{name}{suffix}"
        if path.is_dir():
            return _inside(path)
        if path.exists():
            return iter([path])
    return iter(())


def _inside(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            if not path.suffix:
                yield from _inside(path)
        elif path.suffix in {"", *SUFFIXES}:
            yield path
