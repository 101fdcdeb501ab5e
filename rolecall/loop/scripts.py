"""Text sent to a host: pure functions from resources to POSIX shell. Nothing here runs it.

An exchange is one function definition and its call, so that a host never runs half a script.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from rolecall.loop.plan import probe_trouble
from rolecall.resource import (
    Call,
    Observed,
    Probe,
    Refuse,
    Resource,
    Script,
    ShellFunction,
    answer_lines,
    diff,
)
from rolecall.shell import encode, quote, words

#: Items of one call of a batching function: keeps a command line well under ARG_MAX.
BATCH = 400

#: Names a process beyond the reuse of its number; also part of what outlives a session.
IDENTITY = Path(__file__).with_name("identity.sh").read_text()


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


_PRELUDE = "\n".join([IDENTITY, _text("prelude.sh"), _text("jobs.sh")])
_SUDO = _text("sudo.sh")
_ROOT = _text("root.sh")


@dataclass(frozen=True)
class Numbered:
    """A resource and its place in the run: the number under which the host answers for it."""

    number: int
    resource: Resource


@dataclass(frozen=True)
class Group:
    """Resources whose probes share one call; answers come back in this order."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Privilege:
    """How a session becomes root: it is root already, or each fragment goes through sudo."""

    is_root: bool

    def wrap(
        self, body: str, functions: Iterable[ShellFunction], variables: str, *, watch: bool = False
    ) -> str:
        """Shell text that runs ``body`` as root.

        The text goes to a root shell on standard input rather than in an argument: no length
        limit, and nothing of it shows in a process list. With ``watch``, it ends soon after the
        session's shell does.
        """
        if self.is_root:
            return body
        sources = "\n".join(function.source for function in functions)
        call = "(rc_as_root </dev/null)"
        if watch:
            call = f'{_ROOT}\nrc_watched "$1"'
        text = f"{variables}\n{_PRELUDE}\n{sources}\nrc_as_root() {{\n{body}\n}}\n{call}\n"
        # A word that no text can hold, since it derives from the text: content never ends it.
        end = f"RC_END_{hashlib.sha256(encode(text)).hexdigest()}"
        return f"rc_sudo {end} <<'{end}'\n{text}{end}"

    def gate(self, needed: bool) -> str:
        """Shell text in front of an exchange: stop it here if root is ``needed`` and refused."""
        return "rc_become || return 0" if needed and not self.is_root else ""


@dataclass(frozen=True)
class Dialect:
    """What scripts of one session share.

    Attributes:
        home: Rolecall's own directory on the host; absolute once the facts are known.
        variables: the assignments that the prelude expects.
    """

    home: str
    variables: str
    privilege: Privilege

    def opening(self) -> str:
        """What a session's shell is told first."""
        return f"exec 2>&1\n{self.variables}\n{_PRELUDE}\n{_SUDO}"


def dialect(
    mark: str, home: str, run: str, who: str, *, is_root: bool, patience: int = 0
) -> Dialect:
    """The dialect of a session. A leading ``~/`` of ``home`` is the host's to expand.

    ``patience`` is how many seconds the shell that holds the lock waits for a sign of life of
    the controller; with 0 it waits for as long as the channel is open.
    """
    home_word = '"$HOME"' + quote(home[1:]) if home == "~" or home.startswith("~/") else quote(home)
    assignments = (
        f"rc_mark={quote(mark)}\nrc_home={home_word}\nrc_run={quote(run)}\nrc_who={quote(who)}\n"
        f"rc_patience={patience:d}"
    )
    return Dialect(home, assignments, Privilege(is_root))


def definitions(resources: Iterable[Resource]) -> str:
    """The shell functions that the probes of ``resources`` call, each once."""
    sources = {resource.probe().function.name: resource.probe().function for resource in resources}
    return "\n".join(function.source for function in sources.values())


def probe_batch(resources: Sequence[Numbered], dialect: Dialect) -> tuple[str, list[Group]]:
    """Probe every resource, those of one kind in one call; say in which order answers come."""

    def key(numbered: Numbered) -> tuple[str, bool]:
        return numbered.resource.probe().function.name, numbered.resource.probe_sudo

    lines: list[str] = [dialect.privilege.gate(any(item.resource.probe_sudo for item in resources))]
    groups: list[Group] = []
    for (_, sudo), members in groupby(sorted(resources, key=key), key=key):
        rest = list(members)
        while rest:
            part, rest = rest[:BATCH], rest[BATCH:]
            probes = [member.resource.probe() for member in part]
            body = _ask(probes)
            if sudo:
                body = dialect.privilege.wrap(body, [probes[0].function], dialect.variables)
            # In a shell of its own: a probe's cd, exit or variables end with its group. The
            # answers are sent in one piece: each by itself would be a packet of its own.
            lines += [f"rc_group() {{\n{body}\n}}", "rc_frame group", "rc_whole rc_group"]
            groups.append(Group(tuple(member.number for member in part)))
    return "\n".join(lines), groups


def _ask(probes: Sequence[Probe]) -> str:
    function = probes[0].function
    if function.batch:
        return f"{function.name} {words(arg for probe in probes for arg in probe.args)}"
    return "\n".join(f"{function.name} {words(probe.args)}\nrc_item" for probe in probes)


@dataclass(frozen=True)
class Batch:
    """One guarded batch: its text, and the order of the answers it gives if it stops early."""

    text: str
    groups: list[Group]


def apply_batch(
    pending: Sequence[Numbered],
    answers: Mapping[int, Observed],
    dialect: Dialect,
    proving: Numbered | None,
    attempts_left: int = 0,
    closing: str = "",
) -> Batch:
    """The guarded apply of ``pending``, up to the first step that a script cannot do.

    ``proving`` is such a step, just done, whose new state has to be proven first;
    ``attempts_left`` says how often it may be done again. ``closing`` runs once all is done.
    """
    bodies: list[str] = []
    steps: list[str] = []
    ending = ""
    as_root = bool(proving and proving.resource.probe_sudo)
    if proving:
        bodies.append(_probe_function(proving, dialect))
        steps.append(_prove(proving, attempts_left))
    for numbered in pending:
        resource, number = numbered.resource, numbered.number
        observed = answers[number]
        bodies.append(_probe_function(numbered, dialect))
        as_root = as_root or resource.probe_sudo
        if probe_trouble(resource, observed):
            steps.append(f"rc_same {number} {quote(observed.text)}")
            break
        if not diff(resource.desired(), observed):
            steps.append(f"rc_same {number} {quote(observed.text)}")
            continue
        apply = resource.apply(observed)
        if isinstance(apply, Refuse):
            steps.append(f"rc_same {number} {quote(observed.text)}")
            break
        begin = _record(resource, observed)
        if isinstance(apply, Call):
            steps.append(f"rc_ready {number} {quote(observed.text)} {quote(begin)}")
            break
        bodies.append(_apply_function(numbered, apply, dialect))
        as_root = as_root or resource.sudo
        steps.append(
            f"rc_change {number} {quote(observed.text)} {quote(begin)} {quote(_done(resource))}"
            f" {resource.retries} {resource.retry_delay:g}"
            f" {words(answer_lines(resource.desired()))}"
        )
    else:
        ending = closing
    remaining = [*([proving] if proving else []), *pending]
    probe_all, groups = probe_batch(remaining, dialect)
    guarded = "\n".join(f'{step}\n[ -z "$rc_halt" ] || return 0' for step in steps)
    text = (
        "\n".join(bodies) + f"\nrc_probe_all() {{\n{probe_all or ':'}\n}}\n"
        f"rc_halt=\n{dialect.privilege.gate(as_root)}\n"
        f"rc_lock || {{ rc_frame refused; return 0; }}\n{guarded}\n{ending}"
    )
    return Batch(text, groups)


def _probe_function(numbered: Numbered, dialect: Dialect) -> str:
    probe = numbered.resource.probe()
    body = f"{probe.function.name} {words(probe.args)}"
    if numbered.resource.probe_sudo:
        # One answer, not a batch: root's shell has to be told so as well (see rc_answer).
        body = f"rc_item() {{ :; }}\n{body}"
        body = dialect.privilege.wrap(body, [probe.function], dialect.variables)
    return f"rc_probe_{numbered.number}() {{\n{body}\n}}"


def _apply_function(numbered: Numbered, apply: Script, dialect: Dialect) -> str:
    body = apply.text
    if numbered.resource.sudo:
        function = numbered.resource.probe().function
        body = dialect.privilege.wrap(f"set -e\n{body}", [function], dialect.variables, watch=True)
    return f"rc_apply_{numbered.number}() {{\n:\n{body}\n}}"


def _prove(proven: Numbered, attempts_left: int) -> str:
    resource = proven.resource
    lines = words(answer_lines(resource.desired()))
    record = quote(_done(resource))
    return f"rc_prove {proven.number} 0 {attempts_left} {record} {lines} || rc_halt=1"


def _record(resource: Resource, observed: Observed) -> str:
    """The journal's members for a change about to be made, without the surrounding braces."""
    removal = resource.removal(observed)
    changes = [
        [change.field, None, None]
        if resource.secret
        else [change.field, change.before, change.after]
        for change in diff(resource.desired(), observed)
    ]
    members: dict[str, object] = {"id": resource.id, "changes": changes}
    if removal:
        members["removal"] = asdict(removal)
    return json.dumps(members)[1:-1]


def _done(resource: Resource) -> str:
    return json.dumps({"id": resource.id})[1:-1]
