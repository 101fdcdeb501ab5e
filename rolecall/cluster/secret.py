"""Values of Secrets: told apart by digests, never shown."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from rolecall.cluster.objects import Object

#: kubectl keeps a whole manifest in this annotation: of a Secret, its values too.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def is_secret(thing: Object) -> bool:
    """Whether an object or a manifest is a Secret."""
    return bool(thing.get("kind") == "Secret" and thing.get("apiVersion") == "v1")


def digest(value: bytes | str) -> str:
    """A value in short: the same text for the same value."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return f"sha256:{hashlib.sha256(data).hexdigest()[:12]}"


def data_digest(encoded: Any) -> str:
    """The digest of a value in ``data``, decoded: the same as of the value in ``stringData``."""
    try:
        return digest(base64.b64decode(str(encoded)))
    except (binascii.Error, ValueError):
        return digest(str(encoded))


def decoded(encoded: Any) -> str:
    """A value of ``data`` as ``stringData`` has it; what is no text is kept apart from any."""
    try:
        return base64.b64decode(str(encoded)).decode(errors="surrogateescape")
    except (binascii.Error, ValueError):
        return str(encoded)


def masked(secret: Object) -> dict[str, Any]:
    """A Secret with digests in place of its values; ``stringData`` is what it becomes, data."""
    shown = dict(secret)
    data = {name: data_digest(value) for name, value in (secret.get("data") or {}).items()}
    plain = shown.pop("stringData", None) or {}
    data.update({name: digest(str(value)) for name, value in plain.items()})
    if data:
        shown["data"] = dict(sorted(data.items()))
    metadata = secret.get("metadata") or {}
    if noted := metadata.get("annotations"):
        shown["metadata"] = {**metadata, "annotations": masked_notes(noted)}
    return shown


def masked_notes(notes: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret's annotations without the values that kubectl keeps in one."""
    if LAST_APPLIED not in notes:
        return notes
    return {**notes, LAST_APPLIED: digest(str(notes[LAST_APPLIED]))}
