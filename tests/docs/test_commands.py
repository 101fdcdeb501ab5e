"""Every command block of the documentation does what its page says, where it can run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, MarkerError, blocks, difference, pages, unfenced


def _of(context: str, *stages: str) -> list[Block]:
    found = [block for page in pages() for block in _readable(page) if block.context == context]
    return [block for stage in stages for block in found if block.stage == stage]


def _readable(page: Path) -> list[Block]:
    try:
        return list(blocks(page))
    except MarkerError:
        return []  # test_every_command_block_has_a_marker says which


def _each(context: str, *stages: str) -> pytest.MarkDecorator:
    found = _of(context, *stages)
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_block_has_a_marker(page: Path) -> None:
    list(blocks(page))
    assert not unfenced(page), "write commands as fenced blocks: ```sh or ```console"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reason_that_names_a_test_names_one_that_there_is(page: Path) -> None:
    for reason in re.findall(r"<!-- not run: (.*?) -->", page.read_text()):
        for named in re.findall(r"(?:tests|docs)/[\w/.-]*\w", reason):
            assert (ROOT / named).exists(), named


@_each("project", "first", "", "last")
def test_in_a_project(block: Block, desk) -> None:
    desk.type(block)


@_each("local", "first", "")
def test_on_this_machine(block: Block, request: pytest.FixtureRequest) -> None:
    if block.stage == "first":  # it deploys itself
        desk = request.getfixturevalue("desk")
        desk.type(block)
        desk.deployed = True
        return
    request.getfixturevalue("deployed_desk").type(block)


@_each("ssh", "first", "", "last")
def test_over_ssh(block: Block, ssh_desk) -> None:
    ssh_desk.type(block)


@_each("local", "last")
def test_at_last_on_this_machine(block: Block, deployed_desk) -> None:
    deployed_desk.type(block)


@_each("cluster", "first", "", "last")
def test_on_a_cluster(block: Block, cluster_desk) -> None:
    cluster_desk.type(block)


def _page(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_a_block_without_a_marker_is_refused(tmp_path):
    with pytest.raises(MarkerError, match=r"page\.md:3: this block has no marker"):
        list(blocks(_page(tmp_path, "# Page\n\n```sh\n./inv plan\n```\n")))


@pytest.mark.parametrize("how", ["nowhere", "local twice", "local status=one"])
def test_a_marker_that_means_nothing_is_refused(tmp_path, how):
    with pytest.raises(MarkerError):
        list(blocks(_page(tmp_path, f"<!-- run: {how} -->\n```sh\n./inv plan\n```\n")))


def test_a_marker_says_how_a_block_is_run(tmp_path):
    text = (
        "<!-- run: local last status=1 -->\n```console\n$ ./inv plan\nout\n\n$ ls \\\n  -l\n```\n"
    )
    (block,) = blocks(_page(tmp_path, text))
    assert (block.context, block.stage, block.status) == ("local", "last", 1)
    assert [(one.text, one.shown) for one in block.commands] == [
        ("./inv plan", ("out",)),
        ("ls \\\n  -l", ()),
    ]


def test_a_block_with_a_reason_is_not_run(tmp_path):
    text = "<!-- not run: needs a GPU -->\n```sh\n./inv plan\n```\n"
    assert [block.context for block in blocks(_page(tmp_path, text))] == [""]


def test_indented_commands_are_found(tmp_path):
    page = _page(tmp_path, "Type\n\n    ./inv plan\n\nand\n\n```text\n    ./inv no\n```\n")
    assert unfenced(page) == ["./inv plan"]


def test_what_a_page_shows_is_compared_with_what_is_printed():
    printed = "one\ntwo 2.1 s\nthree\nfour\n"
    assert not difference(("two … s", "three"), printed)
    assert not difference(("one", "…", "four"), printed)
    assert not difference((), printed)
    assert "three" in difference(("one", "three"), printed)
    assert not difference(("one", "two …"), "one\nh  applying  x  (10 s so far)\ntwo 2 s\n")
    assert "wo" in difference(("wo 2.1 s",), printed)
