"""The contract of a resource: ``probe`` asks, ``desired`` states, ``apply`` changes.

A probe's answer is a set of ``field=value`` lines. A resource is satisfied when every field of
``desired`` has exactly that value, a rule that the controller and the host's own shell evaluate
alike; so check mode, the guard in front of a change and the proof behind it cannot disagree.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rolecall.shell import escape, unescape

if TYPE_CHECKING:
    from rolecall.targets import Target

#: A claim that matches everything: what an opaque command may read or write.
EVERYTHING = "**"


@dataclass(frozen=True)
class ShellFunction:
    """A POSIX shell function that answers probes; sent once a session, shared by its probes.

    It prints ``rc_field NAME VALUE`` lines for one item given as ``arity`` arguments. With
    ``batch`` it takes any number of items in one call and says ``rc_item`` after each, so that
    five hundred files cost one ``stat``.
    """

    name: str
    source: str
    arity: int = 1
    batch: bool = False


@dataclass(frozen=True)
class Probe:
    """One read-only question to a target: a shell function and the arguments of one item."""

    function: ShellFunction
    args: tuple[str, ...]


@dataclass(frozen=True)
class Observed:
    """A probe's answer: the raw text (what guards compare) and the fields it holds."""

    text: str
    fields: Mapping[str, str]
    noise: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Observed:
        """The answer that has just these fields."""
        return cls("\n".join(answer_lines(fields)), dict(fields))

    @classmethod
    def parse(cls, text: str) -> Observed:
        """Read ``field=value`` lines; anything else is ``noise``, shown when a probe fails."""
        fields: dict[str, str] = {}
        noise: list[str] = []
        for line in text.split("\n"):
            name, separator, value = line.partition("=")
            if separator and _FIELD.fullmatch(name):
                fields[name] = unescape(value)
            elif line.strip():
                noise.append(line)
        return cls(text, fields, tuple(noise))

    def get(self, name: str, default: str = "") -> str:
        """The value of a field, or ``default`` when the probe did not report it."""
        return self.fields.get(name, default)


_FIELD = re.compile(r"[^\s=][^=\n]*")


@dataclass(frozen=True)
class Change:
    """One difference: the field, what the host has (None: nothing) and what it should have."""

    field: str
    before: str | None
    after: str | None


def diff(desired: Mapping[str, str], observed: Observed) -> tuple[Change, ...]:
    """Every desired field whose observed value differs, in the order of ``desired``."""
    if observed.fields is desired:
        return ()
    return tuple(
        Change(name, observed.fields.get(name), value)
        for name, value in desired.items()
        if observed.fields.get(name) != value
    )


def answer_lines(desired: Mapping[str, str]) -> list[str]:
    """The lines a satisfied answer must contain: the host-side form of :func:`diff`."""
    return [f"{name}={escape(value)}" for name, value in desired.items()]


@dataclass(frozen=True)
class Script:
    """An apply in POSIX shell. It runs under ``set -e`` with no input; output is shown live."""

    text: str


@dataclass(frozen=True)
class Call:
    """An apply that only Python can do, such as an upload. It ends the batch, nothing else."""

    run: Callable[[Target], None]
    summary: str


@dataclass(frozen=True)
class Refuse:
    """An apply that cannot be: the user has to act. ``hint`` says how."""

    reason: str
    hint: str = ""


Apply = Script | Call | Refuse


@dataclass(frozen=True)
class Removal:
    """How to undo a creation, kept in the host's journal so that ``destroy`` needs no role.

    ``gone`` is a shell test that succeeds when nothing is left to remove; ``script`` removes.
    """

    gone: str
    script: str
    sudo: bool = False


@dataclass(frozen=True)
class Preview:
    """A text on the host that a change replaces: read only for ``--diff``, never when secret."""

    path: str
    desired: str
    label: str = ""


@dataclass(frozen=True)
class Resource(ABC):
    """One idempotent unit of desired state. Subclasses are frozen dataclasses, one file each.

    Attributes:
        sudo: apply needs root, and so does the probe unless :attr:`probe_sudo` says otherwise.
        secret: values never reach a diff, an event or the journal.
        retries: further attempts when ``apply`` does not bring about the desired state.
        retry_delay: seconds between attempts.
    """

    kind: ClassVar[str]

    sudo: bool = field(default=False, kw_only=True)
    secret: bool = field(default=False, kw_only=True)
    retries: int = field(default=0, kw_only=True)
    retry_delay: float = field(default=1.0, kw_only=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """What distinguishes this resource from others of its kind: a path, a package."""

    @property
    def id(self) -> str:
        """The stable identity, such as ``package:openmpi-bin``."""
        return f"{self.kind}:{self.name}"

    @property
    def probe_sudo(self) -> bool:
        """Whether the probe needs root as well. A kind that anyone may look at says no."""
        return self.sudo

    @abstractmethod
    def probe(self) -> Probe:
        """The question whose answer is compared with :meth:`desired`."""

    @abstractmethod
    def desired(self) -> Mapping[str, str]:
        """The fields the answer must have; fields left out may have any value."""

    @abstractmethod
    def apply(self, observed: Observed) -> Apply:
        """What turns ``observed`` into the desired state."""

    def removal(self, observed: Observed) -> Removal | None:
        """How to remove what ``apply`` creates, or None when ``observed`` was there before."""
        return None

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """Texts to show line by line under ``--diff``."""
        return ()

    def thorough(self) -> Resource:
        """The same resource with a probe that reads contents, where it usually trusts times.

        ``--verify-hashes`` asks for it.
        """
        return self

    def reads(self) -> frozenset[str]:
        """Claims the probe depends on: paths, ``kind:name`` keys, ``path/**`` for a tree."""
        return frozenset({EVERYTHING})

    def writes(self) -> frozenset[str]:
        """Claims that ``apply`` may alter; check mode calls what reads them unknown."""
        return frozenset({EVERYTHING})


@dataclass(frozen=True)
class Skip:
    """A resource that a role leaves out on purpose; reported as ``skipped`` with the reason."""

    id: str
    reason: str


def overlap(reads: frozenset[str], writes: frozenset[str]) -> frozenset[str]:
    """The written claims that touch something read.

    ``a/**`` covers ``a`` and everything below it, on either side; ``**`` covers everything.
    """
    return frozenset(
        written for written in writes if any(_touches(read, written) for read in reads)
    )


def opaque(claims: frozenset[str]) -> bool:
    """Whether any of the claims covers more than one exact thing."""
    return any(claim.endswith(EVERYTHING) for claim in claims)


def _touches(left: str, right: str) -> bool:
    return _covers(left, right) or _covers(right, left)


def _covers(claim: str, other: str) -> bool:
    if claim in (EVERYTHING, other):
        return True
    if claim.endswith("/**"):
        root = claim[:-3]
        return other == root or other.startswith(f"{root}/")
    return False
