"""A command that runs only when its work is not done yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.errors import ConfigError
from rolecall.resource import EVERYTHING, Apply, Observed, Probe, Resource, Script, ShellFunction
from rolecall.resources.paths import check_texts
from rolecall.shell import encode, quote, words

# CREATES UNLESS STAMP DIGEST: done when the path exists, the test succeeds, or the stamp
# carries the digest of the inputs; each condition counts only where it was given.
_FUNCTION = ShellFunction(
    "rc_command",
    r"""
rc_command() {
  if [ -n "$1" ] && [ ! -e "$1" ]; then printf 'done=no\n'; return; fi
  if [ -n "$2" ] && ! (eval "$2") </dev/null >/dev/null 2>&1; then printf 'done=no\n'; return; fi
  shift 2
  if [ -n "$1" ]; then
    rc_stamp=$1
    rc_wanted=$2
    shift 2
    rc_seen=$({ printf '%s\n' "$rc_wanted"; [ $# = 0 ] || sha256sum -- "$@" 2>&1; } | sha256sum)
    rc_was=
    [ ! -r "$rc_stamp" ] || read -r rc_was <"$rc_stamp"
    if [ "$rc_was" != "${rc_seen%% *}" ]; then printf 'done=no\n'; return; fi
  fi
  printf 'done=yes\n'
}
""",
    arity=0,
)


@dataclass(frozen=True)
class Command(Resource):
    """Run ``script`` unless its work is done.

    Give at least one condition: ``creates`` (a path that then exists), ``unless`` (a shell test
    that then succeeds), or ``inputs`` (files; the command runs again when their content or the
    script changes, which is recorded in the file ``stamp``). With several, all must hold.
    """

    kind: ClassVar[str] = "command"

    title: str
    script: str
    creates: str = ""
    unless: str = ""
    inputs: tuple[str, ...] = ()
    stamp: str = ""
    claims: frozenset[str] = frozenset({EVERYTHING})

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_texts(self.id, "inputs", self.inputs))
        if not (self.creates or self.unless or self.inputs):
            raise ConfigError(
                f"command {self.title!r} has no condition and would run every time",
                "give it creates=, unless= or inputs= with stamp=",
            )
        if bool(self.inputs) != bool(self.stamp):
            raise ConfigError(f"command {self.title!r}: inputs and stamp belong together")

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    def probe(self) -> Probe:
        """Whether every given condition holds."""
        digest = hashlib.sha256(encode(self.script)).hexdigest()
        return Probe(_FUNCTION, (self.creates, self.unless, self.stamp, digest, *self.inputs))

    def desired(self) -> Mapping[str, str]:
        """Done."""
        return {"done": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Run the script; record what it was run on as the last act.

        The script goes through ``eval``, so that a syntax error in it is this command's failure
        and not the end of the session. The inputs are noted before it runs: a change made to
        them meanwhile is work for the next run.
        """
        body = f"(\nset -e\neval {quote(self.script)}\n)"
        if not self.stamp:
            return Script(body)
        digest = hashlib.sha256(encode(self.script)).hexdigest()
        return Script(
            f"rc_seen=$({{ printf '%s\\n' {digest}; sha256sum -- {words(self.inputs)}; }}"
            f" | sha256sum)\n{body}\nprintf '%s\\n' \"${{rc_seen%% *}}\" >{quote(self.stamp)}"
        )

    def reads(self) -> frozenset[str]:
        """What the conditions look at; a shell test may look at anything."""
        if self.unless:
            return frozenset({EVERYTHING})
        return frozenset({self.creates, self.stamp, *self.inputs} - {""})

    def writes(self) -> frozenset[str]:
        """``claims``: everything, unless the role says better."""
        return self.claims
