"""Settings of the role ``repo``."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from rolecall.api import Settings
from roles.published import Published

Value = str | int | float | bool


class _FromGit(Settings):
    """Files of a git repository at a pinned commit."""

    repository: str = ""
    """The git repository, or a mirror of it. Empty: the one that has the files of the runtime's
    TensorRT-LLM (roles/runtime/matrix.yaml)."""

    commit: str = ""
    """The commit. Empty: the one of the runtime's TensorRT-LLM."""

    folder: str = ""
    """The folder in it. Empty: where that version keeps it."""

    @field_validator("commit")
    @classmethod
    def _commit_is_pinned(cls, value: str) -> str:
        if value and not re.fullmatch(r"[0-9a-f]{40}", value):
            raise ValueError("a full commit is needed: 40 hexadecimal digits")
        return value

    @field_validator("folder")
    @classmethod
    def _folder_is_inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("a folder inside the repository is needed")
        return value

    @model_validator(mode="after")
    def _repository_and_commit_belong_together(self) -> _FromGit:
        if self.repository and not self.commit:
            raise ValueError("a repository without a commit: its files could be of any version")
        return self


class Upstream(_FromGit):
    """Settings of kind ``upstream``: tensorrtllm_backend's own templates, filled."""

    parameters: dict[str, Value] = Field(default_factory=dict)
    """Further parameters of the templates, by name. Whatever is set here or as ``repo.NAME`` has
    to be a parameter of the pinned templates; those that nobody sets keep the backend's default,
    but for the ones that must be filled."""


class LlmApi(_FromGit):
    """Settings of kind ``llmapi``: what ``LLM()`` of TensorRT-LLM is given, as model.yaml."""

    backend: Literal["pytorch", "tensorrt", "_autodeploy"] = "pytorch"
    """What runs the model."""

    tensor_parallel_size: PositiveInt = 1
    """GPUs that share each layer."""

    pipeline_parallel_size: PositiveInt = 1
    """Groups of GPUs that share the layers."""

    max_batch_size: PositiveInt | None = None
    """Sequences in flight at the same time; ``null`` leaves it to TensorRT-LLM."""

    max_seq_len: PositiveInt | None = None
    """Tokens of a prompt and its answer together; ``null``: what the model was made for."""

    max_num_tokens: PositiveInt | None = None
    """Tokens of all sequences in one forward pass."""

    free_gpu_memory_fraction: float = Field(default=0.9, gt=0, lt=1)
    """This part of the GPU memory that the weights leave free goes to the KV cache."""

    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    """How the KV cache is held."""

    enable_block_reuse: bool = True
    """Keep the KV cache of a prompt for the next one that begins alike."""

    cancellation_check_period_ms: PositiveInt = 100
    """How often requests whose client has gone are looked for."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of ``LLM()``, by name."""

    @model_validator(mode="after")
    def _options_say_nothing_twice(self) -> LlmApi:
        said = {*type(self).model_fields, "model", "kv_cache_config", "triton_config"} - {"options"}
        if twice := sorted(said & set(self.options)):
            raise ValueError(f"options.{twice[0]} has a setting of its own")
        return self


class Repo(Published):
    """Settings of the role ``repo``, named as the parameters of upstream's templates."""

    kind: Literal["inflight_batcher_llm", "upstream", "llmapi"] = "inflight_batcher_llm"
    """``inflight_batcher_llm``: the templates of this project, for its own backend. ``upstream``:
    those of NVIDIA's tensorrtllm_backend, for a TensorRT engine. ``llmapi``: TensorRT-LLM's LLM
    API, which needs no engine."""

    link: str = ""
    """A path that leads to the model repository, for servers that others start, such as T9k's.
    Absolute, or in the home directory: ``~/…``. Empty: none. The repository names its engine and
    tokenizer by absolute paths: mount the volume at the same path wherever it is served."""

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

    bls_instance_count: PositiveInt = 2
    """Processes of ``tensorrt_llm_bls``, which ``chat`` asks; each serves one request at a time.
    Others ask ``ensemble``, ``tensorrt_llm`` or the OpenAI API, which have no such limit."""

    upstream: Upstream = Upstream()
    """The settings of kind ``upstream`` alone: where the templates come from, and further
    parameters."""

    llmapi: LlmApi = LlmApi()
    """The settings of kind ``llmapi``: roles/repo/settings.py explains each."""

    @field_validator("link")
    @classmethod
    def _link_is_found_from_anywhere(cls, value: str) -> str:
        if value and not value.startswith(("/", "~/")):
            raise ValueError(f"{value!r} is not an absolute path; write /… or ~/…")
        return value
