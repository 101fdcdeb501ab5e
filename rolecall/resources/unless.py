"""Another resource, needed only where a test fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import (
    EVERYTHING,
    Apply,
    Observed,
    Preview,
    Probe,
    Removal,
    Resource,
    ShellFunction,
    answer_lines,
)


@dataclass(frozen=True)
class Unless(Resource):
    """``resource``, unless the shell test ``test`` succeeds on the host: then nothing is needed.

    Where the test succeeds, the probe answers as if the resource were satisfied.
    """

    kind: ClassVar[str] = "unless"

    test: str
    resource: Resource

    def __post_init__(self) -> None:
        object.__setattr__(self, "sudo", self.resource.sudo)
        object.__setattr__(self, "secret", self.resource.secret)

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.resource.name

    @property
    def id(self) -> str:
        """The resource's own identity."""
        return self.resource.id

    @property
    def probe_sudo(self) -> bool:
        """As the resource looks."""
        return self.resource.probe_sudo

    def probe(self) -> Probe:
        """The test, then the resource's own probe."""
        inner = self.resource.probe()
        name = inner.function.name
        lines = answer_lines(self.resource.desired())
        function = ShellFunction(
            f"rc_unless_{name}",
            f"""{inner.function.source}
rc_unless_{name}() {{
  rc_test=$1 rc_lines=$2
  shift 2
  if (eval "$rc_test") </dev/null >/dev/null 2>&1; then
    printf 'needed=no\\n'
    while [ "$rc_lines" -gt 0 ]; do
      printf '%s\\n' "$1"
      rc_lines=$((rc_lines - 1))
      shift
    done
    return
  fi
  shift "$rc_lines"
  (
    rc_item() {{ :; }}
    {name} "$@"
  )
}}
""",
        )
        return Probe(function, (self.test, str(len(lines)), *lines, *inner.args))

    def desired(self) -> Mapping[str, str]:
        """What the resource desires."""
        return self.resource.desired()

    def apply(self, observed: Observed) -> Apply:
        """What the resource does."""
        return self.resource.apply(observed)

    def removal(self, observed: Observed) -> Removal | None:
        """What the resource says."""
        return self.resource.removal(observed)

    def previews(self, observed: Observed) -> tuple[Preview, ...]:
        """What the resource shows."""
        return self.resource.previews(observed)

    def reads(self) -> frozenset[str]:
        """The test may look at anything."""
        return frozenset({EVERYTHING})

    def writes(self) -> frozenset[str]:
        """What the resource writes."""
        return self.resource.writes()
