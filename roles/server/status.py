"""``status``: every host, its roles, and what is served on it."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.loop.answers import parts
from rolecall.loop.plan import predict
from rolecall.resource import Observed
from rolecall.resources.service import status_script
from rolecall.run import Opened
from rolecall.session import Session
from rolecall.shell import quote
from roles.server.role import Server, service

# The engine of the repository that the running server was started with.
_ENGINE = r"""
rc_frame engine
rc_repo=$(sh "$rc_supervise" status "$rc_service" 2>/dev/null |
  sed -n 's/^command=.*--model-repository=\([^ ]*\).*/\1/p')
[ -z "$rc_repo" ] || sed -n 's/.*"gpt_model_path" value: { string_value: "\([^"]*\)".*/\1/p' \
  "$rc_repo/tensorrt_llm/config.pbtxt" 2>/dev/null
"""


@dataclass(frozen=True)
class HostStatus:
    """What is known of one host.

    Attributes:
        roles: for each role, how many resources are ``ok`` and how many are not.
        state: of the server: running, restarting, stopped …
        since: Unix time of its start, 0 when it does not run.
    """

    host: str
    roles: dict[str, dict[str, int]]
    state: str
    ready: bool
    since: int
    restarts: int
    endpoint: str
    engine: str


def show_status(project: Project, flags: Flags, *, json: bool) -> bool:
    """Print the status of the chosen hosts; False when one of them does not serve."""
    serving = True
    for session, opened in project.look(flags):
        status = host_status(session, opened)
        serving = serving and status.ready
        _print_json(status) if json else _print(status)
    return serving


def host_status(session: Session, opened: Opened) -> HostStatus:
    """Ask a host, in one more round trip, how its server is."""
    directory = service(opened.host).directory
    script = (
        f"rc_service={quote(directory)} rc_supervise={quote(directory)}/supervise\n"
        f"rc_frame service\n{status_script(directory)}\n{_ENGINE}"
    )
    said = {part.frame.kind: part for part in parts(session.exchange(script))}
    observed = Observed.parse(said["service"].text)
    settings = opened.host.settings(Server)
    return HostStatus(
        opened.host.name,
        _roles(opened),
        observed.get("state", "stopped"),
        observed.get("ready") == "yes",
        int(observed.get("since") or 0),
        int(observed.get("restarts") or 0),
        f"http://{settings.address}:{settings.http_port}",
        said["engine"].text,
    )


def _roles(opened: Opened) -> dict[str, dict[str, int]]:
    said = predict(opened.steps, opened.answers)
    counts: dict[str, Counter[str]] = {}
    for step in opened.steps:
        counts.setdefault(step.role, Counter())[said[step.number].outcome] += 1
    return {role: dict(counter) for role, counter in counts.items()}


def _print_json(status: HostStatus) -> None:
    print(json.dumps({"event": "status", **asdict(status)}))


def _print(status: HostStatus) -> None:
    print(status.host)
    for role, counts in status.roles.items():
        print(f"  {role:<8} " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    ready = "ready" if status.ready else "not ready"
    since = ""
    if status.since:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.since))
        since = f" since {started}"
    restarts = f", restarted {status.restarts} times" if status.restarts else ""
    print(f"  serving  {status.state}, {ready}{since}{restarts}")
    if status.state == "running":
        print(f"           at {status.endpoint}")
        print(f"           from engine {status.engine or 'unknown'}")
    else:
        print(f"           next: {_way_out(status)}")


def _way_out(status: HostStatus) -> str:
    """``start`` where only the server is missing; else everything has to be converged."""
    made = all(counts.keys() <= {"ok"} for role, counts in status.roles.items() if role != "server")
    return "./inv start" if made else "./inv plan shows what is missing, ./inv deploy makes it"
