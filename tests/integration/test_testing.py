"""The test kit itself: it passes what is right and finds what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rolecall.api import Command, Directory, File, Host
from rolecall.shell import quote
from rolecall.testing import RoleTest, role_test  # noqa: F401 - a fixture
from tests.integration.loop.acts import Act


def test_a_good_role_passes(role_test: RoleTest) -> None:  # noqa: F811
    def role(host: Host) -> list[Directory | File]:
        assert host.facts.home
        return [Directory(f"{role_test.root}/a"), File(f"{role_test.root}/a/b", "text")]

    assert len(role_test.idempotent(role).outcomes) == 2
    role_test.crash_safe(role)
    assert set(role_test.converge(role).outcomes.values()) == {"ok"}
    assert set(role_test.converge(role, check=True).outcomes.values()) == {"ok"}


def test_a_resource_that_is_never_satisfied_is_found(role_test: RoleTest) -> None:  # noqa: F811
    never = Act("never", "echo done=no")
    with pytest.raises(AssertionError, match=r"act:never is failed: it still differs"):
        role_test.idempotent([never])


def test_a_resource_whose_answer_does_not_last_is_found(role_test: RoleTest) -> None:  # noqa: F811
    flag = quote(f"{role_test.root}/flag")
    # Satisfied once after its apply, and never again.
    once = Act(
        "once", f"if rm {flag} 2>/dev/null; then echo done=yes; else echo done=no; fi", f": >{flag}"
    )
    with pytest.raises(AssertionError, match=r"act:once"):
        role_test.idempotent([once])


def test_a_step_that_leaves_half_of_its_work_is_found(role_test: RoleTest) -> None:  # noqa: F811
    big = quote(f"{role_test.root}/big")
    half = Command("half", f"echo one >{big}; sleep 0.5; echo two >>{big}", f"{role_test.root}/big")
    role_test.idempotent([half])
    with pytest.raises(AssertionError, match="the tree is another"):
        role_test.crash_safe([half])


def test_it_is_a_pytest_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["rolecall.testing"]')
    (tmp_path / "test_role.py").write_text(
        "from rolecall.api import File\n\n"
        "def test_role(role_test):\n"
        '    role_test.idempotent([File(f"{role_test.root}/a", "text")])\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout
