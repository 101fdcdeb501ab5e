"""One host on the terminal: its resources as they come, satisfied ones in rows."""

from __future__ import annotations

from rich.text import Text

from rolecall.events import Applying, Output, ResourceDone, TextDiff
from rolecall.output.changes import shown
from rolecall.output.page import Page
from rolecall.output.text import duration

#: Satisfied resources in a row of one role that are shown one by one; more become one line.
FOLD = 12

#: The same with several hosts, where the same roles come again and again.
FOLD_MANY = 3


class HostLines:
    """Writes what happens on one host; keeps what is known of it and not yet on the screen.

    Attributes:
        explained: whether a failure was shown, which then ended the host's run.
    """

    def __init__(self, page: Page) -> None:
        self.explained = False
        self._page = page
        self._diffs: dict[str, list[TextDiff]] = {}
        self._row: list[ResourceDone] = []
        self._applying: Applying | None = None

    def applying(self, event: Applying) -> None:
        """A change begins."""
        self.flush()
        self._applying = event

    def output(self, event: Output) -> None:
        """Under a line that tells whose output it is, printed with the first of it."""
        if not self._page.verbose:
            return
        if self._applying:
            applying, self._applying = self._applying, None
            self._page.heading(applying.role)
            self._page.applying(event.host, applying.id)
        self._page.output(event.host, event.line)

    def diff(self, event: TextDiff) -> None:
        """Keep it for the resource that it belongs to."""
        self._diffs.setdefault(event.id, []).append(event)

    def take_diffs(self, event: ResourceDone) -> list[TextDiff]:
        """The differences of a resource, which are then no longer kept."""
        return self._diffs.pop(event.id, [])

    def unchanged(self, event: ResourceDone) -> None:
        """A resource is ok or was skipped: it joins a row."""
        self.take_diffs(event)
        if self._row and not _alike(self._row[-1], event):
            self.flush()
        self._row.append(event)

    def changed(self, event: ResourceDone) -> None:
        """A resource changed, or would change."""
        self.flush()
        diffs = self.take_diffs(event)
        self._page.heading(event.role)
        self._changed(event, diffed=bool(diffs))
        self._page.diffs([(diff.path, diff.lines) for diff in diffs])

    def failure(self, event: ResourceDone) -> None:
        """Explain a failure in full."""
        self._page.heading(event.role)
        self._page.panel(
            event.host,
            event.id if event.role else "",
            event.outcome,
            event.reason,
            event.hint,
            f" after {duration(event.seconds)}" if event.seconds >= 1 else "",
        )

    def flush(self) -> None:
        """Show the row of satisfied or skipped resources that has just come to its end."""
        row, self._row = self._row, []
        if not row:
            return
        page, first = self._page, row[0]
        after_failure = first.outcome == "skipped" and len({event.role for event in row}) > 1
        limit = FOLD_MANY if page.wide or after_failure else FOLD
        if page.verbose or (len(row) <= limit and not after_failure):
            for event in row:
                page.heading(event.role)
                self._one(event, page.charset.text(event.id), event.reason)
            return
        if first.outcome == "ok":
            page.heading(first.role)
            ends = page.charset.text(f"{first.id} {page.charset.ellipsis} {row[-1].id}")
            room = max(0, page.console.width - page.wide - 36)
            self._one(first, f"{len(row)} resources", page.charset.clip(ends, room))
        else:
            self._one(first, f"{len(row)} resources", first.reason)

    def _one(self, event: ResourceDone, name: str, detail: str) -> None:
        head = [Text(self._page.charset.text(detail), style="dim")] if detail else []
        self._page.resource(event.host, event.outcome, name, head)

    def _changed(self, event: ResourceDone, *, diffed: bool) -> None:
        page = self._page
        shows, more = shown(event.changes, page.charset, full=page.verbose, diffed=diffed)
        head: list[Text] = []
        if event.outcome == "unknown until":
            head.append(Text(f"until {page.charset.text(event.reason)}", style="dim"))
        elif event.reason:
            head.append(Text(page.charset.text(event.reason), style="dim"))
        details = [page.change(show) for show in shows]
        if more:
            details.append(Text(f"{more} more", style="dim"))
        seconds = duration(event.seconds) if event.outcome == "changed" else ""
        if seconds and event.seconds >= 0.1:
            head.append(Text(seconds, style="dim"))
        page.resource(event.host, event.outcome, page.charset.text(event.id), head, details)


def _alike(left: ResourceDone, right: ResourceDone) -> bool:
    """Whether two resources belong to one row."""
    if left.outcome != right.outcome:
        return False
    if left.outcome == "skipped":
        return left.reason == right.reason
    return left.role == right.role
