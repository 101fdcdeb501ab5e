"""``logs``: the server's log, once or live, of one host or of several."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.cluster.run import Opened as OpenedCluster
from rolecall.cluster.target import ClusterTarget
from rolecall.errors import RolecallError
from rolecall.output.text import Charset
from rolecall.resources.service import Service, logs_script
from rolecall.session import Line, Session
from rolecall.shell import quote
from rolecall.shell_run import Opened
from roles.k8s.logs import pod_logs
from roles.server.openai.service import openai_service
from roles.server.role import service

#: What it means that a service has no log.
_WHAT = {
    "triton": "the server was never started",
    "openai": "the OpenAI API was never served, see server.openai",
}


def show_logs(
    project: Project, flags: Flags, *, lines: int, follow: bool, openai: bool = False
) -> None:
    """Print the last lines of the log, and with ``follow`` what comes after them.

    ``openai``: of the front that speaks OpenAI's API, instead of Triton's.

    Several hosts are asked side by side: a heading tells whose log begins, and with ``follow``
    every line begins with its host's name.

    Raises:
        RolecallError: there is no log, or a host gave no answer; with several, after the others.
    """
    wanted = _Wanted(lines, openai)
    silent = _follow(project, flags, wanted) if follow else _print(project, flags, wanted)
    if silent:
        from rolecall.output.errors import present

        for error in silent.values():
            present(error)
        raise RolecallError(f"no log of {', '.join(silent)}")


@dataclass(frozen=True)
class _Wanted:
    """How many lines to begin with, and of which log."""

    lines: int
    openai: bool

    def of_host(self, session: Session, opened: Opened, *, follow: bool) -> Iterator[str]:
        chosen = openai_service if self.openai else service
        return _log(session, opened, chosen(opened.host), self.lines, follow=follow)

    def of_pods(
        self, target: ClusterTarget, opened: OpenedCluster, *, follow: bool
    ) -> Iterator[str]:
        return pod_logs(target, opened.host, self.lines, follow=follow, openai=self.openai)


def _print(project: Project, flags: Flags, wanted: _Wanted) -> dict[str, RolecallError]:
    def last(session: Session, opened: Opened) -> list[str]:
        return list(wanted.of_host(session, opened, follow=False))

    def last_of_pods(target: ClusterTarget, opened: OpenedCluster) -> list[str]:
        return list(wanted.of_pods(target, opened, follow=False))

    found, silent = project.ask(flags, last, on_cluster=last_of_pods)
    several = len(found) + len(silent) > 1
    for number, (host, log) in enumerate(found.items()):
        heading = [*([""] if number else []), f"==> {host} <=="] if several else []
        for line in [*heading, *log]:
            _write(line)
    return silent


def _follow(project: Project, flags: Flags, wanted: _Wanted) -> dict[str, RolecallError]:
    names = list(project.resolved(flags))
    wide = max(map(len, names)) if len(names) > 1 else 0
    turn = threading.Lock()
    followed: list[Callable[[], None]] = []

    def show(host: str, log: Iterator[str]) -> None:
        for line in log:
            with turn:
                _write(f"{host:<{wide}}  {line}" if wide else line)

    def follow_host(session: Session, opened: Opened) -> None:
        followed.append(session.interrupt)
        show(opened.host.name, wanted.of_host(session, opened, follow=True))

    def follow_pods(target: ClusterTarget, opened: OpenedCluster) -> None:
        followed.append(target.stop.set)
        show(opened.host.name, wanted.of_pods(target, opened, follow=True))

    try:
        # None of them ends by itself, so that none may wait for another.
        _, silent = project.ask(
            replace(flags, forks=len(names)), follow_host, on_cluster=follow_pods
        )
    except KeyboardInterrupt:
        threads = [threading.Thread(target=stop) for stop in followed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {}
    return silent


def _log(
    session: Session, opened: Opened, running: Service, lines: int, *, follow: bool
) -> Iterator[str]:
    show = logs_script(running.directory, lines, follow=follow)
    script = f"[ -f {quote(running.log)} ] || {{ rc_frame none; return 0; }}\n{show}"
    for item in session.exchange(script):
        if not isinstance(item, Line):
            raise RolecallError(
                f"there is no log on {opened.host.name}: {_WHAT[running.service]}",
                "./inv deploy or ./inv start starts it",
            )
        yield item.text


def _write(line: str) -> None:
    """At once: whoever follows waits for it."""
    sys.stdout.write(f"{Charset.of(sys.stdout.encoding).encodable(line)}\n")
    sys.stdout.flush()
