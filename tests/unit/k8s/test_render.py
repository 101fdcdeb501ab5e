"""Manifests as files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from rolecall.errors import ConfigError
from roles.k8s.manifests import Manifests, manifests
from roles.k8s.render import HEADER, render
from tests.unit.k8s.clusters import cluster


def made(*sets: str, **more: Any) -> Manifests:
    return manifests(cluster(("cpu", "kubernetes"), *sets, **more))


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_object_is_a_file_that_reads_back(tmp_path: Path) -> None:
    wanted = made("k8s.annotations={note: \"it's: \\n 'quoted'\"}")
    said = [*render(wanted, tmp_path / "out")]
    assert all(line.startswith("changed  ") for line in said)
    names = yaml.safe_load((tmp_path / "out/kustomization.yaml").read_text())["resources"]
    assert names == sorted(names)
    found = [yaml.safe_load((tmp_path / "out" / name).read_text()) for name in names]
    assert found == [*wanted.all()]
    assert len(listing(tmp_path / "out")) == len(names) + 1


def test_a_second_render_changes_nothing(tmp_path: Path) -> None:
    [*render(made(), tmp_path)]
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {line.split()[0] for line in render(made(), tmp_path)} == {"ok"}
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_what_is_no_longer_wanted_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    [*render(made("k8s.replicas=2"), tmp_path)]
    (tmp_path / "patch.yaml").write_text("mine: true\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "kustomization.yaml")
    assert any("poddisruptionbudget" in name for name in listing_names(tmp_path))
    said = [*render(made(), tmp_path)]
    assert any(line.startswith("removed ") and "poddisruptionbudget" in line for line in said)
    assert not any("poddisruptionbudget" in name for name in listing_names(tmp_path))
    assert {"patch.yaml", "folder", "link.yaml"} <= listing_names(tmp_path)


def listing_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "kustomization.yaml"
    mine.write_text("resources: []\n")
    with pytest.raises(ConfigError, match="not of an earlier --render"):
        [*render(made(), tmp_path)]
    assert mine.read_text() == "resources: []\n"
    assert listing_names(tmp_path) == {"kustomization.yaml"}


def test_a_secret_is_a_note_without_its_value(tmp_path: Path) -> None:
    wanted = made(
        "model.source=hf://a/b",
        "model.token=!env WORD",
        "k8s.registry={username: me, password: !env WORD}",
        env={"WORD": "top-secret"},
    )
    [*render(wanted, tmp_path)]
    everything = b"\n".join(listing(tmp_path).values()).decode()
    for word in ("top-secret", base64.b64encode(b"top-secret").decode()):
        assert word not in everything
    notes = sorted(tmp_path.glob("*.txt"))
    assert [path.name for path in notes] == [
        "01-secret-llm-secrets.txt",
        "02-secret-llm-registry.txt",
    ]
    assert "--from-file=ROLECALL_MODEL_TOKEN=FILE" in notes[0].read_text()
    assert "--type=kubernetes.io/dockerconfigjson" in notes[1].read_text()
    assert notes[0].read_text().startswith(HEADER)
    names = yaml.safe_load((tmp_path / "kustomization.yaml").read_text())["resources"]
    assert all(name.endswith(".yaml") for name in names)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        [*render(made(), tmp_path / "out")]
