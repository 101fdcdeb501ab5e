import hashlib
import json
import signal
import subprocess
import time

import pytest

from tests.integration.models.conftest import NAME
from tests.rig.hub import Repo
from tests.rig.tiny_model import files

SHARD = "model-00001-of-00002.safetensors"
LARGE = "model-00002-of-00002.safetensors"


@pytest.fixture
def large(hub):
    """A model with a shard of 5 MB."""
    hub.repos[NAME] = Repo()
    hub.repos[NAME].commit(files(padding=5_000_000))
    return hub


def test_a_model_arrives_whole_verified_and_described(hub, fetch):
    done = fetch()
    assert done.status == 0, done.output
    wanted = {name: data for name, data in files().items() if name != "README.md"}
    assert done.files == wanted
    commit = hub.repos[NAME].refs["main"]
    assert done.listing["source"] == f"hf://{NAME}"
    assert done.listing["commit"] == commit
    assert done.listing["files"] == [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        | ({} if name.endswith(".safetensors") else {"git_blob": git_blob(data)})
        for name, data in sorted(wanted.items())
    ]
    done.check_sums()
    assert f"main is commit {commit}" in done.output


def git_blob(data):
    made = subprocess.run(
        ["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True
    )
    return made.stdout.decode().strip()


def test_the_model_can_be_used(fetch, tools_python):
    done = fetch()
    program = (
        "import sys; from tokenizers import Tokenizer\n"
        "t = Tokenizer.from_file(sys.argv[1] + '/tokenizer.json')\n"
        "ids = t.encode('hello, wörld').ids\n"
        "assert t.decode(ids) == 'hello, wörld' and max(ids) < 260, ids"
    )
    subprocess.run([tools_python, "-c", program, done.out], check=True, timeout=60)


def test_a_commit_is_used_as_it_is_and_a_name_is_asked_for_once(hub, fetch):
    commit = hub.repos[NAME].refs["main"]
    assert fetch(f"hf://{NAME}@{commit}").listing["commit"] == commit
    assert not hub.asked("/revision/")
    fetch(f"hf://{NAME}@main")
    assert len(hub.asked("/revision/main")) == 1


def test_a_tag_with_a_slash_is_a_revision_too(hub, fetch):
    old = hub.repos[NAME].refs["main"]
    hub.repos[NAME].refs["refs/pr/1"] = old
    hub.repos[NAME].commit(files(seed=2))
    assert fetch(f"hf://{NAME}@refs/pr/1").listing["commit"] == old


def test_a_long_listing_is_read_to_its_end(hub, fetch):
    hub.page = 2
    assert len(fetch().files) == 7


def test_progress_is_told_in_bytes(large, fetch):
    large.fault("GET /store", pause=0.2, piece=1 << 20)
    output = fetch().output
    told = [json.loads(line[11:]) for line in output.splitlines() if line.startswith("::progress")]
    told = [state for state in told if state["label"] == "fetching 4 files"]
    total = told[0]["total"]
    assert total > 5_000_000
    assert all(state["unit"] == "B" and state["total"] == total for state in told)
    done = [state["done"] for state in told]
    assert done == sorted(done)
    assert any(0 < now < total for now in done)


def test_the_token_reaches_the_hub_and_nobody_else(hub, fetch, tmp_path):
    hub.tokens.add("hf_secret")
    hub.repos[NAME].private = True
    hub.repos[NAME].readers.add("hf_secret")
    fetch.token = "hf_secret"
    done = fetch()
    assert done.status == 0, done.output
    assert {r.token for r in hub.asked("/api/|/resolve/")} == {"hf_secret"}
    assert {r.token for r in hub.asked("/store/")} == {""}
    assert "hf_secret" not in done.output
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]
    assert not [path for path in kept if b"hf_secret" in path.read_bytes()]
    assert not (tmp_path / "no-home").exists()


# What goes wrong


def test_a_gated_model_without_a_token(hub, fetch):
    hub.repos[NAME].gated = True
    fetch.fails("gated", "licence", f"{hub.url}/{NAME}", "model.token: !env HF_TOKEN")


def test_a_gated_model_whose_licence_was_not_accepted(hub, fetch):
    hub.repos[NAME].gated = True
    hub.tokens.add("hf_x")
    fetch.token = "hf_x"
    fetch.fails("gated", "awaiting a review", "accept its licence")


def test_a_repository_that_is_not_there(hub, fetch):
    fetch.fails("has no model tiny/none", "private", "model.token", source="hf://tiny/none")
    hub.tokens.add("hf_x")
    fetch.token = "hf_x"
    fetch.fails("has no model tiny/none", "check model.source", source="hf://tiny/none")


def test_a_token_that_is_not_valid(hub, fetch):
    fetch.token = "hf_expired"
    output = fetch.fails("does not accept model.token", "expired", "/settings/tokens")
    assert "hf_expired" not in output


def test_a_token_without_the_right(hub, fetch):
    hub.tokens.add("hf_x")
    fetch.token = "hf_x"
    hub.fault("/resolve/", status=403, headers={"X-Error-Message": "no permission for gated repos"})
    fetch.fails("refuses tiny/llama", "no permission for gated repos", "fine-grained")


@pytest.mark.parametrize("revision", ["v9", "0" * 40])
def test_a_revision_that_is_not_there(fetch, revision):
    fetch.fails(f"has no revision {revision}", "/commits/main", source=f"hf://{NAME}@{revision}")


def test_a_busy_hub_is_waited_for(hub, fetch):
    hub.fault("GET .*/tree/", times=1, status=429, headers={"Retry-After": "1"})
    hub.fault("GET /store", times=1, status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    done = fetch()
    assert done.status == 0, done.output
    assert time.monotonic() - began > 2
    assert "is busy: waiting 1 s" in done.output


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "3600"}, {"RateLimit": '"api";r=0;t=3600'}], ids=["plain", "draft"]
)
@pytest.mark.parametrize("where", ["/revision/", "/tree/", "/resolve/", "/store/"])
def test_a_hub_that_wants_an_hour_of_patience(hub, fetch, where, headers):
    hub.fault(where, status=429, headers=headers)
    fetch.fails("wants 3600 s of patience", "in 60 minutes", "token")


@pytest.mark.parametrize("where", ["/revision/", "/tree/", "HEAD .*/resolve/", "GET /store/"])
def test_trouble_that_passes_is_outlived(hub, fetch, where):
    hub.fault(where, times=1, status=503)
    done = fetch()
    assert done.status == 0, done.output


def test_an_address_in_the_store_that_has_expired_is_asked_for_anew(hub, fetch):
    fault = hub.fault("GET /store", times=1, status=403)
    assert fetch().status == 0
    assert len(hub.asked(r"HEAD .*/resolve/.*safetensors$")) == 3
    (fetch.keep / "files" / SHARD).unlink()
    fault.times = -1
    fetch.fails("the store behind", f"refuses {SHARD} (403)")


def test_trouble_that_does_not_pass(hub, fetch):
    hub.fault("HEAD .*/config.json", status=502)
    output = fetch.fails("answered 502", "what has come is kept")
    assert output.count("trying again in") == 4


def test_a_shard_that_is_listed_and_not_there(hub, fetch):
    hub.fault(f"/resolve/.*{SHARD}", status=404, headers={"X-Error-Code": "EntryNotFound"})
    hub.fault(f"/resolve/.*{LARGE}", status=404)
    fetch.fails("incomplete", SHARD, LARGE, "model.endpoint")
    assert not hub.sent("/store/"), "nothing heavy is fetched in vain"


def test_an_index_that_names_a_shard_that_is_not_there(hub, fetch):
    broken = files()
    del broken[LARGE]
    hub.repos[NAME].commit(broken)
    fetch.fails("incomplete", "names 1 of 2 shards", LARGE)
    assert not hub.sent("/store/")


def test_a_shard_that_the_patterns_leave_out(hub, fetch):
    done = fetch(f"hf://{NAME}", "--allow=*.json", f"--allow={SHARD}")
    assert done.status == 1
    assert f"needs {LARGE}, which model.allow and model.ignore leave out" in done.output


def test_a_repository_without_weights(hub, fetch):
    hub.repos[NAME].commit({"config.json": b"{}", "pytorch_model.bin": b"1"})
    fetch.fails("no weights", "pytorch_model.bin", "model.allow")


def test_wrong_bytes_are_noticed_and_removed(hub, fetch):
    hub.fault("GET /store", corrupt=True)
    fetch.fails("did not arrive as", "sha256", "expected", "removed")
    assert not list(fetch.keep.rglob("*.safetensors"))
    hub.faults.clear()
    assert fetch().status == 0


def test_wrong_bytes_of_a_small_file_are_noticed(hub, fetch):
    hub.fault("GET .*tokenizer.json", corrupt=True)
    fetch.fails("tokenizer.json did not arrive as", "git blob")


def test_a_mirror_that_serves_another_version_is_noticed_before_a_byte(hub, fetch):
    commit = hub.repos[NAME].refs["main"]
    listed = hub.repos[NAME].commits[commit]
    fetch()
    hub.requests.clear()
    hub.repos[NAME].commits[commit] = {**listed, SHARD: listed[SHARD] + b"x"}
    fetch.keep.joinpath("files", SHARD).unlink()
    fetch.fails(f"serves another {SHARD}", source=f"hf://{NAME}")
    assert not hub.sent("/store/")


def test_weights_that_are_no_safetensors_are_refused(hub, fetch):
    whole = files(shards=1)
    cut = whole["model.safetensors"][:-8]
    hub.repos[NAME].commit({**whole, "model.safetensors": cut})
    fetch.fails("not a whole safetensors file", "source itself is at fault")


def test_an_index_that_lies_about_a_tensor_is_refused(hub, fetch):
    whole = files()
    index = json.loads(whole["model.safetensors.index.json"])
    index["weight_map"]["nothing.weight"] = SHARD
    hub.repos[NAME].commit({**whole, "model.safetensors.index.json": json.dumps(index).encode()})
    fetch.fails(f"says that {SHARD} holds nothing.weight")


def test_a_cut_is_gone_on_from(large, fetch):
    sha256 = hashlib.sha256(files(padding=5_000_000)[LARGE]).hexdigest()
    large.fault(f"GET /store/{sha256}", times=2, cut=2_500_000)
    done = fetch()
    assert done.status == 0, done.output
    assert done.files[LARGE] == files(padding=5_000_000)[LARGE]
    ranges = [request.range for request in large.asked("GET /store") if request.range]
    assert ranges == ["bytes=2097152-", "bytes=4194304-"]
    assert large.sent("GET /store") < 6_500_000


def test_a_killed_fetch_is_gone_on_from(large, fetch):
    large.fault("GET /store", pause=0.15, piece=1 << 20)
    command, environment, _ = fetch.command(f"hf://{NAME}")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    part = fetch.keep / "files" / f"{LARGE}.incomplete"
    while not (part.exists() and part.stat().st_size >= 2 << 20):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    came = part.stat().st_size
    large.faults.clear()
    large.requests.clear()
    large.repos[NAME].commit(files(seed=3))  # the branch has moved meanwhile
    done = fetch()
    assert done.status == 0, done.output
    assert done.files[LARGE] == files(padding=5_000_000)[LARGE], "and the commit is still the same"
    assert [r.range for r in large.asked("GET /store") if r.range] == [f"bytes={came}-"]
    assert not large.asked("/revision/")


def test_a_part_that_does_not_fit_is_fetched_anew(large, fetch):
    part = fetch.keep / "files" / f"{LARGE}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1_000_000)
    done = fetch()
    assert done.status == 0, done.output
    assert "fetching it anew" in done.output


def test_what_is_there_is_not_fetched_again(hub, fetch):
    hub.fault("GET /store/", times=1, corrupt=True)
    assert fetch().status == 1
    hub.faults.clear()
    hub.requests.clear()
    assert fetch().status == 0
    assert not hub.asked("/config.json|index.json|/api/models/")


def test_a_slow_hub_is_no_error(hub, fetch):
    hub.fault("GET /store", pause=0.1, piece=2000)
    assert fetch().status == 0


def test_a_hub_that_cannot_be_reached(hub, fetch):
    hub.close()
    fetch.fails("cannot be reached", "network, name service and proxy", "model.endpoint")


def test_a_server_that_is_no_hub(hub, fetch):
    hub.fault("/revision/", status=200, headers={"Content-Type": "text/html"})
    fetch.fails("does not answer as a hub does", "check model.endpoint")


def test_too_little_space_is_told_before_the_first_byte(hub, fetch, tmp_path):
    full = tmp_path / "full"
    fetch.environment["PYTHONPATH"] = str(full)
    full.mkdir()
    usage = "import shutil\nshutil.disk_usage = lambda path: type('u', (), {'free': 1000})\n"
    (full / "sitecustomize.py").write_text(usage)
    fetch.fails("still to come", "are free in", "rolecall.home")
    assert not hub.sent("/store/")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", place], check=False)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(large, fetch, small_disk):
    liar = fetch.root / "liar"
    liar.mkdir()
    usage = "import shutil\nshutil.disk_usage = lambda path: type('u', (), {'free': 1 << 40})\n"
    (liar / "sitecustomize.py").write_text(usage)
    fetch.environment["PYTHONPATH"] = str(liar)
    fetch.root = small_disk
    fetch.fails("the disk is full", "what has come is kept")
    part = fetch.keep / "files" / f"{LARGE}.incomplete"
    assert part.stat().st_size > 1_000_000
    subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)
    large.requests.clear()
    assert fetch().status == 0
    assert large.sent("GET /store") < 5_000_000


# Repair


def test_only_a_damaged_file_is_fetched_again(hub, fetch):
    fetch.old = fetch().out
    data = bytearray((fetch.old / SHARD).read_bytes())
    data[-1] ^= 1
    (fetch.old / SHARD).unlink()
    (fetch.old / SHARD).write_bytes(data)
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    hub.requests.clear()
    hub.repos[NAME].commit(files(seed=2))  # the branch has moved on
    done = fetch()
    assert done.status == 0, done.output
    assert done.files[SHARD] == files()[SHARD]
    assert len(hub.asked("GET /store")) == 1
    assert not hub.asked("GET /api|GET .*/resolve/")
    assert (done.out / LARGE).samefile(fetch.old / LARGE)


# The card


def test_the_card_is_the_shape_alone(hub, fetch):
    done = fetch(f"hf://{NAME}", "--shape")
    assert done.status == 0, done.output
    assert set(done.files) == {
        "config.json",
        "generation_config.json",
        "model.safetensors.index.json",
    }
    listed = {entry["path"]: entry["size"] for entry in done.listing["files"]}
    assert listed == {name: len(data) for name, data in files().items() if name != "README.md"}
    assert done.listing["bytes"] == sum(listed.values())
    assert not hub.sent("/store/")


def test_the_model_is_of_the_commit_of_the_card(hub, fetch):
    card = fetch(f"hf://{NAME}", "--shape")
    hub.repos[NAME].commit(files(seed=2))
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    done = fetch(f"hf://{NAME}", f"--card={card.out}")
    assert done.listing["commit"] == card.listing["commit"]
    assert done.files[SHARD] == files()[SHARD]
