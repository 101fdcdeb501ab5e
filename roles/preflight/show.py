"""What ``./inv preflight`` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.run import HostPlan
from rolecall.shell_run import looking
from roles.preflight.sizing.fit import DOES_NOT_FIT, FITS, TIGHT
from roles.preflight.sizing.texts import gib, proposals, sequences
from roles.preflight.survey import Survey, as_event, fetching, survey

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_COLOURS = {FITS: "green", TIGHT: "yellow", DOES_NOT_FIT: "red"}


def show_preflight(project: Project, flags: Flags, *, fetch: bool) -> bool:
    """Print the table of each host; False when something does not fit, or a host is not reached.

    Cards that are missing are fetched first if ``fetch`` says so; nothing else is written.
    """
    plans = project.host_plans(flags)
    found = {plan.target.name: _look(project, plan) for plan in plans}
    missing = [plan for plan in plans if _lacks(found[plan.target.name])]
    if missing and fetch:
        project.converge("preflight", flags, what=fetching, plans=missing)
        found |= {plan.target.name: _look(project, plan) for plan in missing}
    good = True
    for name, seen in found.items():
        good = _print(name, seen, as_json=flags.json) and good
    return good


def _look(project: Project, plan: HostPlan) -> Survey | RolecallError:
    try:
        with looking(plan, lambda _: [], project.facts_cache()) as (session, opened):
            return survey(session, opened.host)
    except RolecallError as error:
        return error


def _lacks(seen: Survey | RolecallError) -> bool:
    return isinstance(seen, Survey) and seen.lacking


def _print(name: str, seen: Survey | RolecallError, *, as_json: bool) -> bool:
    if isinstance(seen, RolecallError):
        if as_json:
            event = {"event": "preflight", "host": name, "verdict": "unreachable"}
            print(json.dumps({**event, "reason": seen.message, "hint": seen.hint}))
        else:
            print(f"{name}: {seen.message}" + (f"\n  next: {seen.hint}" if seen.hint else ""))
        return False
    if as_json:
        print(json.dumps(as_event(seen)))
    else:
        _print_table(seen)
    return seen.verdict != DOES_NOT_FIT


def _print_table(seen: Survey) -> None:
    from rich.console import Console
    from rich.text import Text

    out = Console(highlight=False, width=None if sys.stdout.isatty() else 80)
    verdict = "not known yet" if seen.lacking else seen.verdict
    title = Text(f"{seen.host}  {seen.model}  ({seen.recipe})  ")
    out.print(title.append(verdict, style=_COLOURS.get(verdict, "")), soft_wrap=True)
    out.print(_table(seen))
    for line in _below(seen):
        out.print(Text(line))
    _print_advice(out, seen)
    out.print()


def _table(seen: Survey) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for check in seen.checks:
        style = _COLOURS[check.verdict]
        said = check.said + (f"\nnext: {check.hint}" if check.hint and style != "green" else "")
        table.add_row(Text(check.title), Text(check.verdict, style=style), Text(said))
    for what, size, how in _figures(seen):
        table.add_row(Text(f"  {what}"), Text(size, justify="right"), Text(how))
    return table


def _figures(seen: Survey) -> Iterator[tuple[str, str, str]]:
    """The memory of each GPU, part by part."""
    sizing, shape = seen.sizing, seen.shape
    if sizing is None or shape is None:
        return
    plan = sizing.plan
    count = f"{shape.parameters / 1e9:.2f} billion parameters, " if shape.parameters else ""
    held = sizing.quantization if sizing.quantization != "none" else sizing.dtype
    split = f", divided by {plan.gpus}" if plan.gpus > 1 else ""
    yield "weights", gib(sizing.weights), f"{count}{held}{split}"
    batch = sequences(plan.max_batch_size, sizing.seq_len)
    if plan.max_tokens_in_paged_kv_cache:
        batch = f"{batch}, at most {plan.max_tokens_in_paged_kv_cache} tokens"
    each = f"{sizing.kv_token / 1024:.1f} KiB a token in {sizing.kv_dtype}"
    yield "KV cache", gib(sizing.kv_batch), f"{batch}; {each}"
    if sizing.sequences >= 0:
        room = sequences(sizing.sequences, sizing.seq_len)
        yield "  room for", "", f"{room} at once, with the estimates taken off"
    yield "activations", gib(sizing.activations), "an estimate"
    yield "runtime", gib(sizing.runtime), "an estimate: CUDA's context and Triton's pool"
    usable = f"of {gib(sizing.usable)} that count, of {gib(sizing.total)}" if sizing.total else ""
    yield "sum", gib(sizing.needed), usable


def _below(seen: Survey) -> Iterator[str]:
    if seen.lacking:
        yield "The model is not sized: its card is not on the host. ./inv preflight without"
        yield "--no-fetch brings it, which needs a way to the hub."
    if seen.shape:
        yield from (f"note: {note}" for note in seen.shape.notes)


def _print_advice(out: Console, seen: Survey) -> None:
    from rich.text import Text

    if not seen.advice:
        return
    out.print(Text("It would do with:"))
    for line in proposals(seen.advice):
        out.print(Text(f"  {line}"), soft_wrap=True)
