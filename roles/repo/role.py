"""The Triton model repository: five models, rendered, and the backends that run them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from rolecall.api import Artifact, Host, Resource, Settings, Tree, folder_files, render, role
from roles.engine import role as engines
from roles.python.role import NEEDED, interpreter, lock_digest

_TEMPLATES = Path(__file__).parents[2] / "templates" / "inflight_batcher_llm"
_BACKEND = Path(__file__).parent / "backends" / "tensorrtllm_cpu"

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


class Repo(Settings):
    """Settings of the role ``repo``, named as the parameters of upstream's templates."""

    max_batch_size: PositiveInt = 64
    """``triton_max_batch_size``: requests that Triton hands over in one call."""

    decoupled_mode: bool = True
    """Stream tokens as they come. HTTP ``/infer`` refuses decoupled models; ``/generate`` and
    ``/generate_stream`` work."""

    batching_strategy: Literal["inflight_batching", "inflight_fused_batching"] = (
        "inflight_fused_batching"
    )
    """How requests share the engine."""

    batch_scheduler_policy: Literal["", "guaranteed_no_evict", "max_utilization"] = ""
    """What to do when the KV cache is full; empty is the backend's default."""

    max_tokens_in_paged_kv_cache: PositiveInt = 8192
    """Tokens of all sequences together that the KV cache holds."""

    kv_cache_free_gpu_mem_fraction: float = Field(default=0.5, gt=0, le=1)
    """At most this part of the free memory goes to the KV cache."""

    enable_kv_cache_reuse: bool = False
    """Keep the KV cache of a prompt for the next one that begins alike."""

    enable_chunked_context: bool = False
    """Let long prompts share a pass with tokens that are being generated."""

    exclude_input_in_output: bool = True
    """Answer without repeating the prompt."""

    max_queue_delay_microseconds: NonNegativeInt = 600
    """How long Triton waits for more requests before it hands over what it has."""

    max_queue_size: NonNegativeInt = 1024
    """Requests that may wait; more are refused. 0 is no limit."""

    add_special_tokens: bool = False
    """Put the tokenizer's own tokens (such as BOS) in front of a prompt."""

    skip_special_tokens: bool = True
    """Leave the tokenizer's own tokens out of an answer."""

    accumulate_tokens: bool = False
    """``tensorrt_llm_bls`` streams the whole answer so far instead of the next piece."""

    preprocessing_instance_count: PositiveInt = 1
    """Processes that tokenise."""

    postprocessing_instance_count: PositiveInt = 1
    """Processes that detokenise."""

    bls_instance_count: PositiveInt = 1
    """Processes of ``tensorrt_llm_bls``."""


def variables(host: Host) -> dict[str, Any]:
    """What the templates are rendered with."""
    settings = host.settings(Repo)
    engine = host.settings(engines.Engine)
    engine_dir = engines.artifact(host).path
    return {
        **settings.model_dump(exclude={"max_batch_size"}),
        "triton_max_batch_size": settings.max_batch_size,
        "engine_dir": engine_dir,
        "tokenizer_dir": engine_dir,
        "max_beam_width": engine.max_beam_width,
        "max_attention_window_size": engine.max_seq_len,
        **dict.fromkeys(_GPU_ONLY, ""),
    }


def repository(host: Host) -> Tree:
    """The rendered model repository."""
    values = variables(host)
    files: list[tuple[str, str | bytes]] = []
    for model in MODELS:
        folder = _TEMPLATES / model
        files.append((f"{model}/config.pbtxt", render(folder / "config.pbtxt.j2", **values)))
        files += [(f"{model}/1/{name}", data) for name, data in folder_files(folder / "1", "*")]
    return Tree("repo", host.path("artifacts"), tuple(files))


def backend_source(host: Host) -> Tree:
    """The CPU backend's own files, as they lie on the host."""
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


@role(Repo)
def repo(host: Host, settings: Repo) -> Iterator[Resource]:
    """Render the model repository and assemble the backends."""
    yield backend_source(host)
    yield backends(host)
    yield repository(host)
