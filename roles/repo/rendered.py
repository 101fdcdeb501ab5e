"""The repository of kind ``inflight_batcher_llm``: this project's templates and backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolecall.api import (
    Apply,
    Artifact,
    ConfigError,
    Host,
    Observed,
    Refuse,
    Resource,
    Tree,
    folder_files,
    render,
)
from roles.engine import role as engines
from roles.engine.settings import Engine
from roles.python.role import NEEDED, interpreter, lock_digest
from roles.repo.repository import Repository
from roles.repo.settings import Repo

_TEMPLATES = Path(__file__).parents[2] / "templates" / "inflight_batcher_llm"
_BACKEND = Path(__file__).parent / "backends" / "tensorrtllm"

#: The models of upstream's inflight_batcher_llm (tensorrtllm_backend da59830).
MODELS = ("preprocessing", "tensorrt_llm", "postprocessing", "ensemble", "tensorrt_llm_bls")

#: Parameters of upstream's templates that mean nothing without a GPU; empty is unset.
_GPU_ONLY = (
    "enable_trt_overlap",
    "normalize_log_probs",
    "gpu_device_ids",
    "lora_cache_optimal_adapter_size",
    "lora_cache_max_adapter_size",
    "lora_cache_gpu_memory_fraction",
    "lora_cache_host_memory_bytes",
    "decoding_mode",
)


@dataclass(frozen=True)
class ModelTree(Tree):
    """A model repository: each config.pbtxt is parsed as a ModelConfig before any is installed."""

    def apply(self, observed: Observed) -> Apply:
        """Write the tree, unless Triton could not read it."""
        from roles.repo.model_config import problem

        for path, content in self.files:
            text = content if isinstance(content, str) else content.decode()
            if path.endswith("/config.pbtxt") and (wrong := problem(text)):
                return Refuse(
                    f"{path} is no ModelConfig: {wrong}",
                    "see the settings of repo, and templates/inflight_batcher_llm",
                )
        return super().apply(observed)


def variables(host: Host) -> dict[str, Any]:
    """What the templates are rendered with.

    Raises:
        ConfigError: there is no engine to serve.
    """
    settings = host.settings(Repo)
    engine = host.settings(Engine)
    built = engines.artifact(host)
    if built is None:
        raise ConfigError(
            "repo.kind inflight_batcher_llm serves an engine, and engine.kind is none",
            "set engine.kind, or repo.kind to llmapi, which needs none",
        )
    return {
        **settings.model_dump(exclude={"max_batch_size"}),
        "triton_max_batch_size": settings.max_batch_size,
        "engine_dir": built.path,
        "tokenizer_dir": built.path,
        "max_beam_width": engine.max_beam_width,
        "max_attention_window_size": engine.max_seq_len,
        **dict.fromkeys(_GPU_ONLY, ""),
    }


def tree(host: Host) -> ModelTree:
    """The rendered files."""
    values = variables(host)
    files: list[tuple[str, str | bytes]] = []
    for model in MODELS:
        folder = _TEMPLATES / model
        files.append((f"{model}/config.pbtxt", render(folder / "config.pbtxt.j2", **values)))
        files += [(f"{model}/1/{name}", data) for name, data in folder_files(folder / "1", "*")]
    return ModelTree("repo", host.path("artifacts"), tuple(files))


def repository(host: Host) -> Repository:
    """The rendered model repository."""
    made = tree(host)
    return Repository(made, made.path)


def backend_source(host: Host) -> Tree:
    """The backend's own files, as they lie on the host."""
    return Tree("backend-source", host.path("artifacts"), folder_files(_BACKEND, "**/*.py"))


def backends(host: Host) -> Artifact:
    """Triton's backend directory: the python backend, and ours under the name tensorrtllm."""
    source = backend_source(host)
    return Artifact(
        "backends",
        host.path("artifacts"),
        inputs=(("source", source.digest), ("environment", lock_digest(host))),
        variables=(("PYTHON", interpreter(host)), ("SOURCE", source.path)),
        build=NEEDED + '"$PYTHON" -B "$SOURCE/assemble.py" "$OUT" --source "$SOURCE"',
    )


def resources(host: Host) -> Iterator[Resource]:
    """What the role declares for this kind."""
    yield backend_source(host)
    yield backends(host)
    yield tree(host)
