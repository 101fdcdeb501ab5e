"""The part of vLLM 0.26's sampling parameters that Rolecall uses, checked as there."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class RequestOutputKind(enum.Enum):
    """What one output holds."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass
class StructuredOutputsParams:
    """What generation is held to; only a grammar is used here."""

    grammar: str | None = None

    def __post_init__(self) -> None:
        if self.grammar is None:
            raise ValueError("You must use one kind of structured outputs constraint")
        assert "root ::=" in self.grammar


@dataclass
class SamplingParams:
    """The bounds are those of ``SamplingParams._verify_args``."""

    max_tokens: int = 16
    min_tokens: int = 0
    ignore_eos: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    detokenize: bool = True
    stop_token_ids: list[int] | None = None
    seed: int | None = None
    logprobs: int | None = None
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | None = None

    def __post_init__(self) -> None:
        if not -2.0 <= self.presence_penalty <= 2.0 or not -2.0 <= self.frequency_penalty <= 2.0:
            raise ValueError("penalties must be in [-2, 2]")
        if self.repetition_penalty <= 0.0:
            raise ValueError("repetition_penalty must be greater than zero")
        if not 0.0 <= self.temperature <= 2.0:
            raise ValueError(f"temperature must be in [0, 2], got {self.temperature}.")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}.")
        if self.top_k < -1:
            raise ValueError("top_k must be 0 (disable), or at least 1")
        if self.max_tokens < 1 or not 0 <= self.min_tokens <= self.max_tokens:
            raise ValueError("max_tokens must be at least 1 and min_tokens within it")
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ValueError("seed out of range")
