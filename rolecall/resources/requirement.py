"""Something that must hold and that Rolecall cannot bring about: disk, a free port, a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rolecall.resource import (
    EVERYTHING,
    Apply,
    Observed,
    Probe,
    Refuse,
    Resource,
    ShellFunction,
)
from rolecall.shell import quote

FUNCTION = ShellFunction(
    "rc_requirement",
    r"""
rc_requirement() {
  if rc_said=$( (eval "$1") 2>&1 </dev/null); then
    printf 'met=yes\n'
  else
    printf 'met=no\n'
    rc_field said "$rc_said"
  fi
}
""",
)


@dataclass(frozen=True)
class Requirement(Resource):
    """``test`` must succeed; what it prints otherwise is the reason, ``hint`` the way out."""

    kind: ClassVar[str] = "requirement"

    title: str
    test: str
    hint: str = ""
    depends_on: frozenset[str] = frozenset({EVERYTHING})

    @property
    def name(self) -> str:
        """The title."""
        return self.title

    def probe(self) -> Probe:
        """Run the test."""
        return Probe(FUNCTION, (self.test,))

    def desired(self) -> Mapping[str, str]:
        """Met."""
        return {"met": "yes"}

    def apply(self, observed: Observed) -> Apply:
        """Refused: the user has to act."""
        return Refuse(observed.get("said") or f"{self.title} does not hold", self.hint)

    def reads(self) -> frozenset[str]:
        """What the test looks at, where the role says so."""
        return self.depends_on

    def writes(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()


def free_space(purpose: str, path: str, mib: int, unless_exists: str) -> Requirement:
    """``mib`` MiB are free where ``path`` is, unless what needs them is there already."""
    return Requirement(
        f"disk for the {purpose}",
        f"""
[ ! -e {quote(unless_exists)} ] || exit 0
rc_place={quote(path)}
until [ -d "$rc_place" ]; do rc_place=$(dirname -- "$rc_place"); done
rc_free=$(df -Pk -- "$rc_place" | {{ read -r rc_head; read -r a b c d e; echo $((d / 1024)); }})
[ "$rc_free" -ge {mib} ] || {{
  echo "$rc_free MiB are free in $rc_place; the {purpose} needs {mib} MiB"
  exit 1
}}
""",
        "free some space, or set rolecall.home to a directory on a larger disk",
        depends_on=frozenset({unless_exists}),
    )
