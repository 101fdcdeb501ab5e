"""Objects of an instance that its settings no longer have: deleted, data never unasked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from rolecall.cluster.objects import Found, Object, Ref, Selection, managed
from rolecall.cluster.resource import ClusterResource, Look
from rolecall.cluster.target import cluster_of
from rolecall.resource import Apply, Call, Observed
from rolecall.resources.cluster_gone import delete
from rolecall.resources.cluster_history import protected, revisions
from rolecall.targets import Target

if TYPE_CHECKING:
    from rolecall.cluster.api import Right

#: What holds data: deleted only where that is asked for.
DATA = "PersistentVolumeClaim"


@dataclass(frozen=True)
class ClusterLeftovers(ClusterResource):
    """Nothing is there with the labels of ``instance`` but ``wanted`` and its history.

    Without ``wanted``, its history goes too.

    Attributes:
        kinds: api version and kind of all that is looked for. What is not wanted of them may be
            forbidden to list: then there is none.
        used: those of them that are wanted otherwise, and have to be listed all the same.
        delete_data: claims of volumes may be deleted too.
        earlier: how many earlier deployments stay possible to go back to.
    """

    kind: ClassVar[str] = "leftovers"

    instance: str
    namespace: str
    kinds: tuple[tuple[str, str], ...]
    wanted: frozenset[Ref] = frozenset()
    delete_data: bool = False
    earlier: int = 3
    used: frozenset[tuple[str, str]] = frozenset()

    def everything(self, *, delete_data: bool) -> ClusterLeftovers:
        """The same where nothing is wanted any more, history included."""
        used = self._used
        return replace(self, wanted=frozenset(), delete_data=delete_data, used=used)

    @property
    def _used(self) -> frozenset[tuple[str, str]]:
        return self.used | {(ref.api_version, ref.kind) for ref in self.wanted}

    @property
    def name(self) -> str:
        """The instance."""
        return self.instance

    def look(self) -> Look:
        """List what has the labels."""
        labels, used = managed(self.instance), self._used
        questions = tuple(
            Selection(*kind, self.namespace, labels, kind not in used) for kind in self.kinds
        )
        return Look((*questions, revisions(self.instance, self.namespace)), self._answer)

    def desired(self) -> Mapping[str, str]:
        """None left."""
        return {"left over": ""}

    def apply(self, observed: Observed) -> Apply:
        """Delete them."""
        names = observed.get("left over").split(", ")

        def run(target: Target) -> None:
            cluster = cluster_of(target)
            for thing in self.left_over(cluster.api.read(self.look().questions)):
                if str(Ref.of(thing)) in names:
                    delete(cluster, Ref.of(thing))

        return Call(run, f"delete {', '.join(names)}")

    def rights(self, observed: Observed) -> tuple[Right, ...]:
        """To delete each, and to see that it has gone."""
        from rolecall.cluster.api import Right

        names = [name.partition("/") for name in observed.get("left over").split(", ") if name]
        history = revisions(self.instance, self.namespace)
        versions = {kind: version for version, kind in self.kinds}
        versions[history.kind] = history.api_version
        return tuple(
            Right.on(verb, Ref(versions[kind], kind, name, self.namespace))
            for kind, _, name in names
            for verb in ("get", "delete")
        )

    def reads(self) -> frozenset[str]:
        """Everything of the instance."""
        return frozenset({f"leftovers:{self.instance}"})

    def writes(self) -> frozenset[str]:
        """What it deletes is nobody's."""
        return self.reads()

    def _answer(self, found: Sequence[Found]) -> Observed:
        names = [str(Ref.of(thing)) for thing in self.left_over(found)]
        return Observed.of({"left over": ", ".join(names)})

    def left_over(self, found: Sequence[Found]) -> list[Object]:
        """Of what the cluster has, what nobody wants."""
        kept = protected(found[-1], self.earlier) if self.wanted else frozenset[Ref]()
        things = [thing for things in found if isinstance(things, tuple) for thing in things]
        return [
            thing
            for thing in things
            if Ref.of(thing) not in self.wanted | kept
            and (self.delete_data or thing["kind"] != DATA)
            and not thing["metadata"].get("ownerReferences")
        ]
