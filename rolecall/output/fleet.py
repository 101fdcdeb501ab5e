"""A fleet on the terminal: hosts that fare alike are told together, at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from rolecall.events import Message, ResourceDone, TextDiff
from rolecall.output.changes import shown
from rolecall.output.hosts import fold, number_of, without_host
from rolecall.output.page import Page
from rolecall.output.text import count, gist
from rolecall.output.together import Gathered, Variant

#: Different failures of a fleet that are explained in full.
PANELS = 5


class Fleet:
    """Gathers what many hosts have in common and tells it once.

    Args:
        hosts: all of them, in the order of the run.
    """

    def __init__(self, page: Page, hosts: Iterable[str]) -> None:
        self._page = page
        self._hosts = dict.fromkeys(hosts)
        self._gathered = Gathered()
        self._explained: dict[tuple[str, str], str] = {}
        self._said: dict[tuple[str, str], list[str]] = {}

    def gather(self, event: ResourceDone, diffs: list[TextDiff]) -> None:
        """Keep what changed or was skipped for :meth:`tell`."""
        self._gathered.add(event, diffs)

    def tell(self) -> None:
        """Every change once, with the hosts that have it."""
        page, gathered = self._page, self._gathered
        page.without_hosts()
        if gathered.changed() or gathered.skipped():
            page.print(Text())
        for together in gathered.changed():
            page.heading(together.role)
            variants, others = together.most_common()
            hosts = self._where(together.hosts)
            if len(variants) == 1:
                details = [hosts, *self._variant(variants[0])]
                page.resource("", together.outcome, together.id, details=details)
                page.diffs(variants[0].diffs)
                continue
            page.resource("", together.outcome, together.id, details=[hosts])
            for variant in variants:
                line = self._where(variant.hosts).append("  ")
                line.append_text(Text(", ").join(self._variant(variant)))
                page.indented(line, 6)
                page.diffs(variant.diffs)
            if others:
                text = f"  {page.charset.ellipsis} others"
                page.indented(self._where(others).append(text), 6)
        for reason, names, ids in gathered.skipped():
            what = count(len(ids), "resource") if ids else "no turn"
            details = [self._where(names), Text(page.charset.text(reason), style="dim")]
            page.resource("", "skipped", what, details=details)

    def _where(self, hosts: Sequence[str]) -> Text:
        number = number_of(len(hosts), len(self._hosts))
        if len(hosts) == len(self._hosts):
            return Text(number, style="blue")
        ordered = [host for host in self._hosts if host in set(hosts)]
        return Text(self._page.charset.text(fold(ordered, 4)), style="blue").append(
            f" ({number})" if len(hosts) > 4 else ""
        )

    def _variant(self, variant: Variant) -> list[Text]:
        charset = self._page.charset
        shows, more = shown(variant.changes, charset, diffed=bool(variant.diffs))
        details = [self._page.change(show) for show in shows]
        if variant.reason:
            details.insert(0, Text(charset.text(variant.reason), style="dim"))
        if more:
            details.append(Text(f"{more} more", style="dim"))
        return details

    def refers(self, event: ResourceDone) -> bool:
        """Of a failure that was explained before, say where; False: it is to be explained."""
        name = without_host(event.id, event.host) if event.role else ""
        key = (name, without_host(event.reason, event.host))
        first = self._explained.setdefault(key, event.host)
        if first == event.host and len(self._explained) <= PANELS:
            return False
        reason = f"as on {first}" if first != event.host else gist(event.reason)
        details = [Text(self._page.charset.text(reason), style="red")]
        self._page.resource(event.host, event.outcome, name, details=details)
        return True

    def first_to_say(self, event: Message) -> bool:
        """Whether no host has said alike before."""
        said = self._said.setdefault(_gist(event), [])
        said.append(event.host)
        return len(said) == 1

    def same(self, event: Message) -> None:
        """Under what one host said: the others that said alike."""
        if others := set(self._said.get(_gist(event), [])[1:]):
            ordered = [self._page.charset.text(host) for host in self._hosts if host in others]
            alike = f"The same for {fold(ordered)}: -v shows it."
            self._page.print(Text(alike, style="dim"))


def _gist(event: Message) -> tuple[str, str]:
    """What messages have in common that hosts of a fleet say alike: style and first words."""
    lines = without_host(event.text, event.host).split("\n")
    return event.style, lines[0][:12]
