"""The inventory that pods are given: the settings of a host, as Rolecall in them reads it.

What is secret stands in it by reference (``!env NAME``); its values go into a Secret, from which
the pods' environment comes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import SecretStr

from rolecall.api import Host, Settings
from rolecall.yamlfile import SecretReference
from roles.k8s.objects import digest

#: Where it lies in the pods.
PLACE = "/etc/rolecall/inventory"

#: Where the project and its environments are in an image of ours (docker/).
PROJECT = "/opt/rolecall/project"
ENVIRONMENTS = "/opt/rolecall/python"

#: The roles whose settings decide what lies on the volume.
FILLING = ("python", "runtime", "model", "engine", "repo")

#: The roles whose settings the pods need that fill it, and those that serve.
PREPARING = (*FILLING, "preflight")
SERVING = (*PREPARING, "server")

#: What of role runtime means anything where the runtime is around Rolecall itself.
_INSIDE = ("triton", "tritonserver")


@dataclass(frozen=True)
class PodInventory:
    """An inventory of one host, the pod itself.

    Attributes:
        variables: those of group ``all``; secrets are references.
        secrets: the values of these, by the names of environment variables.
    """

    variables: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def files(self) -> dict[str, str]:
        """Its files, by their paths."""
        hosts = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}
        return {"hosts.yaml": _text(hosts), "group_vars/all.yaml": _text(self.variables)}

    def filled_with(self) -> str:
        """A digest of all that it says of what is to lie on the volume; secrets are no part."""
        said = {name: self.variables.get(name, {}) for name in ("rolecall", *FILLING)}
        return digest(_without_secrets(said))


def pod_inventory(host: Host, roles: Iterable[str], home: str) -> PodInventory:
    """What ``host``'s settings of some roles are in a pod with a volume at ``home``.

    Only what was set is said, since to some roles that makes a difference. Loaded, it gives the
    same settings, but for where things are in a pod: Rolecall's directory, the image's
    environments, a runtime that is the image itself (``installed``) in place of a container, and
    a server that others can reach.
    """
    secrets: dict[str, str] = {}
    variables = {
        name: _plain(_said(host.all_settings[name]), ("rolecall", name), secrets)
        for name in roles
        if name in host.all_settings
    }
    variables["python"]["directory"] = ENVIRONMENTS
    variables["runtime"] = _inside(variables["runtime"])
    if "server" in variables:
        variables["server"]["address"] = _reachable(variables["server"].get("address", ""))
    variables["rolecall"] = {"home": f"{home}/rolecall"}
    return PodInventory({name: value for name, value in variables.items() if value}, secrets)


def _said(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(exclude_unset=True)


def _inside(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of role runtime where the container is there already, and Rolecall is in it."""
    if runtime.get("kind", "environment") == "environment":
        return {}
    kept = {name: runtime[name] for name in _INSIDE if name in runtime}
    return {"kind": "installed", **kept}


def _reachable(address: str) -> str:
    known = ipaddress.ip_address(address or "127.0.0.1")
    if not known.is_loopback:
        return address
    return "::" if known.version == 6 else "0.0.0.0"


def _plain(value: Any, at: tuple[str, ...], secrets: dict[str, str]) -> Any:
    """``value`` as YAML has it; secrets are noted under the names of variables."""
    if isinstance(value, SecretStr):
        name = re.sub(r"\W", "_", "_".join(at), flags=re.ASCII).upper()
        secrets[name] = value.get_secret_value()
        return SecretReference("env", name)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, (*at, str(key)), secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, (*at, str(n)), secrets) for n, inner in enumerate(value)]
    return value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without_secrets(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not _SECRET}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return _SECRET if isinstance(value, SecretReference) else value


_SECRET = object()


class _Dumper(yaml.SafeDumper):
    """SafeDumper plus secrets by reference, and without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


_Dumper.add_representer(
    SecretReference,
    lambda dumper, secret: dumper.represent_scalar(f"!{secret.source}", secret.name),
)


def _text(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=True, width=100)
