"""The repository of kind ``llmapi``: TensorRT-LLM's LLM API behind Triton's python backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from rolecall.api import Artifact, ConfigError, Host, Resource
from roles.model import role as models
from roles.python.role import TOOLS_NEEDED, tools_digest, tools_python
from roles.repo.programs import programs
from roles.repo.repository import Repository
from roles.repo.settings import LlmApi, Repo
from roles.repo.sources import Source, checked_out, source
from roles.runtime import role as runtimes
from roles.runtime.settings import Runtime

#: Of LLM()'s arguments, those that model.yaml says only where they are set.
_OPTIONAL = ("max_batch_size", "max_seq_len", "max_num_tokens")


def files(host: Host) -> Source:
    """Upstream's own model.py and config.pbtxt, of the runtime's version."""
    return source(host, host.settings(Repo).llmapi, "all_models/llmapi")


def model_yaml(settings: LlmApi, model: str, *, decoupled: bool) -> dict[str, Any]:
    """The arguments of ``LLM()`` (TensorRT-LLM 1.0 to 1.2), and what Triton is told.

    ``max_batch_size`` of ``triton_config`` is 0: the model batches by itself, and upstream's
    model.py takes no other value.
    """
    set_ = {name: getattr(settings, name) for name in _OPTIONAL}
    cache: dict[str, Any] = {
        "free_gpu_memory_fraction": settings.free_gpu_memory_fraction,
        "enable_block_reuse": settings.enable_block_reuse,
    }
    if settings.kv_cache_dtype != "auto":
        cache["dtype"] = settings.kv_cache_dtype
    return {
        "model": model,
        "backend": settings.backend,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        **{name: value for name, value in set_.items() if value is not None},
        "kv_cache_config": cache,
        **settings.options,
        "triton_config": {
            "max_batch_size": 0,
            "decoupled": decoupled,
            "cancellation_check_period_ms": settings.cancellation_check_period_ms,
        },
    }


def _check_release(host: Host) -> None:
    """The release has no known defect for this kind, unless the image is the user's own."""
    if host.settings(Runtime).image:
        return
    row = runtimes.row(host)
    if defect := row.defects.get("llmapi"):
        raise ConfigError(
            f"Triton {row.triton} cannot serve repo.kind llmapi: {defect}",
            "set runtime.triton to auto or to another release",
        )


def repository(host: Host) -> Repository:
    """The repository, of one model.

    Raises:
        ConfigError: the release cannot serve it, or the commit of its files is not known.
    """
    _check_release(host)
    settings, where = host.settings(Repo), files(host)
    model = models.artifact(host)
    decoupled = settings.decoupled_mode
    said = model_yaml(settings.llmapi, model.path, decoupled=decoupled)
    without_path = {**said, "model": model.title}
    return Repository.built(
        Artifact(
            "repo",
            host.path("artifacts"),
            inputs=(
                ("files", f"{where.checkout.commit} {where.folder}"),
                ("model.yaml", json.dumps(without_path, sort_keys=True)),
                ("program", programs(host).digest),
                ("tools", tools_digest(host)),
            ),
            uses=(model,),
            variables=(
                ("TOOLS", tools_python(host)),
                ("PROGRAM", programs(host).path),
                ("SOURCE", where.path),
                ("MODEL_YAML", yaml.safe_dump(said, sort_keys=False)),
                ("DECOUPLED", str(decoupled).lower()),
            ),
            build=f"""{TOOLS_NEEDED}
"$TOOLS" -B "$PROGRAM/fill.py" llmapi --source "$SOURCE" --output "$OUT" \\
  --model-yaml "$MODEL_YAML" --decoupled "$DECOUPLED" --tokenizer "$USES_MODEL"
""",
        )
    )


def resources(host: Host) -> Iterator[Resource]:
    """What the role declares for this kind."""
    made = repository(host).made_by
    yield from checked_out(host, files(host))
    yield programs(host)
    yield made
