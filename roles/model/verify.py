"""What has to hold of the model's files after a deploy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rolecall.api import Host
from rolecall.verify.checks import AsDeclared
from roles.model.role import artifact
from roles.model.settings import Model


def test_every_file_of_the_model_has_its_digest(described: Host, as_declared: AsDeclared) -> None:
    """The model of the settings is in use; each of its files is read and compared."""
    as_declared(artifact(described))


def test_every_file_is_what_the_hub_lists(host: Any, described: Host) -> None:
    """What lies there agrees with the hub's own list of files, which is kept beside them."""
    settings, path = described.settings(Model), artifact(described).path
    if settings.kind == "pypi":
        pytest.skip("a package has no list of its own: its sha256 is a setting")
    listed = json.loads(host.run("cat -- %s", f"{path}/model.json").stdout or "{}")
    said = json.loads(host.run("cat -- %s", f"{path}/.rolecall/manifest.json").stdout or "{}")
    there = {one["path"]: one for one in said.get("outputs", ())}
    files = listed.get("files", ())
    assert files, f"{path}/model.json lists no file\nnext: ./inv model fetches the model"
    other = [
        f"  {one['path']}: {_of(there.get(one['path'], {}))}; the hub has {_of(one)}"
        for one in files
        if _of(there.get(one["path"], {})) != _of(one)
    ]
    assert not other, "\n".join(
        [f"the model in {path} is not what {settings.source} has:", *other, "next: ./inv model"]
    )


def _of(file: Mapping[str, Any]) -> str:
    return f"{file.get('size', 'no')} bytes, sha256 {str(file.get('sha256', 'none'))[:16]}"
