"""Fetches by the real clients of the hubs from a local hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.rig import tools
from tests.rig.hub import Hub, Repo
from tests.rig.hub import hub as local_hub
from tests.rig.tiny_model import files

PROGRAM = Path(__file__).parents[3] / "roles/model/fetch/fetch.py"

NAME = "tiny/llama"

PATTERNS = (
    "--allow=*.safetensors",
    "--allow=*.json",
    "--ignore=original/*",
    "--ignore=*.bin",
)


@pytest.fixture(scope="session")
def tools_python() -> Path:
    """The Python of the tools' environment."""
    return tools.environment() / "bin/python"


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one model in one commit."""
    with local_hub() as made:
        made.repos[NAME] = Repo()
        made.repos[NAME].commit({**files(), "original/model.safetensors": b"", "a.bin": b"x"})
        yield made


@dataclass
class Fetched:
    """How a run of the program went, and what it left."""

    status: int
    output: str
    out: Path
    sums: Path

    @property
    def listing(self) -> dict[str, object]:
        """The list of files that it wrote."""
        found = next(self.out / n for n in ("model.json", "card.json") if (self.out / n).exists())
        listing: dict[str, object] = json.loads(found.read_text())
        return listing

    @property
    def files(self) -> dict[str, bytes]:
        """What it laid out, without its own list."""
        found = {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in self.out.rglob("*")
            if path.is_file()
        }
        return {
            name: data for name, data in found.items() if name not in {"model.json", "card.json"}
        }

    def check_sums(self) -> None:
        """Every digest that it handed on is right."""
        lines = self.sums.read_text().splitlines()
        assert len(lines) == len(self.files)
        for line in lines:
            sha256, size, mtime, path = line.split(" ", 3)
            data = (self.out / path).read_bytes()
            stat = (self.out / path).stat()
            assert sha256 == hashlib.sha256(data).hexdigest()
            assert (int(size), int(mtime)) == (stat.st_size, int(stat.st_mtime))


@dataclass
class Fetcher:
    """Runs the program as an artifact's build does, again and again with the same ``$KEEP``."""

    python: Path
    root: Path
    hub: Hub
    token: str = ""
    old: Path | None = None
    runs: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def keep(self) -> Path:
        return self.root / "keep"

    def command(self, source: str, *options: str) -> tuple[list[str], dict[str, str], Path]:
        """What to run, with what environment, and where it lays its result out."""
        self.runs += 1
        out = self.root / f"out-{self.runs}"
        out.mkdir(parents=True)
        self.keep.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "no-home"),
            "OUT": str(out),
            "KEEP": str(self.keep),
            "OLD": str(self.old or ""),
            "SUMS": f"{out}.sums",
            "NOTES": f"{out}.notes",
            **self.environment,
        }
        command = [str(self.python), "-B", str(PROGRAM), f"--source={source}", "--pause=0.05"]
        if source.startswith(("hf://", "ms://")):
            command.append(f"--endpoint={self.hub.url}")
        if self.token:
            secret = self.root / "token"
            secret.write_text(self.token)
            command.append(f"--token-file={secret}")
        patterns = () if any(o.startswith("--allow") for o in options) else PATTERNS
        return [*command, *patterns, *options], environment, out

    def __call__(self, source: str = f"hf://{NAME}", *options: str) -> Fetched:
        """One run."""
        command, environment, out = self.command(source, *options)
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        return Fetched(done.returncode, done.stdout, out, Path(f"{out}.sums"))

    def fails(
        self, *told: str, source: str = f"hf://{NAME}", options: Mapping[str, str] = {}
    ) -> str:
        """One run that fails with one screen that says all of ``told`` and what to do next."""
        done = self(source, *(f"--{name}={value}" for name, value in options.items()))
        assert done.status == 1, done.output
        assert "Traceback" not in done.output
        error = done.output[done.output.index("error: ") :]
        assert len(error.splitlines()) <= 8
        assert "\n  next: " in error
        for part in told:
            assert part in error
        assert not done.files
        return done.output


@pytest.fixture
def fetch(tools_python: Path, tmp_path: Path, hub: Hub) -> Fetcher:
    """Runs the program against the hub."""
    return Fetcher(tools_python, tmp_path, hub)
