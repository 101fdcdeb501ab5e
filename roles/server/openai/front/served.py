"""How the models that Triton serves want to be asked. Pure functions.

Names of tensors: all_models of tensorrtllm_backend up to 0.19 and of TensorRT-LLM from 0.20 on
(``inflight_batcher_llm`` and ``llmapi``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Number = int | float

#: What an option is called as an input of a model, the first that it has: of the ensemble and
#: tensorrt_llm_bls, of tensorrt_llm, and of the LLM API.
NAMES: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "request_output_len", "sampling_param_max_tokens"),
    "temperature": ("temperature", "sampling_param_temperature"),
    "top_k": ("top_k", "runtime_top_k", "sampling_param_top_k"),
    "top_p": ("top_p", "runtime_top_p", "sampling_param_top_p"),
    "random_seed": ("random_seed", "seed", "sampling_param_seed"),
    "presence_penalty": ("presence_penalty", "sampling_param_presence_penalty"),
    "frequency_penalty": ("frequency_penalty", "sampling_param_frequency_penalty"),
    "repetition_penalty": ("repetition_penalty", "sampling_param_repetition_penalty"),
    "min_tokens": ("min_length", "min_tokens", "sampling_param_min_tokens"),
    "end_id": ("end_id",),
    "pad_id": ("pad_id",),
}

#: The model that is asked: with token ids (inflight_batcher_llm), or with text (the LLM API). It
#: is asked itself, and not through the ensemble or tensorrt_llm_bls: tokens are counted as they
#: are, a client that goes away frees its place, and upstream's tensorrt_llm_bls serves no more
#: requests at a time than it has instances.
ENGINE_MODEL = "tensorrt_llm"


def input_name(option: str, inputs: frozenset[str]) -> str:
    """The input that takes an option; empty where the model has none."""
    return next((name for name in NAMES[option] if name in inputs), "")


@dataclass(frozen=True)
class Served:
    """What Triton says of the model.

    Attributes:
        inputs: the names of its input tensors.
        decoupled: it can send an answer in pieces.
        repeats_prompt: an answer in one piece begins with the prompt, unless it is asked not to.
        directories: with a tokenizer, as far as the model names any.
    """

    inputs: frozenset[str]
    decoupled: bool = False
    repeats_prompt: bool = False
    directories: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> Served:
        """Read it from the model's configuration and preprocessing's, which may be empty."""
        inputs = frozenset(str(tensor["name"]) for tensor in config.get("input", ()))
        excluded = _parameter(config, "exclude_input_in_output").lower() in ("true", "1", "yes")
        named = (
            _parameter(preprocessing, "tokenizer_dir"),
            _parameter(config, "gpt_model_path"),
        )
        return cls(
            inputs,
            bool(config.get("model_transaction_policy", {}).get("decoupled")),
            "input_ids" in inputs and not excluded,
            tuple(path for path in named if path.startswith("/")),
        )

    @property
    def takes_tokens(self) -> bool:
        """Whether it takes and gives token ids."""
        return "input_ids" in self.inputs

    @property
    def takes_text(self) -> bool:
        """Whether it is the LLM API's."""
        return "text_input" in self.inputs and "sampling_param_max_tokens" in self.inputs

    def unknown(self, options: Mapping[str, Number]) -> list[str]:
        """Options that the model cannot be told; ids of tokens are left out where they are."""
        return [
            option
            for option in options
            if option not in ("end_id", "pad_id") and not input_name(option, self.inputs)
        ]

    def body(
        self, prompt: str | Sequence[int], options: Mapping[str, Number], identity: str
    ) -> dict[str, Any]:
        """The request, for ``generate_stream`` where it is decoupled, else ``generate``."""
        named = {input_name(option, self.inputs): value for option, value in options.items()}
        body: dict[str, Any] = {
            "id": identity,
            **{name: value for name, value in named.items() if name},
        }
        if self.decoupled:
            body["streaming"] = True
        if isinstance(prompt, str):
            body |= {"text_input": prompt, "sampling_param_exclude_input_from_output": True}
            if "return_finish_reason" in self.inputs:
                body["return_finish_reason"] = True
            return body
        if "exclude_input_in_output" in self.inputs:
            body["exclude_input_in_output"] = True
        return {**body, "input_ids": list(prompt), "input_lengths": len(prompt)}

    def stop(self, identity: str) -> dict[str, Any]:
        """The request that ends the one of that identity, where hanging up does not."""
        if self.takes_tokens:
            ids = {"input_ids": [1], "input_lengths": 1, "request_output_len": 1}
            return {"id": identity, "stop": True, **ids}
        return {"id": identity, "stop": True, "text_input": ""}

    def tokens(self, answer: Mapping[str, Any], prompt: Sequence[int]) -> list[int]:
        """The ids in an answer, without those of the prompt and without what fills it up."""
        ids = _numbers(answer.get("output_ids"))
        lengths = _numbers(answer.get("sequence_length"))
        ids = ids[: lengths[0]] if lengths else ids
        asked_not_to = "exclude_input_in_output" in self.inputs
        if not self.decoupled and self.repeats_prompt and not asked_not_to:
            return ids[len(prompt) :]
        return ids


def _numbers(value: Any) -> list[int]:
    """A tensor of Triton's generate endpoint: one number stands for itself."""
    if value is None:
        return []
    return [int(item) for item in value] if isinstance(value, list) else [int(value)]


def _parameter(config: Mapping[str, Any], name: str) -> str:
    return str(config.get("parameters", {}).get(name, {}).get("string_value", ""))
