"""One HTML page of a run that needs nothing else: no network, no second file, no JavaScript.

A Content-Security-Policy in the page forbids whatever is not in it: its style and its script are
allowed by their digest, and there are no style attributes.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from rolecall.output.text import count, duration
from rolecall.report.compare import LISTED, compare
from rolecall.report.model import Run
from rolecall.report.timeline import timeline
from rolecall.report.view import Limits, failures, host_views, next_steps, settings_views, verdict

_HERE = Path(__file__).parent


def page(run: Run, then: Run | None = None, now: datetime | None = None) -> str:
    """The report of ``run``, against the earlier run ``then`` if there is one.

    ``now`` is when the page is made, in the time zone that it shows times in.
    """
    now = now or datetime.now().astimezone()
    style, script = (_HERE / "page.css").read_text(), (_HERE / "page.js").read_text()
    compared = compare(run, then) if then else None
    hosts = host_views(run, compared, Limits.of(run))
    anchors = {host.part.host: host.anchor for host in hosts}
    began = run.started.astimezone(now.tzinfo)
    return str(
        _environment()
        .get_template("page.html.j2")
        .render(
            run=run,
            style=style,
            script=script,
            policy=policy(style, script),
            began=began,
            made=now,
            verdict=verdict(run),
            next_steps=next_steps(run),
            failures=failures(run, anchors),
            timeline=timeline(run, anchors),
            hosts=hosts,
            quiet=[host for host in hosts if host.folded],
            anchors=anchors,
            settings=settings_views(run),
            compared=compared,
            differences=compared.differences[:LISTED] if compared else (),
        )
    )


def policy(style: str, script: str) -> str:
    """What a browser may do for the page: apply this style and run this script, nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """As CSP names a source by its content: the text between the tags, byte for byte."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(duration=duration, signed=signed)
    environment.globals.update(count=count)
    return environment


def signed(seconds: float) -> str:
    """Such as ``+3.2 s``; with a real minus sign where it took less."""
    return f"{'+' if seconds > 0 else '−'}{duration(abs(seconds))}"  # noqa: RUF001 - minus sign


def _shown(value: Any) -> Any:
    """What no page may hold becomes its escape: control characters, and what reorders text."""
    if type(value) is str and not value.isprintable():
        from rolecall.output.text import clean

        return "\n".join(clean(line) for line in value.split("\n"))
    return value
