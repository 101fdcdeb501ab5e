"""Model, checkpoint, engine and repository on this machine, with doubles of the tools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rolecall.resource import Resource, Skip
from rolecall.role import Host, Roles
from rolecall.settings import Settings
from rolecall.testing import Result, converge
from roles.engine.settings import Engine
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime.settings import Runtime
from tests.doubles.tensorrt_llm import repositories
from tests.doubles.tensorrt_llm.prefix import Prefix, examples, git_repository, install
from tests.rig import tools
from tests.rig.tiny_model import files

ROOT = Path(__file__).parents[3]

#: What role preflight would say of this machine.
GPU = "rc_field gpu.count 2\nrc_field gpu.compute_capability {capability}"

#: The backend's templates that belong to each version.
TEMPLATES = {"0.8.0": "v0.8.0", "0.9.0.dev2024022700": "da59830", "1.2.1": "1.2"}


@dataclass
class Chain:
    """A host with a runtime of one version; ``run`` converges model, engine and repository."""

    root: Path
    prefix: Prefix
    engine: dict[str, Any] = field(default_factory=dict)
    repo: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    capability: str = "9.0"
    engine_kind: str = "tensorrt_llm"
    roles: tuple[str, ...] = ("runtime", "model", "engine", "repo")

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    def settings(self) -> dict[str, Settings]:
        """The settings of a host; what tests change stands in the dictionaries."""
        version = self.prefix.version
        sources = self.root / "sources"
        engine = {
            "version": version,
            "repository": f"file://{sources / 'TensorRT-LLM'}",
            "commit": (sources / "TensorRT-LLM.commit").read_text(),
            **self.engine,
        }
        upstream = {
            "repository": f"file://{sources / 'backend'}",
            "commit": (sources / "backend.commit").read_text(),
            "folder": "all_models/inflight_batcher_llm",
            **self.repo.get("upstream", {}),
        }
        repo = {**self.repo, "upstream": upstream}
        runtime = {
            "kind": "installed",
            "tritonserver": str(self.prefix.bin / "tritonserver"),
            **self.runtime,
        }
        return {
            "python": Python(lock="none"),
            "runtime": Runtime(**runtime),
            "model": Model(**{"source": f"file://{self.root / 'model'}", **self.model}),
            "engine": Engine.model_validate({"kind": self.engine_kind, "tensorrt_llm": engine}),
            "repo": Repo.model_validate({"kind": "upstream", **repo}),
        }

    def run(self, *, check: bool = False) -> Result:
        """One run, or one prediction."""

        def wanted(host: Host) -> list[Resource | Skip]:
            loaded = Roles(ROOT / "roles", self.roles).load()
            return [item for role in loaded for item in role.resources(host)]

        facts = GPU.format(capability=self.capability)
        return converge(wanted, self.home, settings=self.settings(), facts=[facts], check=check)

    def deploy(self) -> Result:
        """A run in which nothing may fail."""
        result = self.run()
        wrong = [id_ for id_, said in result.outcomes.items() if said not in DONE]
        assert not wrong, [*(result.why(id_) for id_ in wrong), *result.output[-20:]]
        return result

    def failed(self, id_: str) -> str:
        """A run that fails at ``id_``: all that it said, and the reason."""
        result = self.run()
        assert result.outcomes[id_] == "failed", result.outcomes
        return "\n".join([*result.output, result.why(id_)])

    def current(self, title: str) -> Path:
        """The artifact in use."""
        return (self.artifacts / title / "current").resolve()

    def config(self) -> dict[str, Any]:
        """The engine's config.json."""
        found: dict[str, Any] = json.loads((self.current("engine") / "config.json").read_text())
        return found


DONE = ("ok", "changed", "skipped")

MakeChain = Callable[..., Chain]


@pytest.fixture(scope="session")
def tools_environment() -> Path:
    """The real environment of the tools."""
    return tools.environment()


@pytest.fixture
def chain(tmp_path: Path, tools_environment: Path, monkeypatch: pytest.MonkeyPatch) -> MakeChain:
    """Make a :class:`Chain` for a version of TensorRT-LLM."""

    def make(version: str = "1.2.1", **changed: Any) -> Chain:
        prefix = install(tmp_path / "runtime", version)
        monkeypatch.setenv("PATH", f"{prefix.bin}{os.pathsep}{os.environ['PATH']}")
        sources = tmp_path / "sources"
        for name, content in (
            ("TensorRT-LLM", {**examples(version), **repositories.llmapi()}),
            ("backend", repositories.templates(TEMPLATES[version])),
        ):
            commit = git_repository(sources / name, content)
            (sources / f"{name}.commit").write_text(commit)
        (tmp_path / "model").mkdir()
        for name, data in files().items():
            (tmp_path / "model" / name).write_bytes(data)
        environments = tmp_path / "home" / "python"
        environments.mkdir(parents=True)
        (environments / "tools").symlink_to(tools_environment)
        return Chain(tmp_path, prefix, **changed)

    return make
