"""``status``: every host, its roles, and what is served on it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import chain

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from rolecall.output.hosts import FEW, fold, is_fleet
from rolecall.output.text import Charset, gist
from roles.server.host_status import HostStatus, host_status
from roles.server.place import Place

_COLUMNS = ("host", "serving", "since", "engine", "endpoint on the host", "trouble")


def show_status(project: Project, flags: Flags, *, json: bool) -> bool:
    """Print the status of the chosen hosts; False when one of them does not serve.

    Many hosts are a table, unless the details are asked for.
    """
    from rolecall.output.errors import present
    from roles.k8s.status import cluster_status

    found, errors = project.ask(flags, host_status, on_cluster=cluster_status, roles=True)
    many = is_fleet(len(found) + len(errors)) and not (json or flags.verbose)
    if json:
        lines = [_as_json(status) for status in found.values()]
    elif many:
        lines = [*table(found, errors), "", *_summary(project, flags, found, errors)]
    else:
        lines = [line for status in found.values() for line in details(status)]
    # What a host says may hold anything, the terminal may lack a character.
    charset = Charset.of(sys.stdout.encoding)
    for line in lines:
        print(line if json else charset.text(line))
    for error in () if many else errors.values():
        present(error, json=json)
    return not errors and all(status.serves for status in found.values())


def _as_json(status: HostStatus) -> str:
    return json.dumps({"event": "status", **asdict(status)})


def details(status: HostStatus) -> Iterator[str]:
    """All that is known of one host."""
    said = {
        role: [", ".join(f"{count} {what}" for what, count in counts.items())]
        for role, counts in status.roles.items()
    }
    said |= {
        "serving": list(_serving(status)),
        "openai": list(_openai(status)),
        "warning": [status.warning] if status.warning else [],
        "earlier": list(_earlier(status)),
    }
    said = {name: lines for name, lines in said.items() if lines}
    wide = max(map(len, said))
    yield status.host
    for name, lines in said.items():
        for label, line in zip(chain([name], iter(str, None)), lines, strict=False):
            yield f"  {label:<{wide}}  {line}"


def _serving(status: HostStatus) -> Iterator[str]:
    ready = "ready" if status.ready else "not ready"
    since = f" since {_time(status.since)}" if status.since else ""
    restarts = f", {_restarts(status)}" if status.restarts else ""
    yield f"{status.state}, {ready}{since}{restarts}"
    if status.state == "running":
        yield f"at {Place(status.host, status.endpoint, status.remote).at()}"
        yield (
            f"from image {status.image}"
            if status.image
            else (f"from engine {status.engine or 'unknown'}")
        )
    else:
        yield f"next: {_way_out(status)}"


def _openai(status: HostStatus) -> Iterator[str]:
    if (openai := status.openai) is None:
        return
    place = Place(status.host, openai.url, status.remote)
    key = "asks for a key" if openai.key else "asks for no key"
    yield f"{openai.state}, {'ready' if openai.ready else 'not ready'}"
    yield f"model {openai.model} at {place.at()}, {key}"
    if status.ready and not openai.ready:
        yield "next: ./inv logs --openai shows why, ./inv start starts it"


def _earlier(status: HostStatus) -> Iterator[str]:
    if not (earlier := status.earlier):
        return
    same = earlier.engine in ("", status.engine)
    what = f"repository {earlier.repository}" if same else f"engine {earlier.engine}"
    yield f"{what}, served from {_time(earlier.since)}"
    if earlier.missing:
        yield f"cannot be gone back to: {earlier.missing} is no longer there"
    else:
        yield "./inv rollback goes back to it"


def table(found: Mapping[str, HostStatus], errors: Mapping[str, RolecallError]) -> Iterator[str]:
    """A line a host, under a heading; hosts that did not answer come last."""
    rows = [_COLUMNS, *map(_row, found.values())]
    for host, error in errors.items():
        rows.append((host, "no answer", "-", "-", "-", gist(error.message)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _row(status: HostStatus) -> tuple[str, str, str, str, str, str]:
    runs = status.state == "running"
    return (
        status.host,
        "ready" if status.ready else "not ready" if runs else status.state,
        _time(status.since) if status.since else "-",
        # An artifact's folder is named after the digest of all that it was made from.
        (status.image or status.engine.rstrip("/")).rpartition("/")[2] or "-",
        status.endpoint if status.ready or runs else "-",
        "; ".join(_trouble(status)),
    )


def _trouble(status: HostStatus) -> Iterator[str]:
    if status.ready and status.state != "running":
        yield status.state
    if status.restarts:
        yield _restarts(status)
    if status.ready and not status.serves:
        yield "openai: not ready"
    for role, counts in status.roles.items():
        wrong = [f"{count} {what}" for what, count in counts.items() if what != "ok"]
        # That a stopped server would be started says nothing more.
        if wrong and (role != "server" or status.state == "running"):
            yield f"{role}: {', '.join(wrong)}"


def _summary(
    project: Project,
    flags: Flags,
    found: Mapping[str, HostStatus],
    errors: Mapping[str, RolecallError],
) -> Iterator[str]:
    """How many serve, which do not, and the command that tells why."""
    idle = [*(host for host, status in found.items() if not status.serves), *errors]
    total = len(found) + len(errors)
    if not idle:
        yield f"all {total} hosts serve; -v shows each in full"
        return
    yield f"{total - len(idle)} of {total} hosts serve; not: {fold(idle)}"
    yield f"next: {project.command(flags, 'status', hosts=','.join(idle[:FEW]))}"


def _restarts(status: HostStatus) -> str:
    return f"restarted {status.restarts} times"


def _time(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))


def _way_out(status: HostStatus) -> str:
    """``start`` where only the server is missing; else everything has to be converged."""
    if status.idle:
        return status.idle
    made = all(counts.keys() <= {"ok"} for role, counts in status.roles.items() if role != "server")
    return "./inv start" if made else "./inv plan shows what is missing, ./inv deploy makes it"
