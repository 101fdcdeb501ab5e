"""vLLM's engine in a process of its own: orders in, tokens out, in lines of JSON.

``python vllm_worker.py FD``, with vLLM's own Python. Orders come on standard input: ``load`` (once,
the arguments of ``EngineArgs``), ``add``, ``abort``; the end of the input ends the process. Answers
go to the file descriptor FD: ``loaded``, ``failed`` (a reason) and ``tokens`` (number, ids, natural
logarithms of their probabilities or null, why it ended or null, of each request that has news) and
``refused`` (number and reason).

Written against vLLM 0.26 (vllm/v1/engine/llm_engine.py, vllm/sampling_params.py).
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import IO, Any

IDLE_S = 3600.0

Order = dict[str, Any]


class Worker:
    """The engine, and the pipe that its answers go to."""

    def __init__(self, orders: queue.SimpleQueue[Order | None], answers: IO[str]) -> None:
        self._orders = orders
        self._answers = answers
        self._engine: Any = None

    def run(self) -> None:
        """Carry out orders and generate until the orders end."""
        while self._take_orders():
            if self._engine.has_unfinished_requests():
                self._report(self._engine.step())

    def _take_orders(self) -> bool:
        busy = self._engine is not None and self._engine.has_unfinished_requests()
        while True:
            try:
                order = self._orders.get(block=not busy, timeout=IDLE_S)
            except queue.Empty:
                return True
            busy = True
            if order is None:
                return False
            self._carry_out(order)

    def _carry_out(self, order: Order) -> None:
        if "load" in order:
            self._load(order["load"])
        elif "add" in order:
            self._add(order)
        else:
            self._engine.abort_request([str(order["abort"])])

    def _load(self, arguments: dict[str, Any]) -> None:
        from vllm import EngineArgs, LLMEngine

        self._engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
        self._send({"loaded": True})

    def _add(self, order: Order) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        wanted = dict(order["sampling"])
        grammar = wanted.pop("grammar", None)
        try:
            sampling = SamplingParams(
                **wanted,
                output_kind=RequestOutputKind.DELTA,
                structured_outputs=StructuredOutputsParams(grammar=grammar) if grammar else None,
            )
            prompt = {"prompt_token_ids": order["ids"]}
            self._engine.add_request(str(order["add"]), prompt, sampling)
        except ValueError as error:
            self._send({"refused": [[order["add"], " ".join(str(error).split())]]})

    def _report(self, outputs: list[Any]) -> None:
        news = [_news(output) for output in outputs]
        if news:
            self._send({"tokens": news})

    def _send(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()


def _news(output: Any) -> list[Any]:
    (completion,) = output.outputs
    ids = list(completion.token_ids)
    log_probs = None
    if completion.logprobs is not None:
        log_probs = [
            float(position[token].logprob)
            for token, position in zip(ids, completion.logprobs, strict=True)
        ]
    finished = (completion.finish_reason or "finished") if output.finished else None
    return [int(output.request_id), ids, log_probs, finished]


def _read(orders: queue.SimpleQueue[Order | None]) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    orders.put(None)


def main() -> int:
    """Run until the orders end; the result is the exit status."""
    answers = open(int(sys.argv[1]), "w", encoding="utf-8")  # noqa: SIM115 - for the whole run
    orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders,), name="orders", daemon=True).start()
    try:
        Worker(orders, answers).run()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        answers.write(json.dumps({"failed": f"{type(error).__name__}: {reason}"}) + "\n")
        answers.flush()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
