"""YAML files as users write them: with the line of every key, and secrets by reference."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rolecall.errors import ConfigError

KeyPath = tuple[str, ...]

#: Said of a value or file that Ansible Vault encrypted.
VAULT = (
    "this is encrypted with Ansible Vault, which Rolecall does not read; "
    "give the secret by reference: !env NAME or !file PATH"
)


@dataclass(frozen=True)
class SecretReference:
    """A secret by reference: ``!env NAME`` or ``!file PATH``. Its value is read when used."""

    source: str
    name: str

    def read(self) -> str:
        """The secret itself.

        Raises:
            ConfigError: the variable is not set or the file cannot be read.
        """
        if self.source == "env":
            try:
                return os.environ[self.name]
            except KeyError:
                raise ConfigError(
                    f"the secret {self} is not there: the environment has no {self.name}",
                    f"export {self.name}=… and run the command again",
                ) from None
        try:
            return Path(self.name).expanduser().read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise ConfigError(
                f"the secret {self} cannot be read: {error.strerror}",
                "create the file, readable for you alone",
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"the secret {self} is not UTF-8 text") from error

    def __str__(self) -> str:
        return f"!{self.source} {self.name}"


@dataclass(frozen=True)
class YamlFile:
    """A file's content and the line, counted from 1, of every mapping key in it."""

    path: Path
    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def where(self, key: KeyPath) -> str:
        """``file:line`` of a key, or of the nearest key above it."""
        while key:
            if key in self.lines:
                return f"{self.path}:{self.lines[key]}"
            key = key[:-1]
        return str(self.path)


class _Loader(yaml.SafeLoader):
    """SafeLoader plus the tags for secrets, and refusing a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a repeated key is an error rather than the last one winning."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(getattr(key_node, "value", ""))
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; one that only looks like a date is an error with its place."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is no {kind}", node.start_mark
            ) from error


class Unsafe(str):
    """A text that Ansible would not template (``!unsafe``). Rolecall templates none."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> SecretReference | Unsafe:
    if suffix in {"vault", "vault-encrypted"}:
        raise yaml.constructor.ConstructorError(
            None, None, f"unknown tag !{suffix}: {VAULT}", node.start_mark
        )
    if suffix == "unsafe" and isinstance(node, yaml.ScalarNode):
        return Unsafe(loader.construct_scalar(node))
    if suffix not in {"env", "file"} or not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"unknown tag !{suffix}; secrets are !env NAME or !file PATH",
            node.start_mark,
        )
    return SecretReference(suffix, str(loader.construct_scalar(node)))


_Loader.add_multi_constructor("!", _tagged)


def read_value(text: str) -> Any:
    """Read one value, such as the right side of ``--set``. Raises ``yaml.YAMLError``."""
    return yaml.load(text, _Loader)


def read_yaml(path: Path) -> YamlFile:
    """Read one document; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, or is not YAML, with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("$ANSIBLE_VAULT;"):
            raise ConfigError(f"{path}: {VAULT}")
        node = yaml.compose(text, _Loader)
        data = yaml.load(text, _Loader)
        lines: dict[KeyPath, int] = {}
        if node is not None:
            _note_lines(node, (), lines)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = error.problem or "not valid YAML"
        hint = "indent with spaces" if "'\\t'" in problem else ""
        raise ConfigError(f"{place}: {problem}", hint) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{path}:{line}: the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: it is nested too deeply, or contains itself") from error
    return YamlFile(path, {} if data is None else data, lines)


def _note_lines(node: yaml.Node, prefix: KeyPath, lines: dict[KeyPath, int]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        key = (*prefix, str(getattr(key_node, "value", "")))
        lines[key] = key_node.start_mark.line + 1
        _note_lines(value_node, key, lines)
