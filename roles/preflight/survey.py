"""Everything that preflight finds out about one host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rolecall.api import Host, Resource, Skip, quote, words
from rolecall.loop.answers import parts
from rolecall.session import Session
from roles.model import role as models
from roles.model.settings import Model as ModelSettings
from roles.preflight.checks import Check, checks, environment_checks, memory_mib
from roles.preflight.deployment import plan
from roles.preflight.role import disk
from roles.preflight.sizing.advice import Advice, advise
from roles.preflight.sizing.card import card_of
from roles.preflight.sizing.disk import Item
from roles.preflight.sizing.fit import DOES_NOT_FIT, FITS, TIGHT, VERDICTS, Sizing, size
from roles.preflight.sizing.host import memory_verdict, needs
from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import MIB, Files, Gpus, Plan
from roles.preflight.sizing.texts import gib, memory_reason, reason
from roles.python.role import directory, python, tools_environment

# The card, but for its index of which only the shards' names count.
_CARD = r"""
rc_frame config
cat -- {card}/config.json
rc_frame modelopt
[ ! -f {card}/hf_quant_config.json ] || cat -- {card}/hf_quant_config.json
rc_frame listing
cat -- {card}/card.json
rc_frame shards
[ ! -f {card}/model.safetensors.index.json ] ||
  tr ',{{}}' '\n\n\n' <{card}/model.safetensors.index.json |
  sed -n 's/^ *"[^"]*" *: *"\([^"]*\)" *$/\1/p' | sort -u
"""

# For each path: what is there says 0; else the free KiB and the place of its file system.
_DISK = r"""
rc_frame disk
for rc_path in {paths}; do
  [ ! -e "$rc_path" ] || {{ echo 0 there; continue; }}
  until [ -d "$rc_path" ]; do rc_path=$(dirname -- "$rc_path"); done
  df -Pk -- "$rc_path" | {{ read -r rc_head; read -r a b c d e f; echo "$d $f"; }}
done
"""


@dataclass(frozen=True)
class Survey:
    """One host, looked at.

    Attributes:
        model: the model's source.
        lacking: the card is not on the host, so that the model is not sized.
    """

    host: str
    model: str
    recipe: str
    checks: tuple[Check, ...]
    lacking: bool = False
    shape: Model | None = None
    sizing: Sizing | None = None
    advice: tuple[Advice, ...] = ()

    @property
    def verdict(self) -> str:
        """The worst of all; ``tight`` also where the model is not known yet."""
        found = {check.verdict for check in self.checks} | ({TIGHT} if self.lacking else set())
        return max(found, key=VERDICTS.index, default=FITS)


def survey(session: Session, host: Host) -> Survey:
    """Ask a host about the card and its disks, in one round trip, and judge."""
    wanted = plan(host)
    source = host.settings(ModelSettings).source
    if wanted is None:
        return Survey(host.name, source, "no GPU is used", tuple(environment_checks(host)))
    found = checks(host, wanted)
    card = models.card(host)
    if card is None:
        note = f"{source} has no card: the model itself is not sized"
        found.append(Check("GPU memory", TIGHT, note))
        return Survey(host.name, source, wanted.recipe, tuple(found))
    places = disk(host)
    script = _CARD.format(card=quote(card.path)) + _DISK.format(
        paths=words(place["path"] for place in places)
    )
    said = {part.frame.kind: part for part in parts(session.exchange(script))}
    try:
        config, listing = json.loads(said["config"].text), json.loads(said["listing"].text)
    except ValueError:
        return Survey(host.name, source, wanted.recipe, tuple(found), lacking=True)
    modelopt = said["modelopt"].text
    shape, files = card_of(
        config, json.loads(modelopt) if modelopt else {}, listing, said["shards"].lines
    )
    free = [line.split(" ", 1) for line in said["disk"].lines if line]
    return _judge(host, wanted, found, (shape, files), list(zip(places, free, strict=True)))


def _judge(
    host: Host,
    wanted: Plan,
    found: list[Check],
    card: tuple[Model, Files],
    places: list[tuple[dict[str, str], list[str]]],
) -> Survey:
    shape, files = card
    source = host.settings(ModelSettings).source
    gpus = Gpus.of_facts(host.facts.extra)
    try:
        sizing = size(shape, wanted, gpus)
    except ValueError as error:
        found.append(Check("GPU memory", DOES_NOT_FIT, f"the model cannot be sized: {error}"))
        return Survey(host.name, source, wanted.recipe, tuple(found), shape=shape)
    need, memory = needs(shape, files, wanted), memory_mib(host) * MIB
    found.append(Check("GPU memory", sizing.verdict, "; ".join(reason(sizing))))
    found.append(Check("host memory", memory_verdict(need, memory), memory_reason(need, memory)))
    room = {"model": need.model, "checkpoint": need.checkpoint, "engine": need.engine}
    items = [
        (Item(place["what"], room[place["what"]], place["path"], place["unless"]), free)
        for place, free in places
    ]
    found += _disks(items)
    advice = tuple(advise(shape, wanted, gpus))
    return Survey(host.name, source, wanted.recipe, tuple(found), False, shape, sizing, advice)


def _disks(items: list[tuple[Item, list[str]]]) -> Iterator[Check]:
    """A check for each file system on which something is still to be made."""
    by_place: dict[str, tuple[float, list[Item]]] = {}
    for item, (kib, place) in items:
        if place != "there" and item.size:
            by_place.setdefault(place, (int(kib) * 1024.0, []))[1].append(item)
    for place, (free, here) in by_place.items():
        needed = sum(item.size for item in here)
        what = " and ".join(f"{item.what} {gib(item.size)}" for item in here)
        yield Check(
            f"disk {place}",
            FITS if free >= needed else DOES_NOT_FIT,
            f"{what}; {gib(free)} free",
            "free some space, or set rolecall.home to a directory on a larger disk",
        )
    if not by_place and items:
        yield Check("disk", FITS, "everything is there already")


def fetching(host: Host) -> list[tuple[str, Resource | Skip]]:
    """What brings the card to a host: the tools that fetch it, and the card itself."""
    wanted = {directory(host), tools_environment(host)}
    tools = [
        resource
        for resource in python.resources(host)
        if isinstance(resource, Resource) and resource.name in wanted
    ]
    return [
        *(("python", resource) for resource in tools),
        *(("preflight", resource) for resource in models.card_resources(host)),
    ]


def as_event(found: Survey) -> dict[str, Any]:
    """The survey as one JSON event."""
    sizing = found.sizing
    figures = (
        {}
        if sizing is None
        else {
            name: getattr(sizing, name)
            for name in (
                *("dtype", "kv_dtype", "quantization", "seq_len", "weights", "kv_token"),
                *("kv_sequence", "kv_batch", "activations", "runtime", "needed", "usable", "total"),
                "sequences",
            )
        }
    )
    return {
        "event": "preflight",
        "host": found.host,
        "verdict": "unknown" if found.lacking else found.verdict,
        "model": found.model,
        "recipe": found.recipe,
        "parameters": found.shape.parameters if found.shape else 0,
        "checks": [
            {"title": c.title, "verdict": c.verdict, "said": c.said, "hint": c.hint}
            for c in found.checks
        ],
        "bytes_per_gpu": figures,
        "estimates": ["activations", "runtime"],
        "notes": list(found.shape.notes) if found.shape else [],
        "advice": [
            {"set": list(a.changes), "verdict": a.sizing.verdict, "needed": a.sizing.needed}
            for a in found.advice
        ],
    }
