"""Line-by-line differences of texts on a host, read only when ``--diff`` asks for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from rolecall.loop.answers import parts
from rolecall.resource import Observed, Preview, Resource
from rolecall.session import Session
from rolecall.shell import quote

#: Bytes of a text that are compared; longer texts are told apart by digest alone.
LIMIT = 256 * 1024


def text_diffs(
    session: Session, unmet: Sequence[tuple[Resource, Observed]]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Unified diffs of what the unmet resources replace: resource id, path, lines.

    One round trip for all of them, and none when there is nothing to show.
    """
    previews: list[tuple[str, Preview]] = [
        (resource.id, preview)
        for resource, observed in unmet
        for preview in resource.previews(observed)
    ]
    if not previews:
        return
    script = "\n".join(
        f"rc_frame text; head -c {LIMIT} -- {quote(preview.path)} 2>/dev/null"
        for _, preview in previews
    )
    answer = parts(session.exchange(script, "texts"))
    texts = [part.text for part in answer if part.frame.kind == "text"]
    for (resource_id, preview), before in zip(previews, texts, strict=True):
        lines = unified(before, preview.desired)
        if lines:
            yield resource_id, preview.label or preview.path, lines


def unified(before: str, after: str) -> tuple[str, ...]:
    """The changed lines with three of context, without the file headers."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return tuple(lines)[2:]
