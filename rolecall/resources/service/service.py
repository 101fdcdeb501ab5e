"""A long-running program on the host, supervised.

Where systemd runs as process 1, a unit keeps our supervisor, which keeps the program: the
system's own for root, the user's, with lingering, for others. Elsewhere the supervisor runs
alone in a session of its own. Either way the same supervisor restarts, logs and stops, and the
same files say how things stand.

A restart is state: the running program records what it was started from, in the moment it is
started, and the probe compares that with what is declared now.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import Apply, Observed, Probe, Refuse, Removal, Resource, Script, diff
from rolecall.resources.paths import check_path, check_texts
from rolecall.resources.service.listen import listen_patterns
from rolecall.resources.service.texts import probe_function, supervisor, supervisor_digest
from rolecall.resources.service.unit import unit_name, unit_text
from rolecall.shell import emit, encode, escape, quote, words

Pairs = Mapping[str, str] | tuple[tuple[str, str], ...]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Desired fields that say how it is kept; any other field says what it was started from.
_KEPT = frozenset({"ready", "settings", "unit", "enabled", "linger"})


@dataclass(frozen=True)
class Service(Resource):
    """``command`` runs, was started from what is declared here, and is ready.

    It is started in a clean environment (HOME, USER, LOGNAME, PATH, and what is declared), in a
    session of its own, with no input; what it prints is appended to ``directory/log``. It is
    restarted whenever it ends. Stopping sends TERM to every process of its session and KILL
    after ``stop_timeout``; a process that made a session of its own is out of reach, except
    under systemd, which ends the whole control group.

    What became ready is remembered with all it was started from, the last ten of it, so that
    :class:`ServiceRollback` can serve it again.

    What does not become ready is stopped again and the change has failed, with the end of the
    log shown. A program that is right but no longer ready gets the rest of ``ready_timeout``,
    at least 15 s, and is then restarted.

    Attributes:
        service: its name: letters, digits and ``_.-``; the unit is ``rolecall-NAME.service``.
        command: the program and its arguments; no shell reads them.
        directory: the service's own directory, whose parent must exist; removed by ``destroy``.
        env: variables, shown in a plan.
        secret_env: variables whose values are never shown. Both travel in a file that only the
            owner can read.
        workdir: where the program starts.
        init: ``systemd`` or ``none``; a role passes ``host.facts.init``.
        files: configuration files whose content is part of what it was started from.
        listens: addresses it will listen on (``8000``, ``127.0.0.1:8000``); a start is refused
            when another process listens there, with its name.
        requires: paths that must be there before it is started; where one is missing, what
            runs is left running and the change has failed.
        outside: shell text about the part of the program that is in no session of ours, such as
            a container: prints ``pid N`` for each of its processes and ``port N`` for each port
            that is held for it, and nothing when there is none.
        cleanup: shell text that ends and removes that part; run whenever the program has ended.
        running: False: it must not run, nor be started at boot.
        ready: a shell test that succeeds when it serves, given 10 s each time; without one it
            is ready when it has run for a second.
        ready_timeout: seconds from a start until it must be ready.
        stop_timeout: seconds between TERM and KILL.
        stop_leader: send TERM to the program alone, which passes on to its processes what they
            have to know; KILL is for all of them as ever.
        restart_delay: seconds before the first restart; doubled each time up to
            ``restart_max_delay``, and back to the first after a run of ``restart_reset``.
        log_max_bytes: size at which the log is moved aside; checked every ``log_check``
            seconds, so it can be exceeded by what is written in between.
        log_keep: older logs kept, ``log.1`` the newest.
    """

    kind: ClassVar[str] = "service"

    service: str
    command: tuple[str, ...]
    directory: str
    env: Pairs = ()
    secret_env: Pairs = field(default=(), repr=False)
    workdir: str = "/"
    init: str = "none"
    files: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    outside: str = ""
    cleanup: str = ""
    running: bool = True
    ready: str = ""
    ready_timeout: int = 60
    stop_timeout: int = 10
    stop_leader: bool = False
    restart_delay: int = 1
    restart_max_delay: int = 30
    restart_reset: int = 60
    log_max_bytes: int = 10 * 1024 * 1024
    log_keep: int = 3
    log_check: int = 15

    def __post_init__(self) -> None:
        for name in ("env", "secret_env"):
            object.__setattr__(self, name, _pairs(getattr(self, name)))
        for name in ("command", "files", "listens", "requires"):
            object.__setattr__(self, name, check_texts(self.id, name, getattr(self, name)))
        for name in ("directory", "workdir"):
            object.__setattr__(self, name, check_path(getattr(self, name), self.id))
        files = tuple(sorted(check_path(path, self.id) for path in self.files))
        object.__setattr__(self, "files", files)
        self._check()

    def _check(self) -> None:
        if not _NAME.fullmatch(self.service):
            raise ConfigError(
                f"service: {self.service!r} cannot be its name",
                "use letters, digits and _ . - and begin with a letter or digit",
            )
        if not self.command or not self.command[0] or self.command[0].startswith("-"):
            raise ConfigError(f"{self.id}: the command names no program: {self.command!r}")
        if self.init not in {"systemd", "none"}:
            raise ConfigError(f"{self.id}: init is {self.init!r}; it can be systemd or none")
        self._check_numbers()
        for address in self.listens:
            listen_patterns(address)
        names = [name for name, _ in self._variables()]
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise ConfigError(f"{self.id}: {name!r} cannot be the name of a variable")
            if names.count(name) > 1:
                raise ConfigError(f"{self.id}: {name} is both in env and in secret_env")

    def _check_numbers(self) -> None:
        least = {"ready_timeout": 0, "stop_timeout": 0, "log_keep": 0}
        least |= {"restart_delay": 1, "log_check": 1, "log_max_bytes": 1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ConfigError(f"{self.id}: {name} must be at least {minimum}")
        if self.restart_max_delay < self.restart_delay:
            raise ConfigError(f"{self.id}: restart_max_delay is less than restart_delay")

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service

    @property
    def log(self) -> str:
        """The path of its log."""
        return posixpath.join(self.directory, "log")

    def probe(self) -> Probe:
        """How it stands, what it was started from, and whether it is ready."""
        secrets = [f"env.{name}={escape(value)}" for name, value in _pairs(self.secret_env)]
        listens = [listen_patterns(address) for address in self.listens]
        args = (self.directory, self._unit, self.ready, str(len(secrets)), *secrets)
        return Probe(probe_function(), (*args, str(len(listens)), *listens, *self.files))

    def desired(self) -> Mapping[str, str]:
        """Running from what is declared, and ready; or stopped."""
        if not self.running:
            return {"state": "stopped", **({"enabled": "no"} if self._unit else {})}
        fields = {"state": "running", **self._spec()}
        fields.update({f"env.{name}": "as declared" for name, _ in _pairs(self.secret_env)})
        if self.files:
            fields["files"] = "as started"
        fields["settings"] = self._settings()
        if self._unit:
            fields["unit"] = hashlib.sha256(encode(self._unit_text())).hexdigest()
            fields["enabled"] = "yes"
            fields["linger"] = "yes"
        return {**fields, "ready": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Start, restart, stop, or only wait; whatever is wrong is told before it is done."""
        supervise = self._supervise
        if not self.running:
            return Script("\n".join([*self._install(), supervise("stop"), supervise("disable")]))
        enable = [supervise("enable")] if self._unit else []
        differing = {change.field for change in diff(self.desired(), observed)}
        if differing <= _KEPT:
            settle = [supervise("settle")] if "ready" in differing else []
            return Script("\n".join([*self._install(), *enable, *settle]))
        if taken := observed.get("taken"):
            return Refuse(
                f"another process listens where {self.service} has to: {taken}",
                "stop that process, or give this service another port",
            )
        start, supervise_path = self._path("start"), quote(self._path("supervise"))
        return Script(
            "\n".join(
                [
                    *map(self._require, self.requires),
                    f"{{ [ ! -e {supervise_path} ] || {supervise('note')}; }} || :",
                    *self._install(),
                    _write(f"{start}.new", self._start()),
                    supervise("stop"),
                    f"mv -f -- {quote(f'{start}.new')} {quote(start)}",
                    *enable,
                    supervise("start"),
                ]
            )
        )

    def removal(self, observed: Observed) -> Removal | None:
        """Stop it; remove its directory and its unit. The directory is nobody else's."""
        directory = quote(self.directory)
        return Removal(
            f"[ ! -e {directory} ]",
            f"if [ -e {quote(self._path('supervise'))} ]; then {self._supervise('remove')}; fi\n"
            f"rm -rf -- {directory}",
            self.sudo,
        )

    def reads(self) -> frozenset[str]:
        """Its own state and its configuration files."""
        return self.writes() | frozenset(self.files)

    def writes(self) -> frozenset[str]:
        """Itself and its directory."""
        return frozenset({self.id, f"{self.directory}/**"})

    @property
    def _unit(self) -> str:
        return unit_name(self.service) if self.init == "systemd" else ""

    def _variables(self) -> tuple[tuple[str, str], ...]:
        return _pairs(self.env) + _pairs(self.secret_env)

    def _unit_text(self) -> str:
        return unit_text(self.service, self.directory, self.stop_timeout)

    def _path(self, name: str) -> str:
        return posixpath.join(self.directory, name)

    def _supervise(self, request: str) -> str:
        return f"sh {quote(self._path('supervise'))} {request} {quote(self.directory)}"

    def _spec(self) -> dict[str, str]:
        """What the program is started from, as far as it may be shown."""
        return {
            "command": words(self.command),
            "workdir": self.workdir,
            "env": " ".join(sorted(name for name, _ in self._variables())),
            **{f"env.{name}": value for name, value in _pairs(self.env)},
            **({"outside": self._beyond_digest} if self._beyond else {}),
            "supervisor": supervisor_digest(),
        }

    @property
    def _beyond(self) -> dict[str, str]:
        texts = {"outside": self.outside, "cleanup": self.cleanup}
        return {name: text for name, text in texts.items() if text}

    @property
    def _beyond_digest(self) -> str:
        return hashlib.sha256(encode(f"{self.outside}\0{self.cleanup}")).hexdigest()[:12]

    def _start(self) -> str:
        """The file ``start``: the record, a line each, and then how to become the program."""
        record = [f"spec {name}={escape(value)}" for name, value in self._spec().items()]
        for name, value in _pairs(self.secret_env):
            record.append(f"secret env.{name}={escape(value)}")
        exports = [f"export {name}={quote(value)}" for name, value in self._variables()]
        sums = f"sv_sums {words(self.files)}" if self.files else ":"
        body = [*exports, f"cd {quote(self.workdir)} || exit 1", f"exec {words(self.command)}"]
        lines = [f"#={line}" for line in record]
        lines += [f"sv_beyond_{name}={quote(text)}" for name, text in self._beyond.items()]
        addresses = [f"sv_listens {quote(listen_patterns(address))}" for address in self.listens]
        lines += [
            f"sv_requires() {{ sv_missing {words(self.requires)}; }}",
            *("sv_addresses() {", ":", *addresses, "}"),
            *(f"sv_declared() {{ {sums}; }}", "sv_program() {", *body, "}"),
        ]
        return "\n".join(lines) + "\n"

    def _settings(self) -> str:
        """What the supervisor reads anew each time, so that no restart is needed for it."""
        numbers = (
            "ready_timeout",
            "stop_timeout",
            "restart_delay",
            "restart_max_delay",
            "restart_reset",
            "log_max_bytes",
            "log_keep",
            "log_check",
        )
        assignments = [f"{name}={getattr(self, name)}" for name in numbers]
        if self.stop_leader:
            assignments.append("stop_leader=yes")
        if self._unit:
            assignments.append(f"unit={self._unit}")
        if self.ready:
            assignments.append(f"ready={quote(self.ready)}")
        return " ".join(assignments)

    def _require(self, path: str) -> str:
        missing = f"error: {path} is not there, and {self.service} is started from it"
        way_out = "  next: deploy everything rather than the service alone"
        return f"[ -e {quote(path)} ] || {{ printf '%s\\n' {words((missing, way_out))}; exit 1; }}"

    def _install(self) -> list[str]:
        """Put the supervisor and its settings in place; nothing of it disturbs a running one."""
        directory = quote(self.directory)
        commands = [
            f"[ -d {directory} ] || (umask 077; mkdir -- {directory})",
            *_replace(self._path("supervise"), supervisor()),
            *_replace(self._path("settings"), f"{self._settings()}\n"),
        ]
        if self._unit:
            commands += _replace(self._path("unit"), self._unit_text())
        return commands


def _pairs(variables: Pairs) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(dict(variables).items()))


def _write(path: str, text: str) -> str:
    return f"(umask 077; {emit(encode(text))} >{quote(path)})"


def _replace(path: str, text: str) -> list[str]:
    return [_write(f"{path}.new", text), f"mv -f -- {quote(f'{path}.new')} {quote(path)}"]
