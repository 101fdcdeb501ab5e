"""What happened on a fleet, resource by resource: hosts with the same change are told together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rolecall.events import Outcome, ResourceDone, TextDiff
from rolecall.output.hosts import without_host
from rolecall.resource import Change

#: Different changes of one resource that are shown; the hosts of others are counted.
VARIANTS = 3


@dataclass
class Variant:
    """One change, and the hosts that have it.

    Attributes:
        reason: of what check mode does not know.
        diffs: the texts' differences, as pairs of path and lines.
    """

    changes: tuple[Change, ...]
    reason: str
    diffs: tuple[tuple[str, tuple[str, ...]], ...]
    hosts: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Together:
    """One resource that changed, or would change, on some hosts."""

    role: str
    id: str
    outcome: Outcome
    variants: dict[object, Variant] = field(default_factory=dict)

    @property
    def hosts(self) -> list[str]:
        """All hosts with any of the changes."""
        return [host for variant in self.variants.values() for host in variant.hosts]

    def most_common(self) -> tuple[list[Variant], list[str]]:
        """The changes to show, those of most hosts first, and the hosts of the others."""
        found = sorted(self.variants.values(), key=lambda variant: -len(variant.hosts))
        shown = found if len(found) <= VARIANTS else found[: VARIANTS - 1]
        return shown, [host for variant in found[len(shown) :] for host in variant.hosts]


class Gathered:
    """Gathers outcomes of all hosts, in the order in which resources first came up."""

    def __init__(self) -> None:
        self._changed: dict[tuple[str, str, str], Together] = {}
        self._skipped: dict[str, tuple[dict[str, None], dict[str, None]]] = {}

    def add(self, event: ResourceDone, diffs: list[TextDiff]) -> None:
        """Take note of a change, or of what was skipped."""
        host = event.host
        if event.outcome == "skipped":
            hosts, ids = self._skipped.setdefault(without_host(event.reason, host), ({}, {}))
            hosts[host] = None
            if event.role:
                ids[without_host(event.id, host)] = None
            return
        name = without_host(event.id, host)
        key = (event.role, name, event.outcome)
        together = self._changed.setdefault(key, Together(event.role, name, event.outcome))
        changes = tuple(_without_host(change, host) for change in event.changes)
        texts = tuple((without_host(diff.path, host), diff.lines) for diff in diffs)
        reason = without_host(event.reason, host)
        variant = together.variants.setdefault(
            (changes, texts, reason), Variant(changes, reason, texts)
        )
        variant.hosts.append(host)
        variant.seconds = max(variant.seconds, event.seconds)

    def changed(self) -> list[Together]:
        """Every resource that changed, those of one role behind each other."""
        roles = list(dict.fromkeys(role for role, _, _ in self._changed))
        return sorted(self._changed.values(), key=lambda together: roles.index(together.role))

    def skipped(self) -> list[tuple[str, list[str], list[str]]]:
        """Reason, hosts, and the ids of resources; without an id, the hosts had no turn."""
        return [(reason, [*hosts], [*ids]) for reason, (hosts, ids) in self._skipped.items()]


def _without_host(change: Change, host: str) -> Change:
    before, after = (
        None if value is None else without_host(value, host)
        for value in (change.before, change.after)
    )
    return replace(change, before=before, after=after)
