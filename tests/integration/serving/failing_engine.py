"""Run with the serving environment's python: a real engine whose pipeline fails on demand.

``python failing_engine.py BACKEND ENGINE_DIR``; prints what became of the requests, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, sys.argv[1])

from inflight import pipeline
from inflight.engine import Engine, Failure
from inflight.output import Tokens
from inflight.requests import read_request
from inflight.settings import read_settings
from inflight.vocabulary import load_vocabulary

FAIL_AT_STEP = 5


class Failing:
    """The real pipeline, but its fifth step raises."""

    def __init__(self, real: pipeline.Pipeline) -> None:
        self.real = real
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == FAIL_AT_STEP:
            raise RuntimeError("made to fail")
        self.real.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Client:
    """Remembers its answer."""

    def __init__(self) -> None:
        self.answer = ""
        self.done = threading.Event()

    def is_cancelled(self) -> bool:
        return False

    def deliver(self, beams: list[Tokens], final: bool) -> None:
        self.answer = f"{len(beams[0].ids)} tokens"
        self.done.set()

    def fail(self, failure: Failure, message: str) -> None:
        self.answer = f"{failure.value}: {message}"
        self.done.set()


def main() -> None:
    engine_dir = Path(sys.argv[2])
    parameters = {"gpt_model_path": str(engine_dir), "gpt_model_type": "inflight_batching"}
    config = {"parameters": {k: {"string_value": v} for k, v in parameters.items()}}
    settings = read_settings(config, free_memory=lambda *_: 2**30)
    opened: list[Any] = []

    def open_pipeline(wanted: Any) -> Any:
        real = pipeline.open_pipeline(wanted)
        opened.append(real if opened else Failing(real))
        return opened[-1]

    vocabulary = load_vocabulary(engine_dir / "tokenizer.json")
    errors: list[str] = []
    engine = Engine(
        settings, vocabulary, open_pipeline, lambda load: None, errors.append, lambda: None
    )
    answers = []
    for _ in range(2):
        clients = [Client(), Client()]
        for client in clients:
            ids = np.array([[504, 3575, 282]], dtype=np.int32)
            tensors = {"input_ids": ids, "request_output_len": np.array([[20]])}
            engine.submit(frozenset(), read_request(tensors, settings), client)
        for client in clients:
            assert client.done.wait(30)
        answers.append([client.answer for client in clients])
    engine.close(5)
    print(json.dumps({"answers": answers, "opened": len(opened), "errors": errors}))


if __name__ == "__main__":
    main()
