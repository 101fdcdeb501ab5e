"""The repository of kind ``upstream``: tensorrtllm_backend's templates, filled on the host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rolecall.api import Artifact, ConfigError, Host, Resource
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm import build as tensorrt_llm
from roles.engine.tensorrt_llm.command import effective
from roles.model import role as models
from roles.python.role import TOOLS_NEEDED, tools_digest, tools_python
from roles.repo.programs import programs
from roles.repo.repository import Repository
from roles.repo.settings import Repo
from roles.repo.sources import Source, checked_out, source

#: Settings that are no parameters of the templates.
_OWN = frozenset(
    {"kind", "link", "upstream", "llmapi", "backend", "published_exactly", "as_published"}
)

#: Parameters whose name differs from that of their setting.
_NAMES = {"max_batch_size": "triton_max_batch_size"}

#: What a parameter that must be filled is, where nobody says. Types: docs/model_config.md of
#: tensorrtllm_backend; tokenizer_type is asked for by v0.8.0 alone.
_DEFAULTS = {
    "triton_backend": "tensorrtllm",
    "tokenizer_type": "auto",
    "logits_datatype": "TYPE_FP32",
    "encoder_input_features_data_type": "TYPE_FP16",
    "prompt_embedding_table_data_type": "TYPE_FP16",
}


def templates(host: Host) -> Source:
    """The pristine templates."""
    return source(host, host.settings(Repo).upstream, "all_models/inflight_batcher_llm")


def parameters(host: Host) -> dict[str, Any]:
    """What the templates are filled with: what was set, what follows, and what must be said.

    ``given`` has to be known to the templates; ``derived`` fills what they have of it;
    ``defaults`` fills only what must not be left open.
    """
    settings = host.settings(Repo)
    typed = {
        _NAMES.get(name, name): getattr(settings, name)
        for name in type(settings).model_fields
        if name not in _OWN
    }
    explicit = {_NAMES.get(name, name) for name in settings.model_fields_set - _OWN}
    given = {name: value for name, value in typed.items() if name in explicit}
    return {
        "given": {**given, **settings.upstream.parameters},
        "derived": _derived(host),
        "defaults": {**typed, **_DEFAULTS},
        "exactly": settings.published_exactly,
    }


def _derived(host: Host) -> dict[str, Any]:
    beams = effective(
        tensorrt_llm.settings_of(host), tensorrt_llm.tables(host)[0], "max_beam_width"
    )
    return {
        "engine_dir": tensorrt_llm.artifact(host).path,
        "tokenizer_dir": models.artifact(host).path,
        "max_beam_width": beams or 1,
    }


def _without_paths(said: Mapping[str, Any]) -> str:
    """What the repository is made from: where things lie on this host is no part of it."""
    derived = {name: value for name, value in said["derived"].items() if not name.endswith("_dir")}
    return json.dumps({**said, "derived": derived}, sort_keys=True)


def repository(host: Host) -> Repository:
    """The filled repository.

    Raises:
        ConfigError: no TensorRT engine is built, or the templates' commit is not known.
    """
    kind = host.settings(Engine).kind
    if kind != "tensorrt_llm":
        raise ConfigError(
            f"repo.kind upstream serves a TensorRT engine, and engine.kind is {kind}",
            "set engine.kind to tensorrt_llm, or repo.kind to llmapi, which needs no engine",
        )
    built, said, where = tensorrt_llm.artifact(host), parameters(host), templates(host)
    return Repository.built(
        Artifact(
            "repo",
            host.path("artifacts"),
            inputs=(
                ("templates", f"{where.checkout.commit} {where.folder}"),
                ("parameters", _without_paths(said)),
                ("program", programs(host).digest),
                ("tools", tools_digest(host)),
            ),
            uses=(built, models.artifact(host)),
            variables=(
                ("TOOLS", tools_python(host)),
                ("PROGRAM", programs(host).path),
                ("SOURCE", where.path),
                ("PARAMETERS", json.dumps(said)),
            ),
            build=f"""{TOOLS_NEEDED}
"$TOOLS" -B "$PROGRAM/fill.py" upstream --source "$SOURCE" --output "$OUT" \\
  --parameters "$PARAMETERS" --engine "$USES_ENGINE" --tokenizer "$USES_MODEL"
""",
        )
    )


def resources(host: Host) -> Iterator[Resource]:
    """What the role declares for this kind."""
    made = repository(host).made_by
    yield from checked_out(host, templates(host))
    yield programs(host)
    yield made
