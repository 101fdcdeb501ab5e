import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig.hub import git_blob
from tests.rig.tiny_model import files


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        ".",
        "a/.",
        "a\\b",
        "a\nb",
        ".rolecall/x",
        None,
    ],
)
def test_a_path_that_leads_out_of_the_model_is_refused(program, path):
    with pytest.raises(program.errors.FetchError, match="unusable name"):
        program.listing.checked(path, 1)


@pytest.mark.parametrize("size", [None, -1, "12"])
def test_a_file_without_a_size_is_refused(program, size):
    with pytest.raises(program.errors.FetchError, match="no size"):
        program.listing.checked("config.json", size)


def test_what_is_no_digest_counts_as_none(program):
    file = program.listing.checked("a", 1, "abc", "0" * 39)
    assert (file.sha256, file.blob) == ("", "")
    assert program.listing.checked("a", 1, "A" * 64).sha256 == "a" * 64


def listing(program, *paths, source="hf://a/b"):
    made = tuple(program.listing.checked(path, 5, "a" * 64) for path in paths)
    return program.listing.Listing(source, "c" * 40, made)


def test_a_listing_survives_its_file(program, tmp_path):
    found = listing(program, "b/x.safetensors", "config.json", "é.json").selected(["*"], ["é*"])
    (tmp_path / "list").write_text(found.to_json())
    assert program.listing.load(tmp_path / "list") == found
    assert found.left_out == ("é.json",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": [{"path": "../x", "size": 1}]}', "\0"])
def test_a_list_that_is_none_counts_as_missing(program, tmp_path, text):
    (tmp_path / "list").write_text(text)
    assert program.listing.load(tmp_path / "list") is None
    assert program.listing.load(tmp_path / "nowhere") is None


def test_the_lists_that_a_fetch_writes_are_never_taken_from_a_source(program):
    found = listing(program, "model.json", "card.json", "a.safetensors").selected(["*"], [])
    assert [file.path for file in found.files] == ["a.safetensors"]


def test_shards_are_looked_for_beside_their_index(program):
    found = listing(program, "sub/a.safetensors")
    found.check_shards("sub/model.safetensors.index.json", ["a.safetensors"])
    with pytest.raises(program.errors.FetchError, match=r"names 1 of 1"):
        found.check_shards("model.safetensors.index.json", ["a.safetensors"])


@given(data=st.binary(max_size=300))
def test_digests_are_those_of_git_and_sha256sum(program, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("digests") / "file"
    path.write_bytes(data)
    found = program.integrity.digests(path, len(data), blob=True)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.blob == git_blob(data)


def test_the_git_blob_is_gits_own(tmp_path):
    (tmp_path / "file").write_bytes(b"some\0data\n")
    said = subprocess.run(
        ["git", "hash-object", tmp_path / "file"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == git_blob(b"some\0data\n")


def test_the_tensors_of_a_whole_file_are_named(program, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(files(shards=1)["model.safetensors"])
    assert "lm_head.weight" in program.integrity.tensors(path)


@given(data=st.data())
def test_a_damaged_header_is_refused_and_nothing_else_happens(program, tmp_path_factory, data):
    whole = files(shards=1)["model.safetensors"]
    cut = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(max_size=40))
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(noise + whole[:cut] if data.draw(st.booleans()) else whole[:cut])
    with pytest.raises(program.errors.FetchError, match="not a whole safetensors file"):
        program.integrity.tensors(path)


def test_patience_begins_anew_when_bytes_have_come(program):
    error = program.errors.TransientError(program.errors.FetchError("cut"))
    arrived = [0]
    attempts = [0]

    def attempt():
        attempts[0] += 1
        arrived[0] += 1 if attempts[0] <= 5 else 0
        raise error

    patience = program.source.Patience(first=0.001, attempts=2)
    with pytest.raises(program.errors.FetchError, match="cut"):
        patience(attempt, lambda: arrived[0])
    assert attempts[0] == 5 + 2


def test_what_was_verified_is_not_read_again_until_it_changes(program, tmp_path):
    file = program.listing.checked("sub/a", 3, hashlib.sha256(b"abc").hexdigest())
    first = program.store.Store(tmp_path, None)
    first.path(file).write_bytes(b"abc")
    assert first.verify(file) == ""
    first.save()
    again = program.store.Store(tmp_path, None)
    program.store.digests, digests = None, program.store.digests
    try:
        assert again.have(file)
    finally:
        program.store.digests = digests
    first.path(file).write_bytes(b"abd")
    assert not program.store.Store(tmp_path, None).have(file)


def test_without_hard_links_a_file_is_moved_and_not_doubled(program, tmp_path, monkeypatch):
    def no_links(*arguments, **how):
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", no_links)
    (tmp_path / "kept").write_text("weights")
    program.store.link_or_move(tmp_path / "kept", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "weights"
    assert not (tmp_path / "kept").exists()
    program.store.link_or_copy(tmp_path / "out", tmp_path / "copy")
    assert (tmp_path / "out").exists() and (tmp_path / "copy").read_text() == "weights"
