"""The inventory that the role's README shows, with the project's own groups."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rolecall.cli.flags import Flags
from rolecall.facts import Facts
from rolecall.inventory import Inventory, load_inventory
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.settings import resolve
from roles.k8s.manifests import manifests
from roles.k8s.settings import K8s
from roles.k8s.unread import UNREAD, unread_settings
from roles.model.settings import Model
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime
from tasks import project
from tests.unit.k8s.clusters import ROOT, kinds


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    readme = (ROOT / "roles/k8s/README.md").read_text()
    (text,) = re.findall(r"```yaml file=hosts\.yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "hosts.yaml").write_text(text)
    shutil.copytree(ROOT / "inventory/group_vars", tmp_path / "group_vars")
    return load_inventory(tmp_path)


def host(inventory: Inventory, name: str) -> Host:
    found = resolve(project.setting_types(), inventory.layers(name), [])
    facts = Facts.parse(Observed.of({}), Observed.of({"k8s_namespace": "demo"}))
    settings = {role: value.settings for role, value in found.items()}
    return Host(name, facts, settings, kind="cluster")


def test_a_cluster_and_a_project_of_t9k_are_there(inventory: Inventory) -> None:
    assert "Deployment" in kinds([*manifests(host(inventory, "cluster")).all()])
    served = manifests(host(inventory, "project"))
    assert kinds(served.workload) == ["MLService", "MLServiceRuntime"]
    assert served.prepare is None


def test_the_notebook_makes_what_the_project_serves(inventory: Inventory) -> None:
    notebook, served = host(inventory, "notebook"), host(inventory, "project")
    own = served.settings(K8s).t9k
    assert notebook.settings(Repo).link == own.model_repo_path
    home = notebook.all_settings["rolecall"].model_dump()["home"]
    assert home.startswith(f"{own.mount_path}/")
    assert notebook.settings(Runtime).kind == "installed"
    assert notebook.settings(Model) == served.settings(Model)


def test_settings_can_be_known_without_their_secrets(inventory: Inventory) -> None:
    flags = Flags(
        set=[
            "model.token=!env NOT_THERE",
            "k8s.registry={username: me, password: !file /not/there}",
        ]
    )
    found = unread_settings(project, inventory, "project", flags)
    model, k8s = found["model"], found["k8s"]
    assert isinstance(model, Model) and model.token is not None
    assert isinstance(k8s, K8s) and k8s.registry.password is not None
    assert model.token.get_secret_value() == UNREAD
    assert k8s.registry.password.get_secret_value() == UNREAD
