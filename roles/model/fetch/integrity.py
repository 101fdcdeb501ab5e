"""Is a file the one that was wanted, and does it hold what it should?"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import FetchError
from listing import File

_BLOCK = 4 << 20

#: The longest header that readers of safetensors accept (safetensors 0.4, MAX_HEADER_SIZE).
_MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class Digests:
    """A file's sha256, and its id as a git blob where that was asked for."""

    sha256: str
    blob: str = ""


def digests(path: Path, size: int, *, blob: bool) -> Digests:
    """Read the file once and work out its digests.

    A git blob's id is the sha1 of ``blob SIZE NUL`` and the content (git's hash-object).
    """
    sha256 = hashlib.sha256()
    sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if blob else None
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            if sha1:
                sha1.update(block)
    return Digests(sha256.hexdigest(), sha1.hexdigest() if sha1 else "")


def differs(found: Digests, file: File) -> str:
    """How the digests differ from what is known of ``file``; empty when they do not."""
    if file.sha256 and found.sha256 != file.sha256:
        return f"sha256 {found.sha256}, expected {file.sha256}"
    if not file.sha256 and file.blob and found.blob != file.blob:
        return f"git blob {found.blob}, expected {file.blob}"
    return ""


def tensors(path: Path) -> frozenset[str]:
    """The names of the tensors in a safetensors file, whose header is checked against its size.

    Raises:
        FetchError: it is no whole safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise _not_whole(path, "its header does not fit into it")
        text = file.read(length)
    try:
        header: Mapping[str, Any] = json.loads(text)
        spans = {n: value["data_offsets"] for n, value in header.items() if n != "__metadata__"}
        end = max((int(span[1]) for span in spans.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise _not_whole(path, "its header cannot be read") from None
    if end != size - 8 - length:
        raise _not_whole(path, f"its tensors take {end} bytes and it holds {size - 8 - length}")
    return frozenset(spans)


def weight_map(path: Path) -> dict[str, str]:
    """Which shard holds each tensor, by an index file.

    Raises:
        FetchError: it is no index.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(shard) for name, shard in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FetchError(
            f"{path.name} is not an index of shards", "take another revision or another mirror"
        ) from None


def _not_whole(path: Path, why: str) -> FetchError:
    return FetchError(
        f"{path.name} is not a whole safetensors file: {why}",
        "its digest is what the source says, so the source itself is at fault: "
        "take another revision or another mirror",
    )
