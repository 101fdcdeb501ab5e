#!/usr/bin/env python3
"""What the client of ``./inv bench`` itself costs, against a server that only plays a schedule.

    python benchmarks/bench_client.py

Each request is answered, after a wait, with events as Triton's ``generate_stream`` sends them, one
every so many milliseconds, from another process. The server writes down when each event is due,
and the client's figures are compared with that: what they have more is the client's (and the
loopback's). Then the server sends as fast as it can, which gives the client's limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from roles.bench.client import TritonAsker
from roles.bench.load import Run
from roles.bench.prompts import Words
from roles.bench.statistics import Figures, figures
from roles.bench.workload import Level, Workload
from roles.server.client import Served

#: One event as the ensemble of the CPU recipe sends it.
_EVENT = (
    b'data: {"context_logits":0.0,"cum_log_probs":0.0,"generation_logits":0.0,'
    b'"model_name":"ensemble","model_version":"1","output_log_probs":0.0,"sequence_end":false,'
    b'"sequence_id":0,"sequence_start":false,"text_output":" word"}\n\n'
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_INPUTS = frozenset({"text_input", "max_tokens", "temperature", "end_id", "stream"})


@dataclass(frozen=True)
class Schedule:
    """How each request is answered: ``pieces`` events, times in seconds."""

    pieces: int
    first: float
    between: float


def serve(schedule: Schedule, ready: multiprocessing.SimpleQueue[int]) -> None:
    """Play the schedule to everyone who asks, until this process is ended."""
    asyncio.run(_serve(schedule, ready))


async def _serve(schedule: Schedule, ready: multiprocessing.SimpleQueue[int]) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                begun = time.perf_counter()
                await reader.readexactly(length)
                writer.write(_HEAD)
                for number in range(schedule.pieces):
                    due = begun + schedule.first + number * schedule.between
                    if schedule.between:
                        await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    writer.write(chunk)
                    if not schedule.between:
                        await writer.drain()
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ready.put(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def measure(schedule: Schedule, clients: int, requests: int) -> tuple[Figures, float]:
    """The figures of a load test of the schedule, and the CPU seconds that it took."""
    ready: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=(schedule, ready), daemon=True)
    server.start()
    try:
        asker = TritonAsker(f"http://127.0.0.1:{ready.get()}", Served("x", _INPUTS, decoupled=True))
        level = Level(concurrency=clients)
        workload = Workload((level,), 128, schedule.pieces, requests)
        spent: list[float] = []
        run = Run(workload, level, 0, asker, Words(), warm=lambda: spent.append(_cpu()))
        run.go()
        return figures(level.title, run.samples), _cpu() - spent[0]
    finally:
        server.terminate()
        server.join()


def _cpu() -> float:
    return time.process_time()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--requests", type=int, default=4, help="of each client")
    parser.add_argument("--pieces", type=int, default=128, help="events of each answer")
    parser.add_argument("--first", type=float, default=100.0, help="ms until the first event")
    parser.add_argument("--between", type=float, default=20.0, help="ms between events")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args(arguments)
    rows = []
    for clients in options.clients:
        paced = Schedule(options.pieces, options.first / 1000, options.between / 1000)
        found, spent = measure(paced, clients, clients * options.requests)
        assert found.first_token and found.between_tokens and not found.errors, found.errors
        rows.append(
            {
                "clients": clients,
                "pieces_per_second": found.tokens_per_second,
                "first_token_too_much_ms": {
                    name: 1000 * getattr(found.first_token, name) - options.first
                    for name in ("p50", "p99")
                },
                "between_tokens_too_much_ms": {
                    name: 1000 * getattr(found.between_tokens, name) - options.between
                    for name in ("p50", "p99")
                },
                "cpu_share": spent / found.seconds,
            }
        )
    flat_out, spent = measure(Schedule(options.pieces, 0.0, 0.0), 16, 16 * options.requests * 4)
    pieces = flat_out.requests * options.pieces
    limit = {
        "pieces_per_second": flat_out.tokens_per_second,
        "cpu_microseconds_per_piece": 1e6 * spent / pieces,
    }
    for row in rows:
        first, between = row["first_token_too_much_ms"], row["between_tokens_too_much_ms"]
        print(
            f"{row['clients']:4} clients, {row['pieces_per_second']:7.0f} pieces/s: first token "
            f"+{first['p50']:.2f} ms (p99 +{first['p99']:.2f}), between tokens "
            f"{between['p50']:+.3f} ms (p99 {between['p99']:+.3f}), "
            f"{row['cpu_share']:.0%} of a core"
        )
    print(
        f"flat out: {limit['pieces_per_second']:.0f} pieces/s, "
        f"{limit['cpu_microseconds_per_piece']:.0f} µs of CPU a piece"
    )
    if options.json:
        options.json.write_text(json.dumps({"paced": rows, "limit": limit}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
