"""How many tokens a model takes, by its files. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Bounds in tokens; 0 where nothing says.

    Attributes:
        whole: of prompt and answer together.
        prompt: of the prompt alone.
    """

    whole: int = 0
    prompt: int = 0

    @classmethod
    def of(cls, configs: Sequence[Mapping[str, Any]]) -> Limits:
        """From several config.json: what an engine was built for, else what the model was."""
        for config in configs:
            build = config.get("build_config")
            if isinstance(build, Mapping):
                prompt = int(build.get("max_input_len") or 0)
                # TensorRT-LLM 0.8 names the parts, later versions the whole.
                whole = int(build.get("max_seq_len") or 0)
                return cls(whole or prompt + int(build.get("max_output_len") or 0), prompt)
        made_for = (int(config.get("max_position_embeddings") or 0) for config in configs)
        return cls(next((found for found in made_for if found), 0))
