from __future__ import annotations

import json
import math
from datetime import datetime

from rolecall.events import Output, Progress
from rolecall.output.jsonl import JsonLines
from tests.unit.output.support import HOST, Clock, EncodedText, changed, feed, ok, run_of


def json_lines(*events: object, clock: Clock | None = None) -> list[str]:
    out = EncodedText("ascii")
    feed(JsonLines(out, clock or Clock()), run_of(*events))  # type: ignore[arg-type]
    return out.getvalue().splitlines()


def test_every_line_is_one_event_with_its_time_and_the_recap_is_last() -> None:
    lines = [json.loads(line) for line in json_lines(ok("a:1"), changed("a:2"))]
    assert [line["event"] for line in lines] == [
        "run",
        "host",
        "resource",
        "resource",
        "host_done",
        "recap",
    ]
    for line in lines[:-1]:
        assert datetime.fromisoformat(line["at"]).tzinfo is not None
    counts = {"ok": 1, "changed": 1, "skipped": 0, "failed": 0, "unreachable": 0}
    assert lines[-1] == {"event": "recap", "hosts": {HOST: counts}}


def test_bytes_that_are_not_utf8_and_control_characters_stay_inside_json() -> None:
    line = "caf\udce9 \x1b[31m\u202e"
    texts = json_lines(Output(HOST, "a:1", line))
    assert json.loads(texts[2])["line"] == line
    assert all(text.isascii() and text.isprintable() for text in texts)


def test_numbers_that_json_does_not_know_are_null() -> None:
    (line,) = [
        line
        for line in json_lines(Progress(HOST, "a:1", "", math.nan, math.inf, "B"))
        if '"progress"' in line
    ]
    assert (json.loads(line)["done"], json.loads(line)["total"]) == (None, None)


def test_progress_comes_at_most_twice_a_second() -> None:
    out, clock = EncodedText(), Clock()
    listener = JsonLines(out, clock)
    for step in range(100):
        clock.now += 0.1
        listener.handle(Progress(HOST, "a:1", "", step, 1000, "B"))
    assert len(out.getvalue().splitlines()) <= 21
