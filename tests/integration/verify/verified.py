"""What ``./inv verify`` said, read back from its JUnit file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.integration.deployed import Completed


@dataclass(frozen=True)
class Verified:
    """The results of a run, by check: ``server::the_server_is_ready`` on the host it ran on.

    Attributes:
        failed: what each check that does not hold says.
        errors: what each check says that could not be made.
    """

    passed: frozenset[str]
    failed: Mapping[str, str]
    errors: Mapping[str, str]
    skipped: Mapping[str, str]

    @classmethod
    def read(cls, junit: Path, host: str = "localhost") -> Verified:
        """Those of one host."""
        passed: set[str] = set()
        told: dict[str, dict[str, str]] = {"failure": {}, "error": {}, "skipped": {}}
        for case in ElementTree.parse(junit).iter("testcase"):
            name, _, of = case.get("name", "").partition("[")
            if of != f"{host}]":
                continue
            role = case.get("classname", "").removeprefix("roles.").removesuffix(".verify")
            check = f"{role}::{name.removeprefix('test_')}"
            for kind, said in told.items():
                if (found := case.find(kind)) is not None:
                    said[check] = f"{found.get('message', '')}\n{found.text or ''}"
                    break
            else:
                passed.add(check)
        return cls(frozenset(passed), told["failure"], told["error"], told["skipped"])

    def only(self, *checks: str) -> Mapping[str, str]:
        """What the failed checks say, which are exactly these."""
        assert not self.errors, self.errors
        assert set(self.failed) == set(checks), "\n".join(
            f"{name}: {said}" for name, said in self.failed.items()
        )
        return self.failed


def plainly(said: str) -> None:
    """Assert that a failure is told in the words of its check."""
    assert "next: " in said, said
    for inside in ("testinfra", "def test_", "Traceback", "E   ", "CommandResult", "BaseBackend"):
        assert inside not in said, said
    assert re.search(r"\(.*verify\.py:\d+\)|\(.*test_\w+\.py:\d+\)", said), said


def verify(
    inv: Callable[..., Completed],
    folder: Path,
    *more: str,
    status: int = 1,
    ask: bool = False,
    host: str = "localhost",
) -> Verified:
    """Run every check; those that need the model's answers, which take longest, with ``ask``."""
    junit = folder / "verify.xml"
    some = () if ask else ("--pytest", "-k 'not answer'")
    done = inv("verify", "--junit", str(junit), *some, *more)
    assert done.returncode == status, done.stdout + done.stderr
    found = Verified.read(junit, host)
    for said in found.failed.values():
        plainly(said)
    return found
