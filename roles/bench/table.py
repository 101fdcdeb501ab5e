"""A result as lines of text: a column for each level, in 80 columns where they are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from roles.bench.results import Result
from roles.bench.statistics import Figures, Spread

_LABEL = 26

#: Levels side by side; more stand below.
_COLUMNS = 4


def lines(result: Result) -> Iterator[str]:
    """What was asked, what came, and what the server says of it."""
    work = result.workload
    asked = f"{work.input_tokens} in, {work.output_tokens} out ({result.unit})"
    yield f"{result.host}: {work.api} API, {asked}, seed {work.seed}"
    if result.stopped:
        yield f"{result.stopped}: what stands here is what was measured until then"
    if not result.levels:
        return
    for begin in range(0, len(result.levels), _COLUMNS):
        yield from rows(result.levels[begin : begin + _COLUMNS], result.unit)
    for level in result.levels:
        for error, count in level.errors.items():
            yield f"{level.title}: {count} failed: {error}"


def rows(levels: Sequence[Figures], unit: str) -> Iterator[str]:
    """The table itself."""
    yield _row("", [level.title for level in levels])
    yield _row("requests answered", [str(level.requests) for level in levels])
    yield _row("failed", [str(sum(level.errors.values())) for level in levels])
    yield _row("requests/s", [_number(level.requests_per_second) for level in levels])
    yield _row(f"{unit}/s out", [_number(level.tokens_per_second) for level in levels])
    yield _row(f"{unit} in, out", [_lengths(level) for level in levels])
    yield from _spread("first token, ms", levels, lambda level: level.first_token)
    yield from _spread("between tokens, ms", levels, lambda level: level.between_tokens)
    yield from _spread("between pieces, ms", levels, lambda level: level.gaps)
    yield from _spread("whole answer, ms", levels, lambda level: level.whole)
    for model in dict.fromkeys(one.model for level in levels for one in level.server):
        for what in ("queue", "compute"):
            values = [_of_server(level, model, what) for level in levels]
            yield _row(f"{model} {what}, ms", values)
    yield from _engine(levels)


def _engine(levels: Sequence[Figures]) -> Iterator[str]:
    """How full the engine was, where the server tells it."""
    if not any(level.engine for level in levels):
        return
    titles = (("active", "in the engine, at most"), ("waiting", "waiting for it, at most"))
    for name, title in titles:
        values = (level.engine.get(name) for level in levels)
        yield _row(title, ["-" if value is None else f"{value:.0f}" for value in values])
    full = [
        f"{level.engine.get('blocks', 0) / level.engine['all_blocks']:.0%}"
        if level.engine.get("all_blocks")
        else "-"
        for level in levels
    ]
    yield _row("KV cache full, at most", full)


def _lengths(level: Figures) -> str:
    return f"{level.input_tokens:.0f}, {level.output_tokens:.0f}"


def _spread(
    title: str, levels: Sequence[Figures], chosen: Callable[[Figures], Spread | None]
) -> Iterator[str]:
    for number, name in enumerate(("p50", "p90", "p99")):
        values = [_ms(getattr(spread, name)) if (spread := chosen(one)) else "-" for one in levels]
        label = f"{title:<{_LABEL - 4}}" if number == 0 else " " * (_LABEL - 4)
        yield _row(f"{label} {name}", values)


def _of_server(level: Figures, model: str, what: str) -> str:
    found = next((one for one in level.server if one.model == model), None)
    return _ms(getattr(found, what)) if found else "-"


def _row(label: str, values: Sequence[str]) -> str:
    cells = "".join(f"{value:>13}" for value in values)
    return f"{label:<{_LABEL}}{cells}".rstrip()


def _ms(seconds: float) -> str:
    return _number(seconds * 1000)


def _number(value: float) -> str:
    """Three digits that say something."""
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
