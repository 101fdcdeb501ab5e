"""The Role of docs/kubernetes.md, as a user would copy it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.unit.k8s.clusters import ROOT

Rules = list[dict[str, Any]]


def documented_rules() -> Rules:
    """Its rules."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    (block,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", text, re.DOTALL)
    role = yaml.safe_load(block)
    assert role["kind"] == "Role"
    return list(role["rules"])
