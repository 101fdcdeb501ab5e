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

#: The settings by which a model is another one.
_MODEL = ("model.source", "model.sha256", "model.file")

#: Differences of settings that are listed, and characters of a value.
_TOLD, _LONGEST = 12, 60

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
    yield from differences(before, after)
    earlier = {level.title: level for level in before.levels}
    both = [level for level in after.levels if level.title in earlier]
    if not both:
        yield "no level was measured then and now"
    for level in both:
        yield from _lengths(earlier[level.title], level)
    for begin in range(0, len(both), _COLUMNS):
        yield from _side_by_side(earlier, both[begin : begin + _COLUMNS])


def differences(before: Result, after: Result) -> Iterator[str]:
    """What is not the same about what was measured: what the ratios may be due to.

    Another model comes first, since its tokens are others.
    """
    was, now = _told(before), _told(after)
    both = [name for name in now if name in was]
    changed = [name for name in both if was[name] != now[name]]
    changed.sort(key=lambda name: name not in _MODEL)
    if any(name in _MODEL for name in changed):
        yield "  another model: its tokens are others, and so are all times for each token"
    for name in changed[:_TOLD]:
        yield f"  {name} is {_short(now[name])}, and was {_short(was[name])}"
    if len(changed) > _TOLD:
        yield f"  and {len(changed) - _TOLD} more settings, which the two files have"


def _told(result: Result) -> dict[str, str]:
    """What a result says of host, versions and settings; ports lead to it and change nothing."""
    settings = {
        f"{role}.{name}": value
        for role, values in result.settings.items()
        for name, value in values.items()
        if not name.endswith("_port")
    }
    return {"host": result.host, **result.about, **settings}


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."


def _lengths(then: Figures, now: Figures) -> Iterator[str]:
    """Where answers, or prompts, were not as long as they were: a server may stop earlier."""
    for what, was, told in (
        ("prompts", then.input_tokens, now.input_tokens),
        ("answers", then.output_tokens, now.output_tokens),
    ):
        if was and told and not 1 / _CHANCE <= told / was <= _CHANCE:
            yield f"  {now.title}: {what} had {told:.0f} on average, and {was:.0f} then"


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
