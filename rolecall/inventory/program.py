"""Read an inventory from a program that prints JSON: ``PROGRAM --list``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError
from rolecall.inventory.build import Builder, layer
from rolecall.inventory.model import Place

#: Seconds in which a program has to answer. One that asks a cloud takes its time.
TIMEOUT = 120.0


def is_program(path: Path) -> bool:
    """Whether ``path`` is a program rather than text: a script with ``#!``, or a binary.

    Raises:
        ConfigError: it is a script, and not executable.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    runs = os.access(path, os.X_OK)
    if head.startswith(b"#!") and not runs:
        raise ConfigError(
            f"{path} is a program (it begins with #!) and is not executable", f"chmod +x {path}"
        )
    return runs and (head.startswith(b"#!") or b"\0" in head)


def read_program(builder: Builder, path: Path, timeout: float = TIMEOUT) -> None:
    """Run an inventory program and add what it prints to the inventory.

    The program prints ``{"GROUP": {"hosts": [...], "vars": {...}, "children": [...]}}`` for
    ``--list``, and in it ``_meta`` with ``hostvars``; where that is missing, it is asked
    ``--host NAME`` for each host.

    Raises:
        ConfigError: it failed, did not answer within ``timeout`` seconds, or printed something
            else.
    """
    asked = f"{path} --list"
    answer = _ask(path, ["--list"], timeout)
    hosts: dict[str, None] = {}
    for group, body in answer.items():
        if group != "_meta":
            _read_group(builder, asked, group, body, hosts)
    if "_meta" in answer:
        meta = _of(answer["_meta"], Mapping, f"{asked}: _meta")
        variables = _of(meta.get("hostvars"), Mapping, f"{asked}: _meta.hostvars")
        for host in hosts:
            at = f"{asked}: _meta.hostvars.{host}"
            _add(builder, host, variables.get(host, {}), at)
    else:
        for host in hosts:
            _add(builder, host, _ask(path, ["--host", host], timeout), f"{path} --host {host}")


def _read_group(
    builder: Builder, asked: str, group: str, body: Any, hosts: dict[str, None]
) -> None:
    at = f"{asked}: {group}"
    builder.group(group)
    if not isinstance(body, Mapping):
        body = {"hosts": body}  # the oldest form: a list of hosts alone
    elif not body.keys() & {"hosts", "children", "vars"}:
        body = {"hosts": [group], "vars": body}  # and a host that is a group
    for host in _of(body.get("hosts", []), list, f"{at}.hosts"):
        name = _of(host, str, f"{at}.hosts: {host!r}")
        hosts[name] = None
        builder.host(group, name, at)
    variables = _of(body.get("vars", {}), Mapping, f"{at}.vars")
    builder.group_variables(group, layer(Place(at), (), variables))
    for child in _of(body.get("children", []), list, f"{at}.children"):
        name = _of(child, str, f"{at}.children: {child!r}")
        builder.group(name)
        builder.child(group, name, at)


def _add(builder: Builder, host: str, variables: Any, at: str) -> None:
    builder.host_variables(host, layer(Place(at), (), _of(variables, Mapping, at)))


_NAMES = {Mapping: "a mapping", list: "a list", str: "a text"}


def _of(value: Any, kind: Any, at: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigError(f"{at} must be {_NAMES[kind]}, not {type(value).__name__}", _FORM)
    return value


_FORM = (
    'an inventory program prints JSON: {"GROUP": {"hosts": ["NAME"], "vars": {}, "children": []}, '
    '"_meta": {"hostvars": {"NAME": {}}}}'
)


def _ask(path: Path, arguments: list[str], timeout: float) -> dict[str, Any]:
    asked = " ".join([str(path), *arguments])
    output = _run(path, arguments, asked, timeout)
    if arguments[0] == "--host" and not output.strip():
        return {}
    try:
        answer = json.loads(output)
    except ValueError as error:
        shown = output.strip()[:80].decode("utf-8", "replace")
        printed = f"printed {shown!r}" if shown else "printed nothing"
        raise ConfigError(f"{asked} {printed}, which is not JSON", _FORM) from error
    if not isinstance(answer, dict):
        raise ConfigError(f"{asked} printed JSON that is not a mapping", _FORM)
    return answer


def _run(path: Path, arguments: list[str], asked: str, timeout: float) -> bytes:
    try:
        process = subprocess.Popen(
            [str(path.absolute()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # what it starts can be ended with it
        )
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be run: {error.strerror}", "is the interpreter in its #! line there?"
        ) from error
    try:
        output, said = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{asked} did not answer within {timeout:g} s", "run it by hand: what does it wait for?"
        ) from error
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        last = said.decode("utf-8", "replace").strip().splitlines()[-3:]
        reason = ": " + " / ".join(last) if last else " and said nothing"
        raise ConfigError(f"{asked} failed with status {process.returncode}{reason}")
    return bytes(output)
