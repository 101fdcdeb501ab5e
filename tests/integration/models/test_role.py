import json
import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from rolecall.targets.local import LocalTarget
from rolecall.testing import HOST, KillableTarget
from rolecall.testing import converge as run
from roles.model.role import card, card_resources, model
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from tests.integration.deployed import failure, run_inv
from tests.integration.models.conftest import NAME
from tests.rig.hub import Repo as HubRepo
from tests.rig.sshd import Sshd
from tests.rig.tiny_model import files
from tests.support import SHELLS, find_shell

SHARD = "model-00001-of-00002.safetensors"
LARGE = "model-00002-of-00002.safetensors"


class Place:
    """A host whose tools are there, and what it is to have."""

    def __init__(self, root, tools_python, hub):
        self.home = root / "home"
        tools = self.home / "python" / "tools"
        tools.parent.mkdir(parents=True)
        tools.symlink_to(tools_python.parents[1])
        self.hub = hub
        self.set(source=f"hf://{NAME}@main")

    def set(self, **how):
        """Settings of the role, with the hub as the mirror of whatever hub is meant."""
        if not how["source"].startswith("file://"):
            how = {"endpoint": self.hub.url, **how}
        self.settings = {"model": Model(**how), "python": Python(lock="none"), "repo": Repo()}

    def wanted(self, host):
        """What the role declares."""
        return list(model.resources(host))

    def converge(self, wanted=None, **how):
        """One run."""
        return run(wanted or self.wanted, self.home, settings=self.settings, **how)

    @property
    def path(self):
        """Where the model is."""
        return (self.home / "artifacts/model/current").resolve()


@pytest.fixture
def place(tmp_path, tools_python, hub):
    """A host with the tools, and a hub to fetch from."""
    return Place(tmp_path, tools_python, hub)


def hub_commit(place):
    """The commit that the hub's branch is at."""
    return place.hub.repos[NAME].refs["main"]


def good(result):
    assert set(result.outcomes.values()) <= {"ok", "changed"}, result.text[-2000:]
    return result


def test_a_model_is_fetched_once_and_a_second_run_is_one_exchange(place):
    assert set(place.converge(check=True).outcomes.values()) == {"would change"}
    result = good(place.converge())
    assert result.outcomes["artifact:model"] == "changed"
    assert any(line.startswith(f"hf://{NAME}@main: main is commit") for line in result.output)
    assert any(progress.unit == "B" and progress.total for progress in result.progress)
    assert (place.path / SHARD).read_bytes() == files()[SHARD]
    assert f"note.commit={hub_commit(place)}\n" in (place.path / ".rolecall/notes").read_text()
    manifest = json.loads((place.path / ".rolecall/manifest.json").read_text())
    assert {output["path"] for output in manifest["outputs"]} == {
        *(name for name in files() if name != "README.md"),
        "model.json",
    }
    asked = len(place.hub.requests)
    for check in (True, False):
        again = place.converge(check=check)
        assert set(again.outcomes.values()) == {"ok"} and again.exchanges == 1
    assert len(place.hub.requests) == asked


def test_a_branch_that_moves_moves_no_host(place):
    good(place.converge())
    place.hub.repos[NAME].commit(files(seed=2))
    assert set(place.converge().outcomes.values()) == {"ok"}
    (place.path / SHARD).unlink()
    good(place.converge())
    assert (place.path / SHARD).read_bytes() == files()[SHARD]


def test_a_damaged_file_is_found_by_its_hash_and_fetched_alone(place):
    good(place.converge())

    def thorough(host):
        return [resource.thorough() for resource in place.wanted(host)]

    assert set(place.converge(thorough).outcomes.values()) == {"ok"}
    shard = place.path / SHARD
    before = shard.stat()
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert set(place.converge().outcomes.values()) == {"ok"}
    place.hub.requests.clear()
    assert place.converge(thorough).outcomes["artifact:model"] == "changed"
    assert len(place.hub.asked("GET /store")) == 1
    assert (place.path / SHARD).read_bytes() == files()[SHARD]
    assert set(place.converge(thorough).outcomes.values()) == {"ok"}


def test_a_killed_fetch_is_gone_on_from(place, hub):
    hub.repos[NAME] = HubRepo()
    hub.repos[NAME].commit(files(padding=5_000_000))
    slow = hub.fault("GET /store", pause=0.15, piece=1 << 20)

    def half():
        parts = place.home.glob(f"artifacts/model/.kept-*/files/{LARGE}.incomplete")
        return any(part.stat().st_size >= 2 << 20 for part in parts)

    assert converge_killed(place, half)
    hub.faults.remove(slow)
    hub.requests.clear()
    good(place.converge())
    assert any(request.range >= "bytes=2" for request in hub.asked("GET /store"))
    assert sorted(p.name for p in (place.home / "artifacts/model").glob(".*")) == []


def converge_killed(place, when):
    """Kill everything on the host once ``when()`` holds; whether that came to be."""
    target = KillableTarget()
    thread = threading.Thread(target=lambda: place.converge(target=target), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < deadline:
        if when():
            target.kill(place.home)
            thread.join(30)
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(params=["local", "ssh"])
def target(request, tmp_path_factory):
    """This machine, and the same over SSH."""
    if request.param == "local":
        yield LocalTarget(HOST)
    else:
        server = Sshd(tmp_path_factory.mktemp("sshd")).start()
        yield server.target(HOST)
        server.stop()


def test_the_token_lies_nowhere_and_no_process_shows_it(place, hub, tmp_path, target):
    token = "hf_very_secret_indeed"
    hub.tokens.add(token)
    hub.repos[NAME].private = True
    hub.repos[NAME].readers.add(token)
    place.set(source=f"hf://{NAME}", token=token)
    hub.fault("GET /store", times=2, pause=0.5, piece=1 << 20)
    seen = []

    def watch():
        while not over.is_set():
            seen.append(subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout)
            seen.extend(
                stat.filemode(path.stat().st_mode) + path.name
                for path in place.home.glob("jobs/*/secrets/*")
            )
            over.wait(0.05)

    over = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    result = good(place.converge(target=target))
    over.set()
    thread.join()
    assert not [text for text in seen if token in text]
    assert "-rw-------TOKEN" in seen, "while it runs, its file is the user's alone"
    assert token not in result.text
    assert not _holding(tmp_path, token)
    assert token not in repr(place.settings)


def _holding(folder, text):
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and "python/tools" not in str(path) and text.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_rolecalls_directory_may_have_any_name(tmp_path, tools_python, hub, shell):
    hub.tokens.add("hf_x")
    shell = find_shell(shell, tmp_path / "shells")
    place = Place(tmp_path / "it's a $home", tools_python, hub)
    place.set(source=f"hf://{NAME}", token="hf_x", allow=("*.json", "*.safetensors"))
    good(place.converge(shell=shell))
    assert (place.path / SHARD).read_bytes() == files()[SHARD]
    assert {request.token for request in hub.asked("/api/models")} == {"hf_x"}


def test_another_token_fetches_nothing_anew(place, hub):
    good(place.converge())
    place.set(source=f"hf://{NAME}@main", token="hf_other")
    assert set(place.converge().outcomes.values()) == {"ok"}


def test_a_failure_is_told_with_what_to_do(place, hub):
    hub.repos[NAME].gated = True
    result = place.converge()
    (done,) = [event for event in result.done.values() if event.outcome == "failed"]
    assert "is gated" in done.reason
    assert "next: accept it at" in done.reason
    assert not (place.home / "artifacts/model/current").exists()


def test_a_linked_directory_that_changes_is_damage(place, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    for name, data in files(shards=1).items():
        (folder / name).write_bytes(data)
    place.set(source=f"file://{folder}", link=True)
    good(place.converge())
    assert (place.path / "model.safetensors").readlink() == folder / "model.safetensors"
    assert set(place.converge().outcomes.values()) == {"ok"}
    (folder / "model.safetensors").write_bytes(files(shards=1, seed=2)["model.safetensors"])
    os.utime(folder / "model.safetensors", (5, 5))
    assert place.converge(check=True).outcomes["artifact:model"] == "would change"


def test_the_card_comes_first_and_the_model_is_of_its_commit(place, hub):
    found = []

    def cards(host):
        found[:] = [card(host)]
        return list(card_resources(host))

    good(place.converge(cards))
    assert not hub.sent("/store/")
    shape = json.loads(Path(found[0].path, "card.json").read_text())
    assert shape["bytes"] > 0
    hub.repos[NAME].commit(files(seed=2))
    good(place.converge())
    described = json.loads((place.path / "model.json").read_text())
    assert described["commit"] == shape["commit"]


def test_the_command_line_takes_it_all(place, hub, tmp_path):
    token = "hf_from_the_environment"
    hub.tokens.add(token)
    hub.repos[NAME].private = True
    hub.repos[NAME].readers.add(token)
    options = [
        f"--set=rolecall.home={place.home}",
        f"--set=model.source=hf://{NAME}@main",
        f"--set=model.endpoint={hub.url}",
        "--set=model.token=!env HUB_TOKEN_OF_THE_TEST",
        "--json",
    ]
    environment = {"HUB_TOKEN_OF_THE_TEST": token}
    done = run_inv("model", *options, env=environment)
    assert done.returncode == 0, failure(done)
    assert token not in done.stdout + done.stderr
    shard = place.path / SHARD
    before = shard.stat()
    shard.write_bytes(b"x" * before.st_size)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = ["model", *options, "--check", "--detailed-exitcode"]
    assert run_inv(*again, env=environment).returncode == 0
    assert run_inv(*again, "--verify-hashes", env=environment).returncode == 2
    shown = run_inv("settings", "model", *options[:-1], env=environment)
    assert token not in shown.stdout
    assert "model.token = ***" in shown.stdout


def test_the_kept_things_go_with_destroy(place, hub):
    hub.fault("GET /store", status=404)
    assert place.converge().recap.failed
    assert list(place.home.glob("artifacts/model/.kept-*"))
    done = run_inv("destroy", "--yes", f"--set=rolecall.home={place.home}")
    assert done.returncode == 0, done.stdout
    assert not (place.home / "artifacts").exists()
