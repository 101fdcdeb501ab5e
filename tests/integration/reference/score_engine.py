#!/usr/bin/env python3
"""Compares a built engine with ``reference.json`` and prints the result as JSON.

Run with the serving environment's python: ``python score_engine.py ENGINE_DIR``.

``top1``: in which part of the positions of the reference text the engine finds the same token most
probable. ``perplexity``: the engine's on that text. ``greedy``: for each prompt, how many tokens
of the reference's greedy answer the engine gives before it departs from it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from make_reference import perplexity

REFERENCE = Path(__file__).resolve().parent / "reference.json"


class Engine:
    """The engine's model, one sequence at a time, as it is before any batching."""

    def __init__(self, directory: Path) -> None:
        model = ov.Core().read_model(directory / "openvino_model.xml")
        properties = {  # as an engine built with --arithmetic exact is served
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        }
        self._request = ov.compile_model(model, "CPU", properties).create_infer_request()
        self._length = 0

    def logits(self, tokens: list[int], fresh: bool) -> npt.NDArray[np.float32]:
        """Logits after each of ``tokens``; ``fresh``: they begin a new sequence."""
        if fresh:
            self._request.reset_state()
            self._length = 0
        end = self._length + len(tokens)
        inputs = {
            "input_ids": np.array([tokens], dtype=np.int64),
            "attention_mask": np.ones((1, end), dtype=np.int64),
            "position_ids": np.arange(self._length, end, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, dtype=np.int32),
        }
        self._length = end
        return np.array(self._request.infer(inputs)["logits"][0])


def agreeing(engine: Engine, prompt: list[int], expected: list[int]) -> int:
    """How many tokens of ``expected`` the engine gives before it departs from it."""
    tokens, fresh = prompt, True
    for position, token in enumerate(expected):
        if int(engine.logits(tokens, fresh)[-1].argmax()) != token:
            return position
        tokens, fresh = [token], False
    return len(expected)


def main() -> None:
    """Print the comparison."""
    reference: dict[str, Any] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    engine = Engine(Path(sys.argv[1]))
    ids = reference["text_ids"]
    logits = engine.logits(ids, fresh=True)
    result = {
        "top1": float(np.mean(logits.argmax(axis=-1) == np.array(reference["text_top1"]))),
        "perplexity": perplexity(logits, ids),
        "greedy": [agreeing(engine, p["input_ids"], p["greedy"]) for p in reference["prompts"]],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
