"""The same resources give the same result on this machine and over SSH."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.symlink import Symlink
from rolecall.shell import quote
from tests.property.strategies import contents, names, values
from tests.rig.sshd import Sshd
from tests.support import converge


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


def state(root: Path) -> list[tuple[str, int, bytes]]:
    """Names, modes and contents below ``root``."""
    found = []
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        else:
            content = path.read_bytes() if path.is_file() else b""
        found.append((os.fsdecode(os.fsencode(path.relative_to(root))), info.st_mode, content))
    return found


def said(result, base: Path):
    """Everything that was reported of resources, without where and how long."""
    return [
        (id_.replace(str(base), "."), done.outcome, str(done.changes).replace(str(base), "."))
        for id_, done in result.done.items()
    ]


def test_this_machine_and_ssh_agree(sshd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    cases = st.lists(
        st.tuples(names, contents, values.filter(bool)),
        min_size=1,
        max_size=5,
        unique_by=lambda case: case[0],
    )

    @settings(
        max_examples=4,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(cases)
    def check(items):
        outcomes = []
        # The same path for both: paths are part of what is written and reported.
        base = Path(tempfile.mkdtemp(dir=folder))
        for target in (None, sshd.target("localhost")):
            resources = [Directory(str(base / "made"))]
            for number, (name, content, link) in enumerate(items):
                room = f"{base}/made/{number}"
                resources += [
                    Directory(room, mode="750"),
                    File(f"{room}/{name}", content, mode="640"),
                    Symlink(f"{room}/link to {name}", link),
                    Command(
                        f"copy {number}",
                        f"cat <{quote(f'{room}/{name}')} | tee {quote(f'{room}/copy of {name}')}",
                        creates=f"{room}/copy of {name}",
                    ),
                ]
            home = base / "home"
            runs = [
                converge(resources, home, check=check, target=target)
                for check in (True, False, False)
            ]
            assert [run.exchanges for run in runs[2:]] == [1]
            outcomes.append(
                ([said(run, base) for run in runs], runs[1].output, state(base / "made"))
            )
            shutil.rmtree(base / "made")
            shutil.rmtree(home)
        assert outcomes[0] == outcomes[1]
        shutil.rmtree(base)

    check()
    assert not Path("owned").exists()
