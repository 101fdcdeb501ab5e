"""Two results side by side, as ratios of the later to the earlier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields

from rolecall.errors import ConfigError
from roles.bench.results import Result
from roles.bench.statistics import Figures
from roles.bench.workload import Level, Workload

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

#: Levels side by side; more stand below.
_COLUMNS = 4


def compare(before: Result, after: Result) -> Iterator[str]:
    """A line for each figure and level that both have.

    Raises:
        ConfigError: they did not count the same; what they asked, :func:`check` compares.
    """
    if before.unit != after.unit:
        raise ConfigError(
            f"{before.id} cannot be compared with: lengths are in {after.unit}, and were in "
            f"{before.unit}"
        )
    yield f"against {before.id}, as ratios (now : then)"
    earlier = {level.title: level for level in before.levels}
    both = [level for level in after.levels if level.title in earlier]
    for begin in range(0, len(both), _COLUMNS):
        yield from _side_by_side(earlier, both[begin : begin + _COLUMNS])


def _side_by_side(earlier: Mapping[str, Figures], shared: Sequence[Figures]) -> Iterator[str]:
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


def check(before: Result, now: Workload) -> None:
    """See that figures of ``before`` and of ``now`` mean the same.

    Raises:
        ConfigError: they do not ask the same; the message says what differs.
    """
    then = before.workload
    differing = [
        f"{one.name} is {getattr(now, one.name)}, and was {getattr(then, one.name)}"
        for one in fields(now)
        if one.name not in ("levels", "requests", "duration")
        and getattr(now, one.name) != getattr(then, one.name)
    ]
    if not {one.title for one in now.levels} & {one.title for one in then.levels}:
        differing.append(f"levels are {_titles(now.levels)}, and were {_titles(then.levels)}")
    if differing:
        raise ConfigError(
            f"the load test {before.id} cannot be compared with: {'; '.join(differing)}",
            "run it with the same options",
        )


def _titles(levels: tuple[Level, ...]) -> str:
    return ", ".join(level.title for level in levels)
