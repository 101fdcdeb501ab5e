import hashlib
import signal
import subprocess
import time

import pytest

from tests.integration.models.conftest import NAME
from tests.rig.hub import Repo
from tests.rig.tiny_model import files

SOURCE = f"ms://{NAME}"
SHARD = "model-00001-of-00002.safetensors"
LARGE = "model-00002-of-00002.safetensors"


def test_a_model_arrives_whole_verified_and_described(hub, fetch, tmp_path):
    done = fetch(SOURCE)
    assert done.status == 0, done.output
    wanted = {name: data for name, data in files().items() if name != "README.md"}
    assert done.files == wanted
    assert done.listing["files"] == [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(wanted.items())
    ]
    done.check_sums()
    assert not (tmp_path / "no-home").exists()


def test_a_branch_is_resolved_to_the_commit_of_its_newest_file(hub, fetch):
    first = files()
    hub.repos[NAME] = Repo()
    hub.repos[NAME].commit(first)
    second = hub.repos[NAME].commit({**first, "config.json": first["config.json"] + b"\n"})
    done = fetch(SOURCE)
    assert done.listing["commit"] == second
    assert f"master is commit {second}" in done.output
    assert {q.path.partition("Revision=")[2][:40] for q in hub.asked("FilePath")} == {second}


def test_a_branch_whose_last_commit_only_removed_files_is_held_by_its_digests(hub, fetch):
    hub.repos[NAME] = Repo()
    hub.repos[NAME].commit({**files(), "old.json": b"{}"})
    hub.repos[NAME].commit(files())
    done = fetch(SOURCE)
    assert done.status == 0, done.output
    assert done.listing["commit"] == ""
    assert "at no commit that the server names" in done.output


def test_a_commit_is_used_as_it_is(hub, fetch):
    commit = hub.repos[NAME].refs["master"]
    hub.repos[NAME].commit(files(seed=2))
    done = fetch(f"{SOURCE}@{commit}")
    assert done.listing["commit"] == commit
    assert done.files[SHARD] == files()[SHARD]


def test_the_token_reaches_the_hub_and_nobody_else(hub, fetch, tmp_path):
    hub.tokens.add("ms-secret")
    hub.repos[NAME].private = True
    hub.repos[NAME].readers.add("ms-secret")
    fetch.token = "ms-secret"
    done = fetch(SOURCE)
    assert done.status == 0, done.output
    assert "ms-secret" not in done.output
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]
    assert not [path for path in kept if b"ms-secret" in path.read_bytes()]


def test_a_private_model(hub, fetch):
    hub.repos[NAME].private = True
    fetch.fails("refuses tiny/llama", "ask for access", "model.token", source=SOURCE)


def test_a_token_that_is_not_valid(hub, fetch):
    fetch.token = "expired"
    fetch.fails("does not accept model.token", source=SOURCE)


def test_a_repository_or_revision_that_is_not_there(fetch):
    fetch.fails("has no model tiny/none", "check model.source", source="ms://tiny/none")
    fetch.fails("with a revision v9", "master", source=f"{SOURCE}@v9")


def test_a_server_without_digests(hub, fetch):
    hub.repos[NAME].without_sha256 = True
    output = fetch.fails("no digest for 7 files", "model.unverified", source=SOURCE)
    assert "hf://" in output
    done = fetch(SOURCE, "--unverified")
    assert done.status == 0, done.output
    done.check_sums()
    assert all(entry["sha256"] for entry in done.listing["files"]), "as they arrived"


def test_wrong_bytes(hub, fetch):
    hub.fault("GET /store", corrupt=True)
    fetch.fails("arrives other than it is listed", source=SOURCE)


def test_a_listed_file_that_is_not_there(hub, fetch):
    hub.fault(f"FilePath={SHARD}", status=404)
    fetch.fails("incomplete", SHARD, source=SOURCE)


def test_a_busy_hub_is_waited_for(hub, fetch):
    hub.fault("/repo/files", times=1, status=429, headers={"Retry-After": "1"})
    hub.fault("GET /store", times=1, status=429, headers={"Retry-After": "1"})
    assert fetch(SOURCE).status == 0


@pytest.mark.parametrize("where", ["/repo/files", "GET /store"])
def test_trouble_that_passes_is_outlived(hub, fetch, where):
    hub.fault(where, times=1, status=503)
    assert fetch(SOURCE).status == 0


def test_trouble_that_does_not_pass(hub, fetch):
    fetch.environment["MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS"] = "2"
    hub.fault("/repo/files", status=503)
    fetch.fails("has trouble", "what has come is kept", source=SOURCE)


def test_a_hub_that_cannot_be_reached(hub, fetch):
    fetch.environment["MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS"] = "1"
    hub.close()
    fetch.fails("cannot be reached", "network, name service and proxy", source=SOURCE)


def test_a_killed_fetch_is_gone_on_from(hub, fetch):
    hub.repos[NAME] = Repo()
    hub.repos[NAME].commit(files(padding=5_000_000))
    hub.fault("GET /store", pause=0.15, piece=1 << 20)
    command, environment, _ = fetch.command(SOURCE)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    part = fetch.keep / "files" / f"{LARGE}.incomplete"
    while not (part.exists() and part.stat().st_size >= 2 << 20):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    came = part.stat().st_size
    hub.faults.clear()
    hub.requests.clear()
    done = fetch(SOURCE)
    assert done.status == 0, done.output
    assert f"bytes={came}-" in [request.range for request in hub.asked("GET /store")]


def test_the_card_is_the_shape_alone(hub, fetch):
    done = fetch(SOURCE, "--shape")
    assert done.status == 0, done.output
    assert "config.json" in done.files
    assert not hub.sent("/store/")
