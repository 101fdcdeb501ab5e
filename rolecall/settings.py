"""Typed settings of roles: declared once, checked before any host is touched.

A role's settings are a :class:`Settings` model. Their values come from inventory variables
named after the role, layer by layer, key by key, and from ``--set role.key=value``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, PositiveInt, SecretStr, ValidationError, field_validator

from rolecall.errors import ConfigError
from rolecall.inventory import Layer
from rolecall.yamlfile import SecretReference, read_value

KeyPath = tuple[str, ...]


class Settings(BaseModel):
    """Base of every role's settings. The string under a field is its documentation."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        protected_namespaces=(),
    )


class RunnerSettings(Settings):
    """Settings of the runner itself, under the name ``rolecall``."""

    home: str = "~/.rolecall"
    """The directory on a host that holds all that Rolecall makes there: artifacts, jobs,
    services, the journal, the lock. Absolute, or in the home directory: ``~/…``."""

    known_hosts: str = "known_hosts"
    """The file with the SSH keys of this inventory's hosts, besides the user's own: absolute,
    ``~/…``, or beside the inventory. It need not exist."""

    keep_runs: PositiveInt = 50
    """How many runs stay on record on the controller (``./inv runs``, ``./inv report``). Of
    several hosts, the largest counts."""

    @field_validator("home")
    @classmethod
    def _home_is_found_from_anywhere(cls, value: str) -> str:
        if not value.startswith(("/", "~/")) or "\0" in value:
            raise ValueError(f"{value!r} is not an absolute path; write /… or ~/…")
        return value


@dataclass(frozen=True)
class Override:
    """One ``--set role.key=value``."""

    key: KeyPath
    value: Any

    @classmethod
    def parse(cls, text: str) -> Override:
        """Read ``role.key=value``; the value is YAML, so ``8`` is a number and ``[a, b]`` a list.

        A secret is given by reference here too: ``--set 'hub.token=!env TOKEN'``.

        Raises:
            ConfigError: it is not of that form.
        """
        key, separator, value = text.partition("=")
        path = tuple(key.strip().split("."))
        if not separator or len(path) < 2 or not all(path):
            raise ConfigError(f"--set {text!r} is not of the form role.key=value")
        try:
            return cls(path, read_value(value))
        except yaml.YAMLError as error:
            why = f": {error.problem}" if isinstance(error, yaml.MarkedYAMLError) else ""
            raise ConfigError(
                f"--set {key}: the value is not valid YAML: {value!r}{why}",
                _in_quotes(key, "--set"),
            ) from error


@dataclass(frozen=True)
class Resolved:
    """The settings of one role on one host, and where each value came from.

    Attributes:
        secrets: the values that were given by reference, such as ``!env TOKEN``, whatever the
            type of the setting.
    """

    settings: Settings
    origins: Mapping[KeyPath, str]
    secrets: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)

    def origin(self, key: KeyPath) -> str:
        """Where a setting's value came from: ``file:line``, ``--set`` or ``default``."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key[:-1]
        return "default"


def resolve(
    types: Mapping[str, type[Settings]],
    layers: Sequence[Layer],
    overrides: Sequence[Override],
) -> dict[str, Resolved]:
    """Check and type the settings of every role in ``types``.

    Raises:
        ConfigError: an unknown key or role, a wrong type or an impossible combination, with
            file, line, key and the nearest valid name.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in types}
    origins: dict[str, dict[KeyPath, str]] = {name: {} for name in types}
    for layer in layers:
        for name, value in layer.variables.items():
            if name.startswith(("ansible_", "k8s_")) or name == "vars":
                continue
            where = layer.where(name)
            _known(name, types, where, "neither a role nor a connection variable")
            if value is None:
                continue
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {name} must be a mapping of settings")
            for key in _merge(values[name], value):
                origins[name][key] = layer.where(name, *key)
    for override in overrides:
        name, *rest = override.key
        _known(name, types, f"--set {'.'.join(override.key)}", "not a role")
        nested: Any = override.value
        for part in reversed(rest):
            nested = {part: nested}
        for key in _merge(values[name], nested):
            origins[name][key] = "--set"
    return {
        name: Resolved(
            _validate(name, types[name], values[name], origins[name]),
            origins[name],
            dict(_secrets(values[name])),
        )
        for name in types
    }


def is_secret(types: Mapping[str, type[Settings]], key: KeyPath) -> bool:
    """Whether ``role.key…`` is a secret, or holds one. Of a name that is unknown, nothing is."""
    annotation: Any = types.get(key[0])
    for part in key[1:]:
        fields = annotation.model_fields if _is_model(annotation) else {}
        annotation = fields[part].annotation if part in fields else None
    return _holds_secret(annotation)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _holds_secret(annotation: Any) -> bool:
    if _is_model(annotation):
        return any(_holds_secret(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the most similar known word, or all of them."""
    choices = list(known)
    close = difflib.get_close_matches(name, choices, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"known names: {', '.join(choices)}"


def _known(name: str, known: Mapping[str, Any], where: str, what: str) -> None:
    if name not in known:
        raise ConfigError(f"{where}: {name} is {what}", nearest(name, known))


def _merge(into: dict[str, Any], new: Mapping[str, Any], at: KeyPath = ()) -> list[KeyPath]:
    """Merge mappings key by key and list the keys that were set."""
    touched: list[KeyPath] = []
    for key, value in new.items():
        path = (*at, str(key))
        current = into.get(str(key))
        if isinstance(value, Mapping) and isinstance(current, dict):
            touched += _merge(current, value, path)
        else:
            into[str(key)] = _copy(value)
            touched.append(path)
            if isinstance(value, Mapping):
                touched += [(*path, str(inner)) for inner in value]
    return touched


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner) for inner in value]
    if isinstance(value, SecretReference):
        return _Secret(value.read())
    return value


class _Secret(str):
    """A secret on its way into the settings; a message about a wrong value does not show it."""

    def __repr__(self) -> str:
        return "'********'"


def _secrets(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every value that was given by reference, and where it is."""
    if isinstance(value, _Secret):
        yield at, str(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, (*at, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, (*at, str(number)))


def _validate(
    role: str, type_: type[Settings], values: Mapping[str, Any], origins: Mapping[KeyPath, str]
) -> Settings:
    try:
        return type_.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = tuple(str(part) for part in first["loc"])
    name = ".".join((role, *key))
    hint = f"./inv settings {role} explains each setting"
    if first["type"] == "missing":
        raise ConfigError(f"{name} is not set", f"set it in group_vars, or --set {name}=…; {hint}")
    where = Resolved(Settings(), origins).origin(key)
    if not key:  # a rule about several settings: wherever any of them was set
        where = ", ".join(dict.fromkeys(origins.values())) or where
    if first["type"] == "extra_forbidden":
        raise ConfigError(
            f"{where}: there is no setting {name}", nearest(key[-1], _fields(type_, key[:-1]))
        )
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "value_error" else f", not {_shown(first['input'])}"
    if first["type"] == "string_type":
        hint = _in_quotes(name, where)
    raise ConfigError(f"{where}: {name}: {message}{given}", hint)


def _in_quotes(name: str, where: str) -> str:
    """How what YAML takes for something else, such as ``007`` or ``yes``, is written as a text."""
    if where == "--set":
        return f"in quotes it is a text: --set '{name}=\"…\"'"
    return f'in quotes it is a text: {name.rpartition(".")[2]}: "…"'


def _shown(value: Any) -> str:
    """A value as YAML has it, where Python says it otherwise."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value.isoformat() if isinstance(value, date) else repr(value)


def _fields(type_: type[BaseModel], at: KeyPath) -> list[str]:
    """The valid names below ``at``, or at the top where that is not a model of its own."""
    model = type_
    for part in at:
        field = model.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return [*type_.model_fields]
        model = inner
    return [*model.model_fields]
