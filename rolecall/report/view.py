"""What the page shows of a run: chosen, ordered, cut to what a reader can take in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rolecall.output.changes import Shown, shown
from rolecall.output.hosts import fold, is_fleet, without_host
from rolecall.output.text import Charset, clean, count, duration, gist
from rolecall.report.compare import Comparison
from rolecall.report.model import UNFINISHED, Part, RoleSettings, Run, SettingLine, Step
from rolecall.resource import Change

_UTF8 = Charset("utf-8")

#: The order of resources of a host: what needs a look comes first.
_FIRST = ("failed", "unreachable", UNFINISHED, "changed", "skipped", "ok")

#: Changes of a resource that are shown at once; the others are folded.
CHANGES = 8

#: Lines of the output of a failed step that its failure shows.
LAST_WORDS = 12


@dataclass(frozen=True)
class Limits:
    """How much of each thing goes onto the page, so that it stays usable for a fleet.

    Attributes:
        output: lines of the output of one step.
        diff: lines of one text's difference.
    """

    output: int
    diff: int

    @classmethod
    def of(cls, run: Run) -> Limits:
        """A page has room for some 20000 lines of each, shared evenly."""
        steps = [step for part in run.parts.values() for step in part.steps]
        outputs = sum(bool(step.output) for step in steps)
        diffs = sum(len(step.diffs) for step in steps)
        return cls(
            min(200, max(5, 20_000 // max(1, outputs))), min(500, max(20, 20_000 // max(1, diffs)))
        )


@dataclass(frozen=True)
class TextView:
    """The difference of a text, a class and a text for each line.

    Attributes:
        left_out: lines that are not shown.
    """

    path: str
    lines: tuple[tuple[str, str], ...]
    left_out: int


@dataclass(frozen=True)
class StepView:
    """One resource on the page.

    Attributes:
        delta: seconds that it took longer than in the compared run.
        more_changes: those that are folded.
        output: the first lines, and behind ``left_out`` lines the last ones.
    """

    step: Step
    mark: str
    delta: float | None
    changes: tuple[Shown, ...]
    more_changes: tuple[Shown, ...]
    texts: tuple[TextView, ...]
    output_head: tuple[str, ...]
    left_out: int
    output_tail: tuple[str, ...]
    progress: str

    @property
    def reason(self) -> str:
        """Why; of a failed step whose output is shown as well, without the last of that."""
        return gist(self.step.reason) if self.step.output else self.step.reason

    @property
    def has_details(self) -> bool:
        """Whether there is more to show than its line."""
        return bool(self.changes or self.texts or self.output_head or self.output_tail)


@dataclass(frozen=True)
class HostView:
    """One host on the page; ``ok`` are the steps that nothing was to be done for.

    ``folded``: of a fleet, it is one of those where nothing changed.
    """

    part: Part
    anchor: str
    steps: tuple[StepView, ...]
    ok: tuple[StepView, ...]
    counts: tuple[tuple[str, int], ...]
    folded: bool


@dataclass(frozen=True)
class FailureView:
    """A failure, and the hosts that have it.

    Attributes:
        gist: the reason in one line; ``reason`` is the rest of it.
        shared: the hosts in few words.
    """

    id: str
    role: str
    outcome: str
    gist: str
    reason: str
    hint: str
    hosts: tuple[str, ...]
    shared: str


@dataclass(frozen=True)
class SettingsView:
    """The settings of a role for some hosts: those that were set, and those with defaults."""

    role: str
    shared: str
    given: tuple[SettingLine, ...]
    defaults: tuple[SettingLine, ...]


def verdict(run: Run) -> str:
    """The run in a sentence."""
    hosts = run.parts.values()
    if run.ended == "stopped":
        return run.reason or "It was stopped by an error."
    if run.ended == "interrupted":
        return f"It was interrupted after {duration(run.seconds)}."
    if run.ended == "unknown":
        return (
            f"Its log ends after {duration(run.seconds)} without an end of the run: it was "
            "killed, or still goes on."
        )
    bad = sum(part.outcome in ("failed", "unreachable") for part in hosts)
    if bad:
        failed = run.count("failed") + run.count("unreachable")
        where = f" on {bad} of {len(hosts)} hosts" if len(hosts) > 1 else ""
        return f"{count(failed, 'failure')}{where}."
    changed = run.count("changed")
    if not changed:
        return "Nothing was to be done."
    if run.check:
        return f"{count(changed, 'resource')} would change. Nothing was written."
    return f"{count(changed, 'resource')} changed."


def next_steps(run: Run) -> list[tuple[str, str]]:
    """How to go on: what for, and the command or the sentence."""
    steps: list[tuple[str, str]] = []
    if run.hint:
        steps.append(("Next", run.hint))
    if run.next:
        steps.append(("The hosts that are left", run.next))
    elif run.command and run.outcome not in ("ok", "changed"):
        steps.append(("Go on from the state it finds", run.command))
    elif run.command and run.check and run.outcome == "changed":
        steps.append(("Make these changes", _changing(run)))
    return steps


def _changing(run: Run) -> str:
    """The command that makes what a check has foretold; it stands in the log without --check."""
    if run.task in ("plan", "drift"):
        before = r"^(\./inv|\./fab .*?-H \S+)"
        return re.sub(rf"{before} {run.task}(?= |$)", r"\1 deploy", run.command)
    return run.command


def failures(run: Run, anchors: dict[str, str]) -> list[FailureView]:
    """Everything that failed; hosts with the same failure are told together."""
    found: dict[tuple[str, str, str], tuple[Step, list[str]]] = {}
    for host, part in run.parts.items():
        for step in part.steps:
            if step.bad:
                key = (
                    step.outcome,
                    without_host(step.id, host),
                    without_host(gist(step.reason), host),
                )
                found.setdefault(key, (step, []))[1].append(host)
    return [
        FailureView(
            step.id,
            step.role,
            step.outcome,
            gist(step.reason),
            _last_words(step),
            step.hint,
            tuple(hosts),
            fold(hosts),
        )
        for step, hosts in found.values()
        if all(host in anchors for host in hosts)
    ]


def _last_words(step: Step) -> str:
    """What a reason says beyond its gist: the last of what the step printed."""
    first, *rest = step.reason.split("\n")
    above = [] if gist(step.reason) == first else [first]
    return "\n".join([*above, *rest[-LAST_WORDS:]])


def host_views(run: Run, compared: Comparison | None, limits: Limits) -> list[HostView]:
    """Every host, those that need a look first."""
    views = [
        _host_view(part, f"h{number}", compared, limits, fleet=is_fleet(len(run.parts)))
        for number, part in enumerate(run.parts.values(), 1)
    ]
    return sorted(views, key=lambda view: _FIRST.index(view.part.outcome))


def _host_view(
    part: Part, anchor: str, compared: Comparison | None, limits: Limits, *, fleet: bool
) -> HostView:
    steps = [_step_view(part.host, step, compared, limits) for step in part.steps]
    steps.sort(key=lambda view: _FIRST.index(view.step.heading))
    heads = [view for view in steps if view.step.heading != "ok"]
    counts = [(name, part.count(name)) for name in reversed(_FIRST)]
    return HostView(
        part,
        anchor,
        tuple(heads),
        tuple(view for view in steps if view.step.heading == "ok"),
        tuple((name, number) for name, number in counts if number),
        fleet and part.outcome in ("ok", "skipped"),
    )


def _step_view(host: str, step: Step, compared: Comparison | None, limits: Limits) -> StepView:
    texts = [_text(path, lines, limits) for path, lines in step.diffs]
    changes: list[Change] = []
    for change in step.changes:
        before, after = change.before or "", change.after or ""
        if "\n" in before or "\n" in after:
            texts.append(_text(change.field, _unified(before, after), limits))
        else:
            changes.append(change)
    told, _ = shown(changes, _UTF8, full=True, diffed=bool(step.diffs))
    head = min(len(step.output), limits.output // 4)
    tail = step.output[head:][-(limits.output - head) :]
    return StepView(
        step,
        _MARKS.get(step.outcome, "…"),
        compared.delta(host, step) if compared else None,
        tuple(told[:CHANGES]),
        tuple(told[CHANGES:]),
        tuple(texts),
        tuple(map(clean, step.output[:head])),
        step.lines - head - len(tail),
        tuple(map(clean, tail)),
        _progress(step),
    )


_MARKS = {
    "ok": "✓",
    "changed": "●",
    "would change": "~",
    "unknown until": "?",
    "skipped": "–",  # noqa: RUF001 - a dash is meant
    "failed": "✗",
    "unreachable": "✗",
}


def _unified(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return [*lines][2:]


def _text(path: str, lines: Sequence[str], limits: Limits) -> TextView:
    kept = lines[: limits.diff]
    return TextView(
        path,
        tuple((_LINES.get(line[:1], "same"), clean(line)) for line in kept),
        len(lines) - len(kept),
    )


_LINES = {"+": "added", "-": "removed", "@": "where"}


def _progress(step: Step) -> str:
    """How far a step came, such as ``downloading: 3 of 9 files``."""
    if not step.progress:
        return ""
    last = step.progress[-1]
    done, total = (_amount(value, last.unit) for value in (last.done, last.total))
    of = f" of {total}" if last.total else ""
    unit = f" {last.unit}" if last.unit not in ("", "B") else ""
    return f"{last.label}: {done}{of}{unit}" if last.label else f"{done}{of}{unit}"


def _amount(value: float, unit: str) -> str:
    if unit != "B":
        return f"{value:g}"
    for name in ("B", "kB", "MB", "GB"):
        if value < 1000 or name == "GB":
            break
        value /= 1000
    return f"{value:.3g} {name}"


def settings_views(run: Run) -> list[SettingsView]:
    """The settings of every role, in their order; where all hosts share them, none is named."""
    return [
        SettingsView(
            settings.role,
            _whose(settings, run),
            tuple(one for one in settings.values if one.source != "default"),
            tuple(one for one in settings.values if one.source == "default"),
        )
        for settings in run.settings
    ]


def _whose(settings: RoleSettings, run: Run) -> str:
    return "" if len(settings.hosts) == len(run.parts) else fold(settings.hosts, 12)
