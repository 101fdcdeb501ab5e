"""What a server-side apply would write, decided from one read of the live object.

An apply writes when a field of the manifest has another value, when its manager does not own the
field yet, or when it owns one that the manifest no longer has (Kubernetes 1.34 with
structured-merge-diff 6, ``merge/update.go``: ``Updater.Apply``). Else the server writes nothing:
it compares the outcome with the stored object, without the times in ``managedFields``.

Not foretold: a write that changes nothing that can be read (the first after a creation may store
a default, and an empty list is stored again); whether null, as a value, resets a field of ours to
its default (leave the field out instead); what admission plugins add to lists of a Pod.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from rolecall.cluster.comparison import STAMP, Comparison, tops
from rolecall.cluster.objects import MANAGER, Object
from rolecall.cluster.secret import digest
from rolecall.cluster.shapes import Shapes
from rolecall.cluster.told import FieldChange, shown, text_of

__all__ = ["STAMP", "FieldChange", "compare", "stamped"]


def compare(
    desired: Object, live: Object | None, manager: str = MANAGER
) -> tuple[FieldChange, ...]:
    """The fields that a server-side apply of a manifest would write; () where it writes nothing.

    Values of a Secret are told by digests. ``live`` None is an object that is not there: every
    field of the manifest.
    """
    if live is None:
        return tuple(_missing(desired))
    return tuple(Comparison.of(desired, live, manager).changes())


def stamped(desired: Object) -> Object:
    """The manifest with its own digest as an annotation, where a server may rewrite its values.

    Only the schema of a custom resource and its webhooks know what they fill in or rewrite, so an
    object may differ from its manifest for good. The digest says that the fields that we own are
    what the server has made of this very manifest; whatever someone else sets, we no longer own.
    Kubernetes' own kinds, whose rules are known, are returned as they are.
    """
    if Shapes.of(desired).builtin:
        return desired
    metadata = desired["metadata"]
    notes = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != STAMP}
    plain = {**desired, "metadata": {**metadata, "annotations": notes}}
    notes[STAMP] = digest(json.dumps(plain, sort_keys=True))
    return {**desired, "metadata": {**metadata, "annotations": notes}}


def _missing(desired: Object) -> Iterator[FieldChange]:
    shapes = Shapes.of(desired)
    for name, value in tops(desired):
        for path, leaf in shapes.leaves(value, name):
            yield FieldChange(shown(path), None, text_of(leaf, path, desired), "")
