from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.environment import ansible_environment

CASES = Path(__file__).with_name("cases")


@dataclass(frozen=True)
class Answer:
    """What one of Ansible's programs did. ``refused`` where it could not read an inventory.

    Ansible goes on without an inventory that it cannot read; Rolecall does not.
    """

    status: int
    out: str
    err: str

    @property
    def refused(self) -> bool:
        return self.status != 0 or "Unable to parse" in self.err


class Ansible:
    """Ansible's own answers: from its programs, and quickly from a process that stays."""

    def __init__(self, environment: Path, home: Path) -> None:
        self._bin = environment / "bin"
        self._home = home
        (home / "ansible.cfg").touch()
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")},
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "0",
        }
        worker = Path(__file__).with_name("ansible_worker.py")
        self._process = subprocess.Popen(
            [str(self._bin / "python"), str(worker), str(CASES / "shop" / "hosts")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,  # Ansible reads group_vars of the current folder, too
            env=self._env,
        )

    def ask(self, *arguments: str) -> Answer:
        """Run a command line in the process that stays."""
        return Answer(**self._exchange(arguments))

    def match(self, source: str, patterns: Sequence[str]) -> list[list[str] | None]:
        """The hosts that each pattern names; None for one that Ansible refuses."""
        answer = self._exchange({"source": source, "patterns": patterns})
        assert answer["status"] == 0, answer["err"]
        found: list[list[str] | None] = json.loads(answer["out"])
        return found

    def run(self, program: str, *arguments: str) -> Answer:
        """Run a program from its own start."""
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            capture_output=True,
            text=True,
            cwd=self._home,
            env=self._env,
            timeout=60,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _exchange(self, request: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ansible]:
    oracle = Ansible(ansible_environment(), tmp_path_factory.mktemp("ansible"))
    yield oracle
    oracle.close()
