"""The inventory of pods: read by Rolecall itself, it comes to the settings it was made from."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.inventory import load_inventory
from rolecall.settings import Settings, resolve
from roles.k8s.pod_inventory import FILLING, PREPARING, SERVING, PodInventory, pod_inventory
from roles.model.settings import Model
from roles.repo.settings import Repo
from tests.unit.k8s.clusters import ROOT, cluster

PROJECT = Project(ROOT, ("system", *SERVING))

RECIPES = ["cpu", "gpu", "gpu_engine", "gpu_vllm", "t9k_published"]

#: What is another thing in a pod than on the controller's side.
_ELSEWHERE = {
    "python": {"directory"},
    "runtime": set(Settings.model_fields) | {"kind"},
    "server": {"address"},
}


def written(inventory: PodInventory, folder: Path) -> Path:
    for name, text in inventory.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def read(folder: Path) -> Mapping[str, Settings]:
    """The settings of a pod, as ``./inv --inventory FOLDER`` has them."""
    resolved = PROJECT.resolved(Flags(inventory=str(folder)))
    assert list(resolved) == ["localhost"]
    return {name: value.settings for name, value in resolved["localhost"].items()}


def plain(settings: Settings, without: set[str]) -> dict[str, Any]:
    return settings.model_dump(exclude=without)


@pytest.mark.parametrize(
    ("recipe", "sets"),
    [
        *((recipe, []) for recipe in RECIPES),
        (
            "t9k_published",
            ["engine.tensorrt_llm.published_exactly=true", "repo.published_exactly=true"],
        ),
    ],
)
def test_the_pods_resolve_the_same_settings(recipe: str, sets: list[str], tmp_path: Path) -> None:
    host = cluster([recipe, "kubernetes"], *sets)
    found = read(written(pod_inventory(host, SERVING, "/data"), tmp_path))
    for role in SERVING:
        if role == "runtime":
            continue
        wanted, got = host.all_settings[role], found[role]
        without = _ELSEWHERE.get(role, set())
        assert plain(got, without) == plain(wanted, without), role
        # Some roles tell what was set from what was not.
        assert got.model_fields_set - without == wanted.model_fields_set - without, role


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_container_is_what_is_installed_to_those_in_it(recipe: str, tmp_path: Path) -> None:
    host = cluster([recipe, "kubernetes"])
    found = read(written(pod_inventory(host, SERVING, "/data"), tmp_path))
    before, after = (where["runtime"].model_dump() for where in (host.all_settings, found))
    in_container = before["kind"] == "container"
    assert after["kind"] == ("installed" if in_container else "environment")
    assert after["triton"] == (before["triton"] if in_container else "auto")
    assert after["image"] == ""


def test_things_are_where_the_image_has_them(tmp_path: Path) -> None:
    found = read(written(pod_inventory(cluster(), SERVING, "/data"), tmp_path))
    assert found["rolecall"].model_dump()["home"] == "/data/rolecall"
    assert found["python"].model_dump()["directory"] == "/opt/rolecall/python"


@pytest.mark.parametrize(
    ("address", "inside"),
    [("127.0.0.1", "0.0.0.0"), ("::1", "::"), ("::", "::"), ("10.0.0.7", "10.0.0.7")],
)
def test_the_server_can_be_reached(address: str, inside: str) -> None:
    made = pod_inventory(cluster(("cpu",), f"server.address={address!r}"), SERVING, "/data")
    assert made.variables["server"]["address"] == inside


def test_the_jobs_inventory_says_nothing_of_the_server() -> None:
    made = pod_inventory(cluster(), PREPARING, "/data")
    assert set(made.variables) <= {"rolecall", *PREPARING}


def test_a_secret_stands_there_by_reference(tmp_path: Path, monkeypatch: Any) -> None:
    host = cluster(("gpu", "kubernetes"), "model.token=!env TOKEN", env={"TOKEN": "hf_top"})
    made = pod_inventory(host, SERVING, "/data")
    assert made.secrets == {"ROLECALL_MODEL_TOKEN": "hf_top"}
    assert "hf_top" not in "".join(made.files.values())
    assert "token: !env 'ROLECALL_MODEL_TOKEN'" in made.files["group_vars/all.yaml"]
    assert "hf_top" not in repr(made)
    monkeypatch.setenv("ROLECALL_MODEL_TOKEN", "hf_top")
    model = read(written(made, tmp_path))["model"]
    assert isinstance(model, Model) and model.token is not None
    assert model.token.get_secret_value() == "hf_top"


def test_the_content_is_known_without_secrets() -> None:
    gpu = ("gpu", "kubernetes")
    hosts = [
        cluster(gpu, "model.token=!env TOKEN", env={"TOKEN": token}) for token in ("a", "b")
    ] + [cluster(gpu)]
    assert len({pod_inventory(host, FILLING, "/data").filled_with() for host in hosts}) == 1
    assert len({pod_inventory(hosts[0], FILLING, home).filled_with() for home in ("/a", "/b")}) == 2


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
_VALUES = st.one_of(
    _TEXTS, st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)


@example({"next line": "\x85", "separator": "\u2028", "mark": "\ufeff"})
@given(st.dictionaries(st.text(string.ascii_letters + "._-1", min_size=1), _VALUES, max_size=4))
def test_any_value_arrives_as_it_is(parameters: dict[str, Any]) -> None:
    import tempfile

    host = cluster()
    repo = Repo.model_validate({"upstream": {"parameters": parameters}})
    made = pod_inventory(
        type(host)(host.name, host.facts, {**host.all_settings, "repo": repo}), FILLING, "/data"
    )
    with tempfile.TemporaryDirectory() as folder:
        inventory = load_inventory(written(made, Path(folder)))
        found = resolve({"repo": Repo, **_others()}, inventory.layers("localhost"), [])
    got = found["repo"].settings
    assert isinstance(got, Repo)
    assert got.upstream.parameters == repo.upstream.parameters
    for name, value in repo.upstream.parameters.items():
        assert type(got.upstream.parameters[name]) is type(value)


def _others() -> dict[str, type[Settings]]:
    return {name: type_ for name, type_ in PROJECT.setting_types().items() if name != "repo"}
