#!/usr/bin/env python3
"""What serving through Triton costs, against the same engine driven in this process.

Run with the serving environment's python against a running server of the same engine, deployed
with ``decoupled_mode`` true:

    python benchmarks/serving.py --engine ENGINE_DIR --url http://127.0.0.1:8000

Each round measures the engine in this process, then the ensemble without streaming, then with it:
the same prompts, the same number of tokens, the same number of clients in a closed loop. Rounds
alternate, so that a machine that slows down slows all three down; the ratio is the median of the
ratios within each round.
Client, server and engine share the machine, so the client is kept cheap: one thread, raw HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from tokenizers import Tokenizer

BACKEND = Path(__file__).resolve().parents[1] / "roles" / "repo" / "backends" / "tensorrtllm"
sys.path.insert(0, str(BACKEND))

from inflight.pipeline import Pipeline, open_pipeline  # noqa: E402
from inflight.requests import Generation, read_request  # noqa: E402
from inflight.settings import Settings, read_settings  # noqa: E402
from inflight.vocabulary import Vocabulary, load_vocabulary  # noqa: E402

PROMPTS = (
    "What is machine learning?",
    "Explain how a bicycle stays upright.",
    "Write a short story about a lighthouse.",
    "List five uses of copper.",
    "Describe the water cycle.",
    "How do vaccines work?",
    "Tell me about the city of Lisbon.",
    "Why is the sky blue?",
)
NEVER = -1
"""An end token that no vocabulary holds: every answer has its full length."""

GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """One measurement: ``clients`` at once, each with ``requests`` one after the other."""

    clients: int
    requests: int
    max_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens that are generated in all."""
        return self.clients * self.requests * self.max_tokens

    def prompt(self, client: int, number: int) -> str:
        """The prompt of a client's request, the same in every round and way."""
        return PROMPTS[(client + number) % len(PROMPTS)]


@dataclass(frozen=True)
class Result:
    """Tokens a second over all clients, and medians in seconds.

    ``latency`` is the time of a whole request, ``first`` until its first token; an answer in one
    piece has no first token of its own (None).
    """

    throughput: float
    latency: float
    first: float | None


@dataclass(frozen=True)
class InProcess:
    """The engine in this process, driven by the shortest loop there is."""

    pipeline: Pipeline
    settings: Settings
    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def generation(self, prompt: str, max_tokens: int) -> Generation:
        """A request as the server would make it."""
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        tensors: dict[str, Any] = {
            "input_ids": np.array([ids], dtype=np.int32),
            "request_output_len": np.array([[max_tokens]], dtype=np.int32),
        }
        return read_request(tensors, self.settings)

    def measure(self, plan: Plan) -> Result:
        """Run ``plan``."""
        latencies: list[float] = []
        firsts: list[float] = []
        running: dict[int, tuple[Any, int, float]] = {}
        left = dict.fromkeys(range(plan.clients), plan.requests)
        number = 0
        started = time.perf_counter()
        while running or any(left.values()):
            for client in [c for c, count in left.items() if count and c not in running]:
                prompt = plan.prompt(client, plan.requests - left[client])
                left[client] -= 1
                generation = self.generation(prompt, plan.max_tokens)
                request = self.pipeline.add_request(number, generation, self.vocabulary)
                number += 1
                running[client] = (request, 0, time.perf_counter())
            self.pipeline.step()
            for client, (request, count, begun) in list(running.items()):
                new = sum(len(tokens.ids) for tokens in request.read())
                if new and not count:
                    firsts.append(time.perf_counter() - begun)
                count += new
                running[client] = (request, count, begun)
                if not request.is_running():
                    assert count == plan.max_tokens, f"{count} tokens of {plan.max_tokens}"
                    latencies.append(time.perf_counter() - begun)
                    del running[client]
        return _result(plan, latencies, firsts, time.perf_counter() - started)


@dataclass(frozen=True)
class Served:
    """The same engine behind Triton: ``model``'s generate or generate_stream endpoint."""

    host: str
    port: int
    model: str
    streaming: bool

    def measure(self, plan: Plan) -> Result:
        """Run ``plan``."""
        return asyncio.run(self._measure(plan))

    async def _measure(self, plan: Plan) -> Result:
        latencies: list[float] = []
        firsts: list[float] = []
        started = time.perf_counter()
        clients = [self._client(plan, client, latencies, firsts) for client in range(plan.clients)]
        await asyncio.gather(*clients)
        seconds = time.perf_counter() - started
        return _result(plan, latencies, firsts if self.streaming else [], seconds)

    async def _client(
        self, plan: Plan, client: int, latencies: list[float], firsts: list[float]
    ) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**24)
        for number in range(plan.requests):
            begun = time.perf_counter()
            writer.write(self._request(plan.prompt(client, number), plan.max_tokens))
            tokens, first = await _read_response(reader)
            firsts.append(first - begun)
            assert tokens == plan.max_tokens, f"{tokens} tokens of {plan.max_tokens}"
            latencies.append(time.perf_counter() - begun)
        writer.close()

    def _request(self, prompt: str, max_tokens: int) -> bytes:
        body = json.dumps(
            {
                "text_input": prompt,
                "max_tokens": max_tokens,
                "end_id": NEVER,
                "stream": self.streaming,
            }
        ).encode()
        path = f"/v2/models/{self.model}/generate{'_stream' if self.streaming else ''}"
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, float]:
    """Read one response, which Triton always sends in chunks.

    Returns how many tokens it carries, and when the first of them came.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    if " 200 " not in head.split("\r\n", 1)[0]:
        raise RuntimeError(head)
    tokens, first = 0, 0.0
    while True:
        size = int(await reader.readline(), 16)
        chunk = await reader.readexactly(size + 2)
        if not size:
            return tokens, first
        tokens += _count_tokens(chunk)
        first = first or time.perf_counter()


def _count_tokens(text: bytes) -> int:
    """Tokens in one or more responses: output_log_probs has one value for each."""
    count = 0
    start = text.find(b'"output_log_probs":')
    while start >= 0:
        start += len(b'"output_log_probs":')
        if text[start : start + 1] == b"[":
            end = text.index(b"]", start)
            count += text.count(b",", start, end) + 1 if end > start + 1 else 0
        else:
            count += 1
        start = text.find(b'"output_log_probs":', start)
    return count


def _result(plan: Plan, latencies: list[float], firsts: list[float], seconds: float) -> Result:
    first = statistics.median(firsts) if firsts else None
    return Result(plan.tokens / seconds, statistics.median(latencies), first)


def _in_process(engine_dir: Path, kv_cache_tokens: int) -> InProcess:
    parameters = {
        "gpt_model_path": str(engine_dir.resolve()),
        "gpt_model_type": "inflight_batching",
        "max_tokens_in_paged_kv_cache": str(kv_cache_tokens),
    }
    config = {"parameters": {key: {"string_value": value} for key, value in parameters.items()}}
    settings = read_settings(config, free_memory=lambda *_: 64 * GIB)
    return InProcess(
        open_pipeline(settings),
        settings,
        Tokenizer.from_file(str(engine_dir / "tokenizer.json")),
        load_vocabulary(engine_dir / "tokenizer.json"),
    )


def main() -> int:
    """Run from the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=Path, required=True, help="the engine the server serves")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--requests", type=int, default=2, help="requests of each client a round")
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kv-cache-tokens", type=int, default=2560)
    parser.add_argument("--bls", action="store_true", help="measure tensorrt_llm_bls as well")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    address = urlsplit(options.url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    engine = _in_process(options.engine, options.kv_cache_tokens)
    ways: dict[str, Callable[[Plan], Result]] = {
        "in-process": engine.measure,
        "ensemble": Served(host, port, "ensemble", streaming=False).measure,
        "ensemble streaming": Served(host, port, "ensemble", streaming=True).measure,
    }
    if options.bls:
        ways["bls"] = Served(host, port, "tensorrt_llm_bls", streaming=False).measure
        ways["bls streaming"] = Served(host, port, "tensorrt_llm_bls", streaming=True).measure
    report: list[dict[str, Any]] = []
    for clients in options.clients:
        plan = Plan(clients, options.requests, options.max_tokens)
        results: dict[str, list[Result]] = {name: [] for name in ways}
        for measure in ways.values():
            measure(Plan(clients, 1, 8))  # warm up
        for _ in range(options.rounds):
            for name, measure in ways.items():
                results[name].append(measure(plan))
        report += _print(plan, results)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _print(plan: Plan, results: dict[str, list[Result]]) -> list[dict[str, Any]]:
    rounds = len(next(iter(results.values())))
    print(
        f"{plan.clients} clients, {plan.requests} requests each, {plan.max_tokens} tokens a "
        f"request, medians of {rounds} alternating rounds"
    )
    rows: list[dict[str, Any]] = []
    for name, measured in results.items():
        throughput = statistics.median(result.throughput for result in measured)
        latency = statistics.median(result.latency for result in measured)
        spread = [result.throughput for result in measured]
        ratios = [
            result.throughput / base.throughput
            for result, base in zip(measured, results["in-process"], strict=True)
        ]
        ratio = statistics.median(ratios)
        firsts = [result.first for result in measured if result.first is not None]
        first = statistics.median(firsts) if firsts else None
        token = "" if first is None else f"first token {1000 * first:.1f} ms"
        print(
            f"  {name:20} {throughput:7.1f} tokens/s ({min(spread):.1f} to {max(spread):.1f})  "
            f"{latency:6.2f} s a request  ratio {ratio:.3f}  {token}"
        )
        rows.append(
            {
                "clients": plan.clients,
                "way": name,
                "tokens_per_second": throughput,
                "seconds_per_request": latency,
                "seconds_to_first_token": first,
                "ratio": ratio,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
