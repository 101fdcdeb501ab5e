"""Collecting: what comes is verified, what has come is kept, and nothing is fetched twice."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rolecall.errors import ConfigError, RolecallError
from rolecall.resources.container_image import ContainerImage
from rolecall.resources.git import GitCheckout
from rolecall.testing import converge as run
from roles.bundle.collect import checkouts, images, wheels
from roles.bundle.collect.folder import Folder
from roles.bundle.collect.pip import Pip
from roles.bundle.collect.target import Machine
from roles.bundle.needs import Checkout, Image, Wheels
from roles.bundle.places import image_file, pack_file
from roles.bundle.settings import Bundle
from roles.model.role import model
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from tests.integration.cli.project import copy_project
from tests.integration.deployed import run_inv
from tests.integration.models.conftest import NAME
from tests.integration.resources.test_git import Origin
from tests.rig.containers import BASE, Engine
from tests.rig.hub import Hub
from tests.rig.tiny_model import files
from tests.support import assert_contract

UBUNTU = Machine("3.12", "x86_64", (2, 39), "ubuntu-24.04")
PIP = Pip(sys.executable)


@dataclass
class Index:
    """A directory that pip takes wheels from, in place of an index."""

    folder: Path
    lock: list[str] = field(default_factory=list)

    def wheel(self, name: str, tag: str = "py3-none-any") -> Path:
        """Make a wheel of version 1."""
        place = self.folder / f"{name}-1-{tag}.whl"
        texts = {
            f"{name}.py": f"tag = {tag!r}\n",
            f"{name}-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
            f"{name}-1.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        lines = [f"{path},{_digest(text)},{len(text)}" for path, text in texts.items()]
        record = f"{name}-1.dist-info/RECORD"
        with zipfile.ZipFile(place, "w") as archive:
            for path, text in texts.items():
                archive.writestr(path, text)
            archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))
        return place

    def pin(self, name: str, *wheels: Path, marker: str = "") -> None:
        """Add a line to the lock, with the hashes of wheels."""
        hashes = [
            f"--hash=sha256:{hashlib.sha256(each.read_bytes()).hexdigest()}" for each in wheels
        ]
        self.lock.append(f"{name}==1{f' ; {marker}' if marker else ''} {' '.join(hashes)}")

    @property
    def need(self) -> Wheels:
        """What a role would say."""
        return Wheels("some", "\n".join(self.lock), "3.12", "x86_64", "3.13")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """An index that all of pip's configuration means."""
    made = Index(tmp_path / "index")
    made.folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.folder))
    return made


def names(folder: Folder) -> set[str]:
    """The wheels that are there."""
    return {path.name for path in (folder.root / "wheels").glob("*")}


def test_wheels_are_those_of_the_host_and_not_of_this_machine(index: Index, folder: Folder) -> None:
    tags = ("cp311-cp311", "cp312-cp312", "cp313-cp313")
    made = [index.wheel("native", f"{tag}-manylinux_2_28_x86_64") for tag in tags]
    new = index.wheel("native", "cp312-cp312-manylinux_2_40_x86_64")
    arm = index.wheel("native", "cp312-cp312-manylinux_2_28_aarch64")
    index.pin("native", *made, new, arm)
    index.pin("old", index.wheel("old"), marker="python_full_version < '3.12'")
    index.pin("new", index.wheel("new"), marker="python_full_version >= '3.12'")
    paths = wheels.collect(folder, index.need, UBUNTU, PIP)
    assert {Path(path).name for path in paths} == {
        "native-1-cp312-cp312-manylinux_2_28_x86_64.whl",
        "new-1-py3-none-any.whl",
    }


def test_a_wrong_digest_is_refused_by_name_and_the_rest_is_kept(
    index: Index, folder: Folder
) -> None:
    good, bad = index.wheel("good"), index.wheel("bad")
    index.pin("good", good)
    index.pin("bad", bad)
    right = bad.read_bytes()
    bad.write_bytes(right + b"tampered")
    with pytest.raises(RolecallError, match=r"bad==1: the file that came is not the one"):
        wheels.collect(folder, index.need, UBUNTU, PIP)
    assert names(folder) == {good.name}
    bad.write_bytes(right)
    good.unlink()  # it need not come again
    assert len(wheels.collect(folder, index.need, UBUNTU, PIP)) == 2


def test_what_a_killed_run_brought_need_not_come_again(index: Index, tmp_path: Path) -> None:
    made = index.wheel("some")
    index.pin("some", made)
    killed = Folder(tmp_path / "bundle")
    killed.staging("unfinished")
    wheels.collect(killed, index.need, UBUNTU, PIP)  # and nothing is noted of it
    made.unlink()
    with Folder.opened(tmp_path / "bundle") as folder:
        assert wheels.collect(folder, index.need, UBUNTU, PIP) == [f"wheels/{made.name}"]


def test_a_wheel_that_is_not_to_be_had_is_named_with_the_machine(
    index: Index, folder: Folder
) -> None:
    index.pin("native", index.wheel("native", "cp312-cp312-manylinux_2_40_x86_64"))
    with pytest.raises(RolecallError, match=r"native==1: .*no wheel.* 3\.12, x86_64, glibc 2\.39"):
        wheels.collect(folder, index.need, UBUNTU, PIP)


def test_a_python_that_the_lock_is_not_for_is_refused() -> None:
    need = Wheels("some", "", "3.13", "x86_64", "3.13")
    with pytest.raises(ConfigError, match=r"for Python 3\.10 to 3\.12, not for 3\.13"):
        wheels.check(need, Machine("3.13", "x86_64", (2, 41), "debian-13"))


def test_without_a_pip_of_its_own_it_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roles.bundle.collect.pip.find_spec", lambda _: None)
    pip = Pip.here(tmp_path)
    assert pip.python.startswith(str(tmp_path)) and Pip.here(tmp_path) == pip
    markers = ["python_version < '3.12'", "platform_machine == 'x86_64'", ""]
    assert pip.choose(UBUNTU, markers, []) == ([False, True, True], [])


def test_a_controller_without_a_network_gets_its_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    python = "{}.{}".format(*sys.version_info[:2])
    asked = ("--os", "debian:12", "--arch", os.uname().machine, "--python", python)
    without = ("--without", "cpu,models,packages")
    done = run_inv("bundle", "--runner", "--output", str(bundle), *asked, *without, timeout=480)
    if done.returncode:
        pytest.skip(f"no bundle can be collected here: {done.stderr[-300:]}")
    project = copy_project(tmp_path / "project", environment=False)
    closed = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:1")
    links = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(bundle / "wheels"), "UV_NO_INDEX": "1"}
    links["UV_FIND_LINKS"] = links["PIP_FIND_LINKS"]
    listed = run_inv("settings", "bundle", env={**closed, **links}, inv=project / "inv")
    assert listed.returncode == 0, listed.stderr
    assert "bundle.path" in listed.stdout


def test_a_commit_is_packed_and_checked_out_without_its_repository(
    tmp_path: Path, folder: Folder
) -> None:
    origin = Origin(tmp_path / "origin")
    path = tmp_path / "checkout"
    for commit in (origin.first, origin.second):
        need = Checkout(origin.url, commit)
        (found,) = checkouts.collect(folder, need)
        assert found == pack_file(origin.url, commit)
        assert checkouts.collect(folder, need) == [found]
    shutil.move(origin.folder, tmp_path / "gone")
    for commit in (origin.first, origin.second):  # made, and moved
        pack = str(folder.root / pack_file(origin.url, commit))
        assert_contract([GitCheckout(str(path), origin.url, commit, pack=pack)], tmp_path / "home")
    log = subprocess.run(["git", "-C", path, "log", "--format=%H"], capture_output=True, text=True)
    assert log.stdout.split() == [origin.second]
    broken = GitCheckout(str(tmp_path / "other"), origin.url, origin.first, pack="/nowhere.pack")
    assert "no pack /nowhere.pack" in run([broken], tmp_path / "home").why(broken.id)


def test_a_repository_that_cannot_be_read_is_named(tmp_path: Path, folder: Folder) -> None:
    need = Checkout(f"file://{tmp_path}/none", "a" * 40)
    with pytest.raises(RolecallError, match=r"commit aaaaaaaaaaaa of file://.*/none cannot be had"):
        checkouts.collect(folder, need)


def test_an_image_is_saved_and_loaded(podman: Engine, tmp_path: Path, folder: Folder) -> None:
    name, arch = "localhost/bundled:1", os.uname().machine
    podman("tag", BASE, name)
    need = Image(name, arch)
    (found,) = images.collect(folder, need, podman.client)
    assert found == image_file(name, arch)
    podman("rmi", name)
    image = ContainerImage(name, podman.client, str(folder.root / found))
    assert_contract([image], tmp_path / "home")
    assert podman.has(name)


def test_without_a_container_engine_that_is_said(folder: Folder) -> None:
    with pytest.raises(RolecallError, match=r"there is no no-such-engine here") as caught:
        images.collect(folder, Image("localhost/x:1", "x86_64"), "no-such-engine")
    assert "--without images" in caught.value.hint


@pytest.mark.usefixtures("tools_python")  # skips where its wheels cannot be had
def test_a_hub_s_model_comes_from_the_bundle_at_the_same_address(
    tmp_path: Path, hub: Hub, tools_python: Path
) -> None:
    source, bundle = f"hf://{NAME}@main", tmp_path / "bundle"
    sets = (
        *("--set", f"model.source={source}", "--set", f"model.endpoint={hub.url}"),
        *("--set", "repo.kind=llmapi", "--set", "engine.kind=none", "--set", "python.lock=none"),
    )
    asked = ("--os", "debian:12", "--arch", os.uname().machine)
    without = ("--without", "wheels,git,packages,images")
    inventory = tmp_path / "hosts.yaml"
    inventory.write_text("all: {hosts: {offline: {ansible_connection: local}}}\n")
    where = ("--inventory", str(inventory), "--hosts", "offline")
    command = ("bundle", "--output", str(bundle), *where, *asked, *without, *sets)
    done = run_inv(*command, timeout=480)
    assert done.returncode == 0, done.stdout + done.stderr
    requests = len(hub.requests)
    again = run_inv(*command)
    assert again.returncode == 0 and len(hub.requests) == requests
    assert json.loads((bundle / "manifest.json").read_text())["hosts"]["offline"]["needs"]

    def deployed(home: Path, **how: object) -> Path:
        tools = home / "python" / "tools"
        tools.parent.mkdir(parents=True)
        tools.symlink_to(tools_python.parents[1])
        settings = {
            "model": Model(source=source, endpoint=hub.url),
            "python": Python(lock="none"),
            "repo": Repo(kind="llmapi"),
            "bundle": Bundle(**how),  # type: ignore[arg-type]
        }
        result = run(lambda host: list(model.resources(host)), home, settings=settings)
        assert set(result.outcomes.values()) <= {"ok", "changed"}, result.text[-2000:]
        return (home / "artifacts/model/current").resolve()

    offline = deployed(tmp_path / "offline", path=str(bundle))
    assert len(hub.requests) == requests
    online = deployed(tmp_path / "online")
    assert len(hub.requests) > requests
    assert offline.name == online.name
    assert (offline / "model.json").read_text() == (online / "model.json").read_text()
    for name, data in files().items():
        if name != "README.md":
            assert (offline / name).read_bytes() == data
