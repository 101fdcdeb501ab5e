"""Clusters as role k8s sees them, from the groups of the project's inventory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rolecall.facts import Facts
from rolecall.inventory.variables import variable_layers
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.settings import Override, Settings, resolve
from tasks import project

ROOT = Path(__file__).parents[3]
GROUPS = ROOT / "inventory/group_vars"

#: What every service needs to be told.
IMAGE = "registry.example/team/rolecall:1"


def settings(
    groups: Sequence[str], *sets: str, env: Mapping[str, str] | None = None
) -> dict[str, Settings]:
    """The settings of a host of these groups of the inventory, and with these ``--set``."""
    layers = [layer for group in ("all", *groups) for layer in variable_layers(GROUPS, group)]
    types = project.setting_types()
    with patch.dict(os.environ, env or {}):
        found = resolve(types, layers, [Override.parse(text) for text in sets])
    return {name: value.settings for name, value in found.items()}


def cluster(
    groups: Sequence[str] = ("cpu", "kubernetes"),
    *sets: str,
    namespace: str = "demo",
    env: Mapping[str, str] | None = None,
) -> Host:
    """A cluster of these groups, with an image unless another is set."""
    image = [] if "t9k_published" in groups else [f"k8s.image={IMAGE}"]
    facts = Facts.parse(Observed.of({}), Observed.of({"k8s_namespace": namespace}))
    return Host("cluster", facts, settings(groups, *image, *sets, env=env), kind="cluster")


def one(objects: Sequence[Any], kind: str) -> Any:
    """The only object of a kind."""
    (found,) = [thing for thing in objects if thing["kind"] == kind]
    return found


def kinds(objects: Sequence[Any]) -> list[str]:
    """The kinds of objects, sorted."""
    return sorted(thing["kind"] for thing in objects)
