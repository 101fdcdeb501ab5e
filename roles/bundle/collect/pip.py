"""A pip to download with."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rolecall.errors import RolecallError
from roles.bundle.collect.target import Machine

_CHOOSE = Path(__file__).with_name("choose.py")

#: Seconds that one wheel may take.
_LONGEST = 3600


@dataclass(frozen=True)
class Pip:
    """The pip of ``python``. It is configured as the user has configured pip here."""

    python: str

    @classmethod
    def here(cls, state: Path) -> Pip:
        """This process's own pip; where it has none, one in an environment below ``state``.

        Raises:
            RolecallError: there is no way to have one.
        """
        if find_spec("pip"):
            return cls(sys.executable)
        place = state / "pip"
        if not (place / "complete").exists():
            made = subprocess.run(
                [sys.executable, "-I", "-m", "venv", "--clear", place],
                capture_output=True,
                text=True,
            )
            if made.returncode:
                raise RolecallError(
                    f"there is no pip to download wheels with: {made.stdout}{made.stderr}".strip(),
                    "install it here (Debian: the package python3-venv)",
                )
            (place / "complete").touch()
        return cls(str(place / "bin" / "python"))

    def choose(
        self, machine: Machine, markers: list[str], wheels: list[str]
    ) -> tuple[list[bool], list[bool]]:
        """Which markers hold on ``machine``, and which wheels can be installed there."""
        question = {
            "python": machine.python,
            "arch": machine.arch,
            "platforms": machine.platforms,
            "markers": markers,
            "wheels": wheels,
        }
        done = subprocess.run(
            [self.python, "-I", _CHOOSE],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer["meant"], answer["usable"]

    def download(self, line: str, into: Path, machine: Machine) -> str:
        """Download the one wheel that ``line`` of a lock names; returns what went wrong."""
        requirements = into / "requirements.txt"
        requirements.write_text(f"{line}\n")
        platforms = [part for tag in machine.platforms for part in ("--platform", tag)]
        done = subprocess.run(
            [
                *(self.python, "-I", "-m", "pip", "download", "--no-input", "--no-deps", "--quiet"),
                *("--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"),
                *("--python-version", machine.python, "--implementation", "cp", *platforms),
                *("--dest", str(into), "--requirement", str(requirements)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
        requirements.unlink()
        return (done.stdout + done.stderr).strip() if done.returncode else ""
