"""The one place that knows openvino-genai: opens the engine and translates a request for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai

from .bad_words import without_words
from .errors import SettingsError
from .output import Tokens
from .requests import Generation
from .settings import Settings
from .vocabulary import Vocabulary

_EXACT: Mapping[str, str] = {
    # The same sums whatever else is in the batch: an answer does not depend on its neighbours.
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
_FAST: Mapping[str, str] = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}


class OpenVinoRunning:
    """A request in the batch: openvino-genai's ``GenerationHandle``."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def read(self) -> list[Tokens]:
        """What came since the last reading: one entry a sequence, the best first."""
        collected: dict[int, Tokens] = {}
        scores: dict[int, float] = {}
        while self._handle.can_read():
            for sequence, output in self._handle.read().items():
                new = Tokens(tuple(output.generated_ids), tuple(output.generated_log_probs))
                collected[sequence] = collected.get(sequence, Tokens()) + new
                scores[sequence] = output.score
        if len(collected) < 2:
            return list(collected.values())
        return [collected[key] for key in sorted(collected, key=lambda key: -scores[key])]

    def is_running(self) -> bool:
        """Whether more will come."""
        return bool(self._handle.get_status() == openvino_genai.GenerationStatus.RUNNING)

    def ran_out_of_cache(self) -> bool:
        """Whether it was given up because the KV cache is full."""
        return bool(self._handle.get_status() == openvino_genai.GenerationStatus.IGNORED)

    def refusal(self) -> str:
        """Never: what cannot be taken is refused at once."""
        return ""

    def stop(self) -> None:
        """End it and keep what it has generated."""
        self._handle.stop()

    def cancel(self) -> None:
        """End it."""
        self._handle.cancel()


class OpenVinoPipeline:
    """openvino-genai's ``ContinuousBatchingPipeline``."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def add_request(
        self, number: int, generation: Generation, vocabulary: Vocabulary
    ) -> OpenVinoRunning:
        """Take a request into the batch; ``RequestError`` for bad words that cannot be banned."""
        input_ids = openvino.Tensor(np.array([generation.input_ids], dtype=np.int64))
        config = generation_config(generation, vocabulary)
        return OpenVinoRunning(self._pipeline.add_request(number, input_ids, config))

    def step(self) -> None:
        """Run one forward pass over the batch."""
        self._pipeline.step()

    def has_non_finished_requests(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._pipeline.has_non_finished_requests())

    def close(self) -> None:
        """Nothing: the engine ends with its process."""


def free_memory(_: Path) -> int:
    """Memory that can be taken without swapping, in bytes (MemAvailable of /proc/meminfo)."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise SettingsError("/proc/meminfo has no MemAvailable")


def open_pipeline(settings: Settings) -> OpenVinoPipeline:
    """Load the engine; takes seconds. Raises ``RuntimeError`` if its files are damaged."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = settings.kv_blocks
    scheduler.max_num_seqs = settings.limits.max_batch_size
    scheduler.max_num_batched_tokens = settings.limits.max_num_tokens
    scheduler.dynamic_split_fuse = settings.chunked_context
    scheduler.enable_prefix_caching = settings.reuse_prefix
    properties = dict(_EXACT if settings.limits.exact else _FAST)
    return OpenVinoPipeline(
        openvino_genai.ContinuousBatchingPipeline(
            str(settings.engine_dir), scheduler, "CPU", properties
        )
    )


def generation_config(generation: Generation, vocabulary: Vocabulary) -> Any:
    """``generation`` as openvino-genai takes it.

    Where to end is left to the caller, except for beams: openvino-genai always adds the model's
    own end token to the given one, and a request may name another.
    """
    sampling = generation.sampling
    config = openvino_genai.GenerationConfig()
    config.apply_chat_template = False
    config.max_new_tokens = generation.max_tokens
    config.min_new_tokens = sampling.min_tokens
    config.ignore_eos = True
    if generation.end_id is not None:
        config.stop_token_ids = {generation.end_id}
    config.logprobs = 1 if generation.log_probs else 0
    config.rng_seed = sampling.seed
    config.do_sample = sampling.sample
    config.repetition_penalty = sampling.repetition_penalty
    config.presence_penalty = sampling.presence_penalty
    config.frequency_penalty = sampling.frequency_penalty
    if sampling.sample:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        if sampling.top_k:
            config.top_k = sampling.top_k
    if sampling.beams > 1:
        config.num_beams = sampling.beams
        config.num_return_sequences = sampling.beams
        config.length_penalty = sampling.length_penalty
        config.ignore_eos = generation.end_id is None
    if generation.bad_words:
        words = [vocabulary.spell(word).decode("utf-8", "replace") for word in generation.bad_words]
        config.structured_output_config = openvino_genai.StructuredOutputConfig(
            grammar=without_words(words)
        )
    return config
