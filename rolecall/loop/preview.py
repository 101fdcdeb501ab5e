"""Line-by-line differences of texts on a host, read only when ``--diff`` asks for them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence

from rolecall.loop.answers import parts
from rolecall.resource import Observed, Preview, Resource
from rolecall.session import Session
from rolecall.shell import encode, quote

#: Bytes of a text that are compared; longer texts are told apart by digest alone.
LIMIT = 256 * 1024

# rc_text PATH: a text, and a dot behind it, since a frame begins with a line end of its own.
_FUNCTION = f"""
rc_text() {{
  if [ -e "$1" ] && [ ! -r "$1" ]; then
    rc_frame unreadable
    return
  fi
  rc_frame text
  head -c {LIMIT + 1} -- "$1" 2>/dev/null
  printf .
}}
"""


def text_diffs(
    session: Session,
    unmet: Sequence[tuple[Resource, Observed]],
    secrets: Collection[str] = (),
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Unified diffs of what the unmet resources replace: resource id, path, lines.

    Where there is none to show, the one line is a remark in brackets: of contents that are not
    text, too long, or not readable for this user, and of texts that hold one of ``secrets``,
    since the text that is replaced may hold the secret before it. One round trip for all of them,
    and none when there is nothing to show.
    """
    previews: list[tuple[str, Preview]] = [
        (resource.id, preview)
        for resource, observed in unmet
        for preview in resource.previews(observed)
    ]
    if not previews:
        return
    script = "\n".join([_FUNCTION, *(f"rc_text {quote(p.path)}" for _, p in previews)])
    answer = parts(session.exchange(script, "texts"))
    texts = [part for part in answer if part.frame.kind in {"text", "unreadable"}]
    for (resource_id, preview), part in zip(previews, texts, strict=True):
        if any(secret in preview.desired for secret in secrets):
            lines: tuple[str, ...] = ("(it holds a secret: not shown)",)
        elif part.frame.kind == "unreadable":
            lines = ("(only root can read what is there: not shown)",)
        else:
            lines = unified("\n".join(part.lines).removesuffix("."), preview.desired)
        if lines:
            yield resource_id, preview.label or preview.path, lines


def unified(before: str, after: str) -> tuple[str, ...]:
    """The changed lines with three of context, without the file headers.

    As diff and git show them: a missing line end is remarked on, a carriage return is ``^M``.
    """
    if "\0" in before or "\0" in after:
        return ("(not text: not shown)",)
    if max(len(encode(before)), len(encode(after))) > LIMIT:
        return (f"(longer than {LIMIT // 1024} KiB: not shown)",)
    diff = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=3)
    return tuple(line for shown in list(diff)[2:] for line in shown.split("\n"))


def _lines(text: str) -> list[str]:
    """Its lines; to the last belongs the remark that it has no end."""
    *lines, last = text.replace("\r", "^M").split("\n")
    return [*lines, f"{last}\n\\ No newline at end of file"] if last else lines
