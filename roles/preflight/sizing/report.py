"""The host's own judgement, for a probe: prints what does not hold, and says so by its status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from roles.preflight.sizing.advice import advise
from roles.preflight.sizing.card import CardError, read_card
from roles.preflight.sizing.disk import Item, shortages
from roles.preflight.sizing.fit import DOES_NOT_FIT, VERDICTS, size
from roles.preflight.sizing.host import memory_verdict, needs
from roles.preflight.sizing.plan import MIB, gpus_from_json, plan_from_json
from roles.preflight.sizing.texts import memory_reason, proposals, reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def main(argument: str) -> int:
    """Judge what the JSON text ``argument`` asks about; 0 when all of it holds."""
    lines = judge(json.loads(argument))
    for line in lines:
        print(line)
    return 1 if lines else 0


def judge(asked: Mapping[str, Any]) -> list[str]:
    """What does not hold of ``asked``, in words; nothing where all of it does.

    ``asked`` has ``plan``, ``gpus``, ``card`` (a directory), ``memory_mib`` of the host,
    ``accept`` (the worst verdict that is good enough) and ``disk``: for what is to be made, where
    it goes and what says that it is there.
    """
    plan, gpus = plan_from_json(asked["plan"]), gpus_from_json(asked["gpus"])
    try:
        model, files = read_card(Path(asked["card"]))
        sizing = size(model, plan, gpus)
    except CardError as error:
        return [str(error)]
    except ValueError as error:
        return [f"the model cannot be sized: {error}"]
    bad = VERDICTS[VERDICTS.index(asked["accept"]) + 1 :]
    lines = []
    if sizing.verdict in bad or sizing.problems:  # what cannot be at all is never accepted
        lines += [f"the model {_verb(sizing.verdict)}: {text}" for text in reason(sizing)]
        found = proposals(advise(model, plan, gpus))
        lines += [f"would do: {text}" for text in found]
    need, memory = needs(model, files, plan), asked["memory_mib"] * MIB
    if memory_verdict(need, memory) in bad:
        lines.append(f"host memory: {memory_reason(need, memory)}")
    room = {"model": need.model, "checkpoint": need.checkpoint, "engine": need.engine}
    items = [
        Item(f"the {item['what']}", room[item["what"]], item["path"], item["unless"])
        for item in asked["disk"]
    ]
    return [*lines, *(shortage.text for shortage in shortages(items))]


def _verb(verdict: str) -> str:
    return verdict if verdict == DOES_NOT_FIT else f"is {verdict}"
