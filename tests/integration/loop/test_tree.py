from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.resources.tree import Tree, folder_files
from tests.support import assert_contract, converge, converge_killed, destroy, settled

FILES = (
    ("a", "text\n"),
    ("sub/deep/b", b"\0\xff binary"),
    ("empty", ""),
    ("sub/ spaces in ", "x"),
    ("q'u\"o$te", "y"),
)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts"


def test_a_tree_meets_the_contract(root, home, shell):
    tree = Tree("repo", str(root), FILES)
    assert_contract([tree], home, shell)
    for path, content in FILES:
        data = content.encode() if isinstance(content, str) else content
        assert (root / "repo" / "current" / path).read_bytes() == data


def test_every_name_and_content_is_part_of_the_address():
    tree = Tree("repo", "/a", FILES)
    assert Tree("repo", "/b", FILES[::-1]).digest == tree.digest
    assert Tree("repo", "/a", FILES[1:]).digest != tree.digest
    assert Tree("repo", "/a", (("b", "text\n"), *FILES[1:])).digest != tree.digest
    assert Tree("repo", "/a", (("a", "text"), *FILES[1:])).digest != tree.digest


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../b", "a=b", "a\nb", "a\\b", "a//b", "./a", ""]
)
def test_a_path_that_leads_elsewhere_or_cannot_be_asked_for_is_refused(path):
    with pytest.raises(ConfigError, match="not a plain relative path"):
        Tree("repo", "/a", ((path, "x"),))


def test_a_file_given_twice_is_refused():
    with pytest.raises(ConfigError, match="given twice"):
        Tree("repo", "/a", (("a", "x"), ("a", "y")))


def test_a_new_version_is_switched_to_and_the_old_one_stays(root, home, shell):
    old, new = Tree("repo", str(root), FILES), Tree("repo", str(root), (("a", "new\n"),))
    converge([old], home, shell=shell)
    run = converge([new], home, shell=shell, diff=True)
    assert run.outcomes == {new.id: "changed"}
    assert str((root / "repo" / "current").readlink()) == new.digest
    assert Path(old.path, "a").read_text() == "text\n"
    (shown,) = run.diffs
    assert (shown.path, [line for line in shown.lines if line[0] in "+-"]) == (
        "repo/a",
        ["-text", "+new"],
    )


DAMAGES = {
    "changed": lambda path: (path / "a").write_text("TEXT\n"),
    "missing": lambda path: (path / "sub/deep/b").unlink(),
    "extra": lambda path: (path / "extra").touch(),
    "extra link": lambda path: (path / "extra").symlink_to("nowhere"),
    "replaced by a link": lambda path: [(path / "a").unlink(), (path / "a").symlink_to("empty")],
    "current": lambda path: (path.parent / "current").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_and_repaired(root, home, shell, damage):
    tree = Tree("repo", str(root), FILES)
    converge([tree], home, shell=shell)
    DAMAGES[damage](Path(tree.path))
    assert converge([tree], home, check=True, shell=shell).outcomes == {tree.id: "would change"}
    assert converge([tree], home, shell=shell).outcomes == {tree.id: "changed"}
    settled([tree], home, shell)


def test_what_python_caches_beside_its_sources_is_no_damage(root, home, shell):
    tree = Tree("repo", str(root), FILES)
    converge([tree], home, shell=shell)
    (Path(tree.path) / "__pycache__").mkdir()
    (Path(tree.path) / "__pycache__" / "a.pyc").touch()
    settled([tree], home, shell)


def test_an_interrupted_write_is_never_current(root, home):
    tree = Tree("repo", str(root), tuple((f"f{n}", "x" * 5000) for n in range(200)))
    beside = root / "repo" / f".writing-{tree.digest}"
    assert converge_killed([tree], home, lambda: (beside / "f20").exists())
    assert not Path(tree.path).exists()
    assert not (root / "repo" / "current").is_symlink()
    assert converge([tree], home).outcomes == {tree.id: "changed"}
    assert not beside.exists()


def test_destroy_takes_the_tree_and_its_link(root, home, shell):
    tree = Tree("repo", str(root), FILES)
    converge([tree], home, shell=shell)
    destroy(tree, home)
    assert not root.exists()


def test_a_folder_of_the_project_becomes_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_bytes(b"b")
    (tmp_path / "a.py").write_bytes(b"a")
    (tmp_path / "other.txt").write_bytes(b"")
    assert folder_files(tmp_path, "**/*.py") == (("a.py", b"a"), ("sub/b.py", b"b"))
