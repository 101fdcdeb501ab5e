"""What an image is built from, and the digest that its tag is made of."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from roles.images import context
from roles.images.recipe import Recipe

ROOT = Path(__file__).parents[3]
CPU = Recipe("cpu", "cpu", "base:1", "", ("cpu", "tools"), "podman", "podman")
GPU = Recipe("gpu", "gpu", "base:1", "", ("tools",), "podman", "podman")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of few files."""
    copy = tmp_path / "project"
    for name in ("docker", "inventory", "roles/server", "roles/python/locks", "tools"):
        quiet = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=quiet)
    for name in ("rolecall", "templates"):
        (copy / name).mkdir()
    (copy / "rolecall/shell.py").write_text("quote = 1\n")
    for name in ("inv", "tasks.py", "requirements.lock"):
        shutil.copy2(ROOT / name, copy / name)
    return copy


def made(root: Path, recipe: Recipe = CPU) -> dict[str, context.File]:
    return context.context(root, root / "inventory", recipe)


def digest(root: Path, recipe: Recipe = CPU) -> str:
    return context.digest(made(root, recipe), recipe)


def test_what_decides_the_image_decides_its_digest(root: Path) -> None:
    before = digest(root)
    assert digest(root) == before
    assert digest(root, replace(CPU, base="base:2")) != before
    for name in ("docker/cpu/Dockerfile", "docker/shared/finish.sh", "rolecall/shell.py"):
        path = root / name
        content = path.read_bytes()
        path.write_bytes(content + b"#\n")
        assert digest(root) != before, name
        path.write_bytes(content)
    lock = root / "roles/python/locks/cpu.txt"
    lock.write_text(f"{lock.read_text()}#\n")
    assert digest(root) != before


def test_what_does_not_decide_it_stays_out(root: Path) -> None:
    before = digest(root)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("x")
    (root / ".venv").mkdir()
    (root / "rolecall/.env").write_text("TOKEN=secret")
    (root / "rolecall/notes.md").write_text("x")
    (root / "rolecall/shell.py.bak").write_text("x")
    (root / "rolecall/__pycache__").mkdir()
    (root / "rolecall/__pycache__/x.py").write_text("x")
    (root / "inventory/known_hosts").write_text("x")
    (root / "inventory/host_vars").mkdir()
    (root / "inventory/host_vars/gpu-1.yaml").write_text("x: 1")
    os.utime(root / "inv")
    assert digest(root) == before


def test_settings_are_those_of_the_recipe_alone(root: Path) -> None:
    paths = {path for path in made(root) if path.startswith("project/inventory/")}
    assert paths == {
        "project/inventory/hosts.yaml",
        "project/inventory/host_vars/localhost.yaml",
        "project/inventory/group_vars/all.yaml",
        "project/inventory/group_vars/cpu.yaml",
    }
    assert b'"cpu"' in made(root)["project/inventory/hosts.yaml"].content


def test_a_link_out_of_the_project_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "rolecall/inside.py").symlink_to("shell.py")
    assert made(root)["project/rolecall/inside.py"].content == b"quote = 1\n"
    (tmp_path / "secret.py").write_text("x")
    (root / "rolecall/outside.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(ConfigError, match=r"outside\.py is a link that leaves the project"):
        made(root)


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "docker/cpu/entrypoint.sh").unlink()
    with pytest.raises(ConfigError, match=r"no .*entrypoint\.sh"):
        made(root)


def test_it_is_laid_out_with_the_same_modes_whatever_those_of_the_files(
    root: Path, tmp_path: Path
) -> None:
    (root / "tasks.py").chmod(0o600)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_text("x")
    (wheels / "sources.tar.gz").write_text("x")
    folder = tmp_path / "context"
    folder.mkdir(mode=0o700)
    context.write(made(root), folder, wheels)
    assert (folder / "project/tasks.py").stat().st_mode & 0o777 == 0o644
    assert (folder / "project/inv").stat().st_mode & 0o777 == 0o755
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (folder / "wheels").iterdir()] == ["a-1-py3-none-any.whl"]
    assert sorted(path.name for path in folder.iterdir()) == [
        *("Dockerfile", "build", "entrypoint.sh", "project", "wheels")
    ]


def test_the_gpu_image_has_the_project_too_and_only_the_lock_it_asks_for(root: Path) -> None:
    plain = made(root, GPU)
    scripts = "project/roles/server"
    assert {"launch_triton_server.py", f"{scripts}/command.py", f"{scripts}/launch_ranks.sh"} <= {
        *plain
    }
    assert b"installed" in plain["project/inventory/host_vars/localhost.yaml"].content
    assert "build/locks/tools.txt" in plain
    assert not [path for path in plain if path.startswith("build/packages/")]
    published = replace(GPU, packages="torch-2.1.2")
    assert b"torch==2.1.2" in made(root, published)["build/packages/torch-2.1.2.txt"].content
    assert context.arguments(published) == {"BASE": "base:1", "PACKAGES": "torch-2.1.2"}
    with pytest.raises(ConfigError, match="no lock 'torch'") as refused:
        made(root, replace(GPU, packages="torch"))
    assert "torch-2.1.2" in refused.value.hint
