"""What may be wrong, and how long it is worth waiting for it to heal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

#: Whether something heals by itself: ``none`` never does, ``little`` hardly, ``some`` often
#: does, and of ``full`` nothing is wrong yet: it only takes its time.
Hope = Literal["none", "little", "some", "full"]

#: Seconds given to what hardly ever heals: the kubelet tries again after 10 (its pods' back-off).
LITTLE = 20.0

#: Seconds after which something that was not seen any more begins anew when it comes back.
FORGET = 10.0


@dataclass(frozen=True)
class LogsOf:
    """The container whose last lines say why; ``previous``: those of the run before this one."""

    pod: str
    container: str
    previous: bool = False


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a workload from being ready.

    Attributes:
        case: what kind of trouble it is; its age is counted by this and ``about``.
        about: what has it, such as ``container triton``; the same for every pod of a workload.
        what: a sentence that says it, with the cluster's own words.
        hint: what to do about it.
    """

    case: str
    about: str
    what: str
    hint: str = ""
    hope: Hope = "some"
    logs_of: LogsOf | None = None


@dataclass
class Patience:
    """How long each trouble has been there, and whether it is still worth waiting.

    Attributes:
        some: seconds given to what often heals by itself.
    """

    some: float = 120.0
    _since: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def verdict(self, troubles: Iterable[Trouble], now: float) -> Trouble | None:
        """The trouble that has lasted too long, at ``now`` (seconds of any clock); else None.

        That time is up is no cause: where there is one, it is the verdict instead.
        """
        present = list(troubles)
        for trouble in present:
            key = (trouble.case, trouble.about)
            first, last = self._since.get(key, (now, now))
            self._since[key] = (first if now - last <= FORGET else now, now)
        over = [trouble for trouble in present if self._is_over(trouble, now)]
        if not over:
            return None
        causes = [trouble for trouble in (*over, *present) if trouble.case != DEADLINE]
        return causes[0] if causes else over[0]

    def _is_over(self, trouble: Trouble, now: float) -> bool:
        given = {"none": 0.0, "little": min(LITTLE, self.some), "some": self.some}
        first, _ = self._since[trouble.case, trouble.about]
        return trouble.hope in given and now - first >= given[trouble.hope]


#: The case of a workload whose own time is up.
DEADLINE = "deadline"
