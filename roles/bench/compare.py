"""Two results side by side, as ratios of the later to the earlier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

from rolecall.errors import ConfigError
from roles.bench.results import Result
from roles.bench.statistics import Figures

#: What is compared: title, how to get at it, and whether more is better.
_COMPARED: tuple[tuple[str, Callable[[Figures], float | None], bool], ...] = (
    ("requests/s", lambda one: one.requests_per_second, True),
    ("tokens/s out", lambda one: one.tokens_per_second, True),
    ("first token p50", lambda one: one.first_token.p50 if one.first_token else None, False),
    ("first token p99", lambda one: one.first_token.p99 if one.first_token else None, False),
    (
        "between tokens p50",
        lambda one: one.between_tokens.p50 if one.between_tokens else None,
        False,
    ),
    ("whole answer p50", lambda one: one.whole.p50 if one.whole else None, False),
    ("whole answer p99", lambda one: one.whole.p99 if one.whole else None, False),
)

#: Up to this ratio, either way, nothing is said of better or worse: runs differ by chance.
_CHANCE = 1.05


def compare(before: Result, after: Result) -> Iterator[str]:
    """A line for each figure and level that both have.

    Raises:
        ConfigError: they did not ask the same.
    """
    _check(before, after)
    yield f"against {before.id}, as ratios (now : then)"
    earlier = {level.title: level for level in before.levels}
    shared = [level for level in after.levels if level.title in earlier]
    yield f"{'':<26}" + "".join(f"{level.title:>13}" for level in shared)
    for title, get, more_is_better in _COMPARED:
        cells = [
            _ratio(get(earlier[level.title]), get(level), better=more_is_better) for level in shared
        ]
        yield f"{title:<26}" + "".join(f"{cell:>13}" for cell in cells)


def _ratio(then: float | None, now: float | None, *, better: bool) -> str:
    if not then or now is None:
        return "-"
    ratio = now / then
    if 1 / _CHANCE <= ratio <= _CHANCE:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} {'better' if (ratio > 1) == better else 'worse'}"


def _check(before: Result, after: Result) -> None:
    """Raises ``ConfigError`` where figures of the two would not mean the same."""
    ours, theirs = after.workload, before.workload
    differing = [
        f"{one.name} is {getattr(ours, one.name)}, and was {getattr(theirs, one.name)}"
        for one in fields(ours)
        if one.name not in ("levels", "requests", "duration")
        and getattr(ours, one.name) != getattr(theirs, one.name)
    ]
    if before.unit != after.unit:
        differing.append(f"lengths are in {after.unit}, and were in {before.unit}")
    if not {one.title for one in after.levels} & {one.title for one in before.levels}:
        differing.append(f"levels are {_titles(after.levels)}, and were {_titles(before.levels)}")
    if differing:
        raise ConfigError(
            f"the load test {before.id} cannot be compared with: {'; '.join(differing)}",
            "run it with the same options",
        )


def _titles(levels: tuple[Figures, ...]) -> str:
    return ", ".join(level.title for level in levels)
