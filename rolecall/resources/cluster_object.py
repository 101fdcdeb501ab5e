"""An object of a cluster: server-side apply of a manifest, owned field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from rolecall.cluster.ending import is_going, until_gone
from rolecall.cluster.errors import Conflict
from rolecall.cluster.fields import FieldChange, compare, stamped
from rolecall.cluster.handover import (
    REPLICAS,
    give_up_replicas,
    is_scaled_by_us,
    take_back_replicas,
)
from rolecall.cluster.objects import Found, Object, Ref
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import ClusterTarget, cluster_of
from rolecall.cluster.unified import unified
from rolecall.resource import Apply, Call, Observed, Refuse
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right

#: Kinds whose pods need what the other objects are: they are applied after those.
WORKLOADS = frozenset(
    {"DaemonSet", "Deployment", "Job", "MLService", "Pod", "StatefulSet", "SimpleMLService"}
)

#: The kind whose number of pods an autoscaler may set.
_SCALED = "Deployment"

#: The field that tells whether there is such an object.
EXISTS = "exists"

#: Its value for an object that was deleted, and that something still keeps.
GOING = "being deleted"

#: The field of fields that the manifest does not have but Rolecall owns, from an earlier apply.
BESIDES = "besides"


@dataclass(frozen=True)
class ClusterObject(ClusterResource):
    """An object as a manifest says.

    Fields that the manifest leaves out are somebody else's. It differs exactly when a
    server-side apply would write something: a field has another value, Rolecall does not own
    it, or it owns one that the manifest no longer has.
    """

    kind: ClassVar[str] = "object"

    manifest: Object

    @property
    def name(self) -> str:
        """The object's name."""
        return self.ref.name

    @property
    def id(self) -> str:
        """Such as ``deployment:llm``."""
        return self.ref.id

    @cached_property
    def ref(self) -> Ref:
        """What it is called in the cluster."""
        return Ref.of(self.manifest)

    @property
    def beside(self) -> str:
        """What runs something waits for all that is declared before it, but for its like."""
        return self.ref.kind if self.ref.kind in WORKLOADS else "objects"

    def look(self) -> Look:
        """Read it, and compare it field by field."""
        return Look((self.ref,), self._answer)

    def desired(self) -> Mapping[str, str]:
        """That it exists, with every field of the manifest and no other of ours."""
        return self._desired

    def apply(self, observed: Observed) -> Apply:
        """Apply the manifest; of one that is being deleted, once the old object has gone."""
        going = observed.get(EXISTS) == GOING
        if going and self.ref.kind == "PersistentVolumeClaim":
            return Refuse(
                f"{self.ref} is being deleted: it goes, with its data, once no pod uses it",
                "destroy lets go of it, and the deploy after that makes and fills a new one",
            )

        def run(target: Target) -> None:
            cluster = cluster_of(target)
            if going:
                until_gone(cluster, self.ref)
            if self._leaves_replicas:
                give_up_replicas(cluster.api, self.ref)
            elif self.ref.kind == _SCALED:
                take_back_replicas(cluster, self.manifest)
            cluster.api.apply(self._stamped, force=cluster.force_conflicts)

        return Call(run, f"apply {self.ref}")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To see and patch it, and to create it where there is none (as server-side apply asks)."""
        from rolecall.cluster.api import Right

        verbs = ("get", "patch") if observed.get("exists") == "yes" else ("get", "patch", "create")
        return tuple(Right.on(verb, self.ref) for verb in verbs)

    def rehearse(self, target: ClusterTarget) -> tuple[str, ...]:
        """What the server says the object would be."""
        found = target.api.read([self.ref])[0]
        live = None if isinstance(found, tuple) or is_going(found) else found
        manifest = self._stamped
        if live is not None and self._leaves_replicas and live["spec"].get("replicas"):
            spec = {**manifest["spec"], "replicas": live["spec"]["replicas"]}
            manifest = {**manifest, "spec": spec}
        try:
            would_be = target.api.apply(manifest, force=target.force_conflicts, dry_run=True)
        except Conflict as error:
            if {one.field for one in error.fields} != {REPLICAS} or not is_scaled_by_us(
                target.api, self.manifest
            ):
                raise
            would_be = target.api.apply(manifest, force=True, dry_run=True)
        return unified(live, would_be)

    def reads(self) -> frozenset[str]:
        """Itself."""
        return self.ref.claims

    def writes(self) -> frozenset[str]:
        """Itself."""
        return self.reads()

    @property
    def _leaves_replicas(self) -> bool:
        """Whether the number of pods is somebody else's: it stays until they set it, unless 0."""
        return self.ref.kind == _SCALED and "replicas" not in self.manifest["spec"]

    @cached_property
    def _desired(self) -> _Desired:
        return _Desired(self._stamped)

    @cached_property
    def _stamped(self) -> Object:
        return stamped(self.manifest)

    def _answer(self, found: Sequence[Found]) -> Observed:
        live = found[0]
        if live is None or isinstance(live, tuple):
            return Observed.of({EXISTS: "no"})
        if is_going(live):
            return Observed.of({EXISTS: GOING})
        changes = compare(self._stamped, live)
        if not changes:
            return Observed("exists=yes", self._desired)
        fields = dict(self._desired)
        besides: list[str] = []
        for change in changes:
            if self._leaves_replicas and change.path == REPLICAS and change.before != "0":
                besides.append(f"{change.path} {_text(change.before)}, left to others")
            elif change.path not in fields:
                besides.append(f"{change.path} {_text(change.before)} → {_text(change.after)}")
            elif (before := _seen(change)) is None:
                del fields[change.path]
            else:
                fields[change.path] = before
        return Observed.of({**fields, BESIDES: "; ".join(besides)})


class _Desired(Mapping[str, str]):
    """That a manifest's object exists, and its fields, which are told when they are asked for.

    Mostly nobody asks: what is as it should be answers with this very mapping.
    """

    def __init__(self, manifest: Object) -> None:
        self._manifest = manifest

    @cached_property
    def _fields(self) -> Mapping[str, str]:
        changes = compare(self._manifest, None)
        return {change.path: change.after or "" for change in changes}

    def __getitem__(self, name: str) -> str:
        if name == "exists":
            return "yes"
        return "" if name == BESIDES else self._fields[name]

    def __iter__(self) -> Iterator[str]:
        yield "exists"
        yield from self._fields
        yield BESIDES

    def __len__(self) -> int:
        return len(self._fields) + 2


#: What tells whose a field is, behind its value.
_SET_BY = " (set by "


def owner_told(value: str | None) -> tuple[str | None, str]:
    """A field's observed value, and who owns it where that is not Rolecall; else empty."""
    if value is None or not value.endswith(")") or _SET_BY not in value:
        return value, ""
    plain, _, owner = value[:-1].rpartition(_SET_BY)
    return (None if plain == "nothing" else plain), owner


def _seen(change: FieldChange) -> str | None:
    """What the field is now, and whose, where it is not Rolecall's."""
    if not change.owner:
        same = change.before is not None and change.before == change.after
        return f"{change.before}{_SET_BY}nobody)" if same else change.before
    return f"{_text(change.before)}{_SET_BY}{change.owner})"


def _text(value: str | None) -> str:
    return "nothing" if value is None else value
