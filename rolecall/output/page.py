"""How a line looks on the terminal: columns, colours, differences, panels, messages."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.text import Text

from rolecall.events import Message, Outcome
from rolecall.output.changes import Shown, folded
from rolecall.output.text import Charset, count

#: Lines of a text's difference that are shown.
DIFF_LINES = 60

#: Lines of output that explain a failure: with the rest of it, one screen.
TAIL = 20

_STYLES: dict[Outcome, str] = {
    "ok": "dim",
    "changed": "yellow",
    "would change": "yellow",
    "unknown until": "magenta",
    "skipped": "cyan",
    "failed": "bold red",
    "unreachable": "bold red",
}
_MESSAGES = {"info": "none", "good": "green", "warning": "yellow", "error": "bold red"}
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


class Page:
    """Writes lines, whatever they are about.

    Attributes:
        verbose: differences and failures are shown in full.
        check: outcomes are those of check mode, whose words are longer.
        wide: characters of the column of host names; 0 leaves it out.
    """

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self.console = console
        self.charset = Charset.of(console.encoding)
        self.verbose = verbose
        self.check = False
        self.wide = 0
        self._role = ""

    def print(self, renderable: RenderableType) -> None:
        """Print; what is too long is folded."""
        self.console.print(renderable, overflow="fold")

    def indented(self, text: Text, indent: int) -> None:
        """Print with a hanging indent, so that a long line stays in its column."""
        width = max(8, self.console.width - indent)
        for line in text.wrap(self.console, width, overflow="fold"):
            self.print(Text(" " * indent).append_text(line))

    def heading(self, role: str) -> None:
        """The role, unless it is still the one above."""
        if role and role != self._role:
            self._role = role
            self.print(Text(self.charset.text(role), style="bold"))

    def without_hosts(self) -> None:
        """From here on no line is of one host, and each role has its heading anew."""
        self._role, self.wide = "", 0

    def resource(
        self,
        host: str,
        outcome: Outcome,
        name: str,
        head: Sequence[Text] = (),
        details: Sequence[Text] = (),
    ) -> None:
        """``MARK OUTCOME  ID  DETAILS``; details that do not fit get a line each."""
        word = "unknown" if outcome == "unknown until" else outcome
        self._line(host, word, _STYLES[outcome], self.charset.mark(outcome), name, head, details)

    def applying(self, host: str, name: str) -> None:
        """The same for a resource that is being changed."""
        self._line(host, "applying", "cyan", self.charset.ellipsis[:1], name)

    def _line(
        self,
        host: str,
        word: str,
        style: str,
        mark: str,
        name: str,
        head: Sequence[Text] = (),
        details: Sequence[Text] = (),
    ) -> None:
        line = Text("  ")
        if self.wide:
            line.append(f"{self.charset.text(host):<{self.wide}}  ", style="blue")
        line.append(f"{mark} {word:<{12 if self.check else 7}}", style=style)
        line.append(f"  {self.charset.text(name)}", style="dim" if style == "dim" else "none")
        for text in head:
            line.append("  ").append_text(text)
        inline = line.copy()
        for number, text in enumerate(details):
            inline.append("  " if number == 0 else ", ").append_text(text)
        if inline.cell_len <= self.console.width:
            self.print(inline)
            return
        # The terminal folds a long id by itself, so that it can be copied in one piece.
        self.console.print(line, soft_wrap=True)
        for text in details:
            self.indented(text, 6)

    def change(self, show: Shown) -> Text:
        """Such as ``mode: 644 → 600``."""
        line = Text(f"{show.field}: ", style="none")
        if show.before is None:
            return line.append(show.after or "", style="green")
        after = "nothing" if show.after is None else show.after
        line.append(show.before, style="red").append(f" {self.charset.arrow} ", style="dim")
        return line.append(after, style="green")

    def output(self, host: str, line: str) -> None:
        """A line that an apply printed."""
        prefix = f"{self.charset.text(host):<{self.wide}}  " if self.wide else ""
        text = Text(f"{prefix}{self.charset.rule} {self.charset.text(line)}", style="dim")
        self.indented(text, 4)

    def diffs(self, diffs: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Differences of texts, as pairs of path and lines."""
        texts, new = folded(diffs, full=self.verbose)
        for path, lines in texts:
            self._diff(path, lines)
        if new:
            self.indented(Text(self.charset.text(new), style="dim"), 6)

    def _diff(self, path: str, difference: Sequence[str]) -> None:
        self.indented(Text(self.charset.text(path), style="bold"), 6)
        lines = difference if self.verbose else difference[:DIFF_LINES]
        for line in lines:
            style = _DIFF.get(line[:1], "dim")
            self.indented(Text(self.charset.text(line), style=style), 6)
        if more := len(difference) - len(lines):
            self.indented(Text(f"{more} more lines: -v shows them", style="dim"), 6)

    def panel(
        self, host: str, name: str, outcome: Outcome, reason: str, hint: str, after: str = ""
    ) -> None:
        """A failure, with the end of what explains it and what to do next."""
        first, *rest = self.charset.lines(reason)
        hidden = len(rest) - TAIL
        if hidden > 0 and not self.verbose:
            rest = [f"{self.charset.ellipsis} {count(hidden, 'line')} before", *rest[-TAIL:]]
        body = Text(first, style="bold")
        for line in rest:
            body.append(f"\n{self.charset.clip(line, 400)}", style="not bold")
        if hint:
            body.append("\n\nnext: ", style="bold cyan")
            body.append("\n".join(self.charset.lines(hint)), style="not bold")
        where = f" on {self.charset.text(host)}" if name and self.wide else ""
        title = self.charset.text(name or host) + where
        mark = self.charset.mark(outcome)
        self.print(
            Panel(
                body,
                title=Text(f"{mark} {outcome}{after}: {title}", style="bold red"),
                title_align="left",
                border_style="red",
                box=box.ROUNDED,
            )
        )

    def message(self, event: Message) -> None:
        """What the user is told."""
        for line in self.charset.lines(event.text):
            self.print(Text(line, style=_MESSAGES[event.style]))
