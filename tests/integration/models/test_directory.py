import hashlib
import json
import os
import subprocess

import pytest

from tests.rig.hub import git_blob
from tests.rig.tiny_model import files

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path):
    """A directory with a model in it."""
    place = tmp_path / "shared/the model"
    place.mkdir(parents=True)
    for name, data in files().items():
        (place / name).write_bytes(data)
    return place


def test_a_directory_is_copied_and_described(fetch, folder):
    done = fetch(f"file://{folder}")
    assert done.status == 0, done.output
    assert done.files == {name: data for name, data in files().items() if name != "README.md"}
    assert not any(path.is_symlink() for path in done.out.rglob("*"))
    assert done.listing["commit"] == ""
    done.check_sums()


def test_a_directory_can_be_linked_to(fetch, folder):
    done = fetch(f"file://{folder}", "--link")
    assert done.status == 0, done.output
    assert (done.out / SHARD).readlink() == folder / SHARD
    done.check_sums()


def test_a_link_that_leads_on_is_not_linked_to(fetch, folder, tmp_path):
    (folder / SHARD).rename(tmp_path / "elsewhere")
    (folder / SHARD).symlink_to(tmp_path / "elsewhere")
    done = fetch(f"file://{folder}", "--link")
    assert done.status == 1
    assert "outside of the directory" in done.output
    assert fetch(f"file://{folder}").status == 0


def test_a_linked_directory_may_be_named_by_a_link(fetch, folder, tmp_path):
    (tmp_path / "current").symlink_to(folder)
    done = fetch(f"file://{tmp_path}/current", "--link")
    assert (done.out / SHARD).readlink() == tmp_path / "current" / SHARD


def test_a_directory_that_is_not_there(fetch):
    fetch.fails("is no directory on this host", "mount", source="file:///nowhere")


def test_a_half_copied_directory(fetch, folder):
    (folder / SHARD).unlink()
    fetch.fails("incomplete", SHARD, source=f"file://{folder}")


def test_a_half_copied_shard(fetch, folder):
    os.truncate(folder / SHARD, 2000)
    fetch.fails(SHARD, "not a whole safetensors file", source=f"file://{folder}")


def test_a_link_that_leads_nowhere(fetch, folder):
    (folder / SHARD).unlink()
    (folder / SHARD).symlink_to("gone")
    fetch.fails(SHARD, "cannot be read", source=f"file://{folder}")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    stat = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_the_hubs_client_brought_is_held_to_its_digests(hub, fetch, folder, tools_python):
    program = (
        "import sys; from huggingface_hub import snapshot_download as get\n"
        "get('tiny/llama', endpoint=sys.argv[1], local_dir=sys.argv[2], token=False)"
    )
    place = folder.parent / "brought"
    subprocess.run([tools_python, "-c", program, hub.url, place], check=True, timeout=60)
    assert fetch(f"file://{place}").status == 0
    flip(place / SHARD)
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    fetch.fails(f"{SHARD} did not arrive as", "sha256", source=f"file://{place}")


def test_the_hubs_cache_is_held_to_its_digests(hub, fetch, tmp_path, tools_python):
    program = (
        "import sys; from huggingface_hub import snapshot_download as get\n"
        "print(get('tiny/llama', endpoint=sys.argv[1], cache_dir=sys.argv[2], token=False))"
    )
    cache = tmp_path / "cache"
    said = subprocess.run(
        [tools_python, "-c", program, hub.url, cache],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    place = said.stdout.strip()
    done = fetch(f"file://{place}")
    assert done.status == 0, done.output
    assert not any(path.is_symlink() for path in done.out.rglob("*"))
    flip(
        (tmp_path / "cache")
        .glob("models--*/blobs/" + hashlib.sha256(files()[SHARD]).hexdigest())
        .__next__()
    )
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    fetch.fails(SHARD, "sha256", source=f"file://{place}")


def test_a_model_that_was_fetched_before_is_held_to_its_list(fetch, folder):
    first = fetch(f"file://{folder}")
    place = first.out
    listing = json.loads((place / "model.json").read_text())
    listing["files"][0]["git_blob"] = git_blob((place / "config.json").read_bytes())
    (place / "model.json").write_text(json.dumps(listing))
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    assert fetch(f"file://{place}").files == first.files
    flip(place / SHARD)
    subprocess.run(["rm", "-r", fetch.keep], check=True)
    fetch.fails(SHARD, "sha256", source=f"file://{place}")


def test_the_card_of_a_directory(fetch, folder):
    done = fetch(f"file://{folder}", "--shape")
    assert done.status == 0, done.output
    assert "config.json" in done.files
    assert len(done.listing["files"]) == len(files()) - 1
