"""What must hold for any resources on any starting tree, whatever the names."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolecall.resource import Resource
from rolecall.resources.absent import Absent
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.symlink import Symlink
from rolecall.shell import encode, quote
from tests.property.strategies import contents, names, values
from tests.support import SHELLS, converge, find_shell, settled, tree_digest

slow = settings(
    max_examples=7,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("property")


def fresh(folder: Path) -> Path:
    """A new folder for one example, whose own name is hostile too."""
    return Path(tempfile.mkdtemp(dir=folder, prefix="-it's $(touch owned)\n"))


@pytest.mark.parametrize("shell", SHELLS)
def test_hostile_names_contents_and_targets_survive(folder, shell):
    program = find_shell(shell, folder)
    cases = st.lists(
        st.tuples(names, contents, values.filter(bool), names),
        min_size=1,
        max_size=8,
        unique_by=lambda case: case[0],
    )

    @slow
    @given(cases)
    def check(items):
        base = fresh(folder)
        home = base / "home"
        resources: list[Resource] = []
        for number, (name, content, target, inner) in enumerate(items):
            room = f"{base}/{number}"
            resources += [
                Directory(room),
                Directory(f"{room}/{name}", mode="750"),
                File(f"{room}/{name}/{inner}", content, mode="640"),
                Symlink(f"{room}/link {name}", target),
                Command(
                    f"copy {name}",
                    f"cp -- {quote(f'{room}/{name}/{inner}')} {quote(f'{room}/copy of {name}')}",
                    creates=f"{room}/copy of {name}",
                    inputs=(f"{room}/{name}/{inner}",),
                    stamp=f"{room}/stamp",
                ),
            ]
        result = converge(resources, home, shell=program)
        assert set(result.outcomes.values()) == {"changed"}, result.text
        for number, (name, content, target, inner) in enumerate(items):
            room = f"{base}/{number}"
            data = content if isinstance(content, bytes) else encode(content)
            assert Path(f"{room}/{name}/{inner}").read_bytes() == data
            assert Path(f"{room}/copy of {name}").read_bytes() == data
            assert os.fsencode(os.readlink(f"{room}/link {name}")) == encode(target)  # noqa: PTH115
            assert len(list(Path(room).iterdir())) == 4
        settled(resources, home, program)
        removed = [Absent(f"{base}/{number}") for number in range(len(items))]
        assert set(converge(removed, home, shell=program).outcomes.values()) == {"changed"}
        assert {item.name for item in base.iterdir()} == {"home", "home-controller"}
        shutil.rmtree(base)

    check()
    assert not Path("owned").exists()


PATHS = ("a", "a/x", "a/x/y", "b", "b/x", "c")
paths = st.sampled_from(PATHS)
texts = st.sampled_from(["", "one\n", "two\n"])
modes = st.sampled_from([None, "644", "600", "755"])

starts = st.lists(
    st.tuples(paths, st.sampled_from(["file", "directory", "link"]), texts), max_size=6
)
wanted = st.lists(
    st.one_of(
        st.tuples(st.just("file"), paths, texts, modes),
        st.tuples(st.just("directory"), paths, texts, modes),
        st.tuples(st.just("link"), paths, st.sampled_from(["b", "nowhere", "../c"]), modes),
        st.tuples(st.just("absent"), paths, texts, modes),
        st.tuples(st.just("command"), paths, texts, modes),
    ),
    max_size=7,
    unique_by=lambda item: (item[0], item[1]),
)


def grow(base: Path, start: list[tuple[str, str, str]]) -> None:
    """Make a starting tree; what does not fit into it is left out."""
    for name, type_, text in start:
        path = base / name
        try:
            if type_ == "directory":
                path.mkdir()
            elif type_ == "file":
                path.write_text(text)
            else:
                path.symlink_to("b")
        except OSError:
            continue


def declare(base: Path, items: list[tuple[str, str, str, str | None]]) -> list[Resource]:
    made: list[Resource] = []
    for kind, name, text, mode in items:
        path = str(base / name)
        if kind == "file":
            made.append(File(path, text, mode=mode))
        elif kind == "directory":
            made.append(Directory(path, mode=mode and "755"))
        elif kind == "link":
            made.append(Symlink(path, text))
        elif kind == "absent":
            made.append(Absent(path))
        else:
            made.append(Command(path, f"mkdir -p {quote(path)}", creates=path))
    return made


def conflicting(items: list[tuple[str, str, str, str | None]]) -> bool:
    """Whether one item undoes another: two for one place, or one that needs what is to go."""
    for kind, name, *_ in items:
        for other, at, *_ in items:
            if (kind, name) == (other, at):
                continue
            if name == at or (kind not in {"directory", "command"} and at.startswith(f"{name}/")):
                return True
    return any(kind == "link" for kind, *_ in items)


@pytest.mark.parametrize("shell", SHELLS)
def test_check_writes_nothing_and_the_run_keeps_its_word(folder, shell):
    program = find_shell(shell, folder)

    @settings(slow, max_examples=40 if shell == "busybox" else 15)
    @given(starts, wanted)
    def check(start, items):
        base = Path(tempfile.mkdtemp(dir=folder))
        tree, home = base / "tree", base / "home"
        tree.mkdir()
        grow(tree, start)
        resources = declare(tree, items)
        before = tree_digest(base / "tree", home)
        predicted = converge(resources, home, check=True, shell=program).outcomes
        assert tree_digest(base / "tree", home) == before
        ran = converge(resources, home, shell=program)
        for id_, said in predicted.items():
            did = ran.outcomes[id_]
            if said == "ok":
                assert did in {"ok", "skipped"}, (id_, ran.text)
            elif said == "would change":
                # an earlier change of the very same path may do what a command is for
                done_by_others = {"ok"} if id_.startswith("command:") else set()
                assert did in {"changed", "failed", "skipped"} | done_by_others, (id_, ran.text)
            elif said == "failed":
                assert did in {"failed", "skipped"}, (id_, ran.text)
        if not conflicting(items) and "failed" not in ran.outcomes.values():
            after = tree_digest(base / "tree")
            settled(resources, home, program)
            assert tree_digest(base / "tree") == after
        shutil.rmtree(base)

    check()


@pytest.mark.parametrize("shell", SHELLS)
def test_what_was_changed_is_what_was_asked_for(folder, shell):
    program = find_shell(shell, folder)

    @slow
    @given(starts, wanted.filter(lambda items: not conflicting(items)))
    def check(start, items):
        base = Path(tempfile.mkdtemp(dir=folder))
        tree, home = base / "tree", base / "home"
        tree.mkdir()
        grow(tree, start)
        resources = declare(tree, items)
        ran = converge(resources, home, shell=program)
        for resource, (kind, name, text, mode) in zip(resources, items, strict=True):
            if ran.outcomes[resource.id] not in {"ok", "changed"}:
                continue
            path = tree / name
            if kind == "file":
                assert path.read_text() == text and not path.is_symlink()
                assert mode is None or path.stat().st_mode & 0o777 == int(mode, 8)
            elif kind == "directory":
                assert path.is_dir()
            elif kind == "absent":
                assert not os.path.lexists(path)
        leftovers = [item.name for item in tree.rglob(".rolecall*")]
        assert leftovers == []
        shutil.rmtree(base)

    check()
