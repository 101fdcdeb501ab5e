"""What a model consists of: its files, which of them are wanted, and what they must be."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from errors import FetchError

COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WEIGHTS = ("*.safetensors", "*.gguf", "*.bin", "*.pth", "*.pt")
_INDEX = "*.safetensors.index.json"

#: The lists that a fetch writes itself: a source's own file of that name is left out.
OURS = ("model.json", "card.json")

#: What tells a model's shape without its weights.
_CARD = (
    "config.json",
    "generation_config.json",
    "hf_quant_config.json",
    "quantize_config.json",
    "quant_config.json",
    "*.index.json",
)


@dataclass(frozen=True)
class File:
    """One file: ``sha256`` or the id of the git ``blob`` (a sha1), as far as they are known."""

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a source at one commit; ``left_out`` names those that nobody asked for."""

    source: str
    commit: str
    files: tuple[File, ...]
    left_out: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.files)

    def selected(self, allow: Sequence[str], ignore: Sequence[str]) -> Listing:
        """Only the files that match a pattern of ``allow`` and none of ``ignore``.

        Raises:
            FetchError: no weights are among them.
        """
        ignore = (*ignore, *OURS)
        wanted = tuple(
            file
            for file in self.files
            if _match(file.path, allow) and not _match(file.path, ignore)
        )
        kept = {file.path for file in wanted}
        out = tuple(sorted(file.path for file in self.files if file.path not in kept))
        if not any(_match(path, _WEIGHTS) for path in kept):
            weights = [path for path in out if _match(path, _WEIGHTS)]
            raise FetchError(
                f"{self.source} has no weights among the {len(kept)} files that are asked for",
                f"it has {_some(weights)}: set model.allow and model.ignore to take them"
                if weights
                else "name a repository that holds a model",
            )
        return Listing(self.source, self.commit, tuple(sorted(wanted, key=_path)), out)

    def card(self) -> tuple[File, ...]:
        """The few small files that tell the model's shape."""
        return tuple(file for file in self.files if _match(file.path, _CARD))

    def indices(self) -> tuple[File, ...]:
        """The files that say in which shard each tensor is."""
        return tuple(file for file in self.files if _match(file.path, (_INDEX,)))

    def check_shards(self, index: str, shards: Iterable[str]) -> None:
        """Every shard that ``index`` names is there and is wanted.

        Raises:
            FetchError: some are not; it names them.
        """
        folder = PurePosixPath(index).parent
        named = {str(folder / shard) for shard in shards}
        have = {file.path for file in self.files}
        if excluded := sorted((named - have) & set(self.left_out)):
            raise FetchError(
                f"{index} needs {_some(excluded)}, which model.allow and model.ignore leave out",
                "widen model.allow, or narrow model.ignore",
            )
        if missing := sorted(named - have):
            raise FetchError(
                f"{self.source} is incomplete: {index} names {len(missing)} of {len(named)} "
                f"shards that are not there: {_some(missing)}",
                "take another mirror (model.endpoint) or another revision; nothing was installed",
            )

    def to_json(self) -> str:
        """As text, for :func:`load`."""
        files = [
            {"path": file.path, "size": file.size}
            | ({"sha256": file.sha256} if file.sha256 else {})
            | ({"git_blob": file.blob} if file.blob else {})
            for file in self.files
        ]
        data = {
            "source": self.source,
            "commit": self.commit,
            "bytes": self.bytes,
            "files": files,
            "left_out": list(self.left_out),
        }
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> Listing | None:
    """The listing that :meth:`Listing.to_json` wrote to ``path``; None where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            checked(item["path"], item["size"], item.get("sha256", ""), item.get("git_blob", ""))
            for item in data["files"]
        )
        return Listing(data["source"], data["commit"], files, tuple(data["left_out"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FetchError):
        return None


def checked(path: object, size: object, sha256: object = "", blob: object = "") -> File:
    """A file, as a server describes it.

    Raises:
        FetchError: the path leads out of the model's directory, or the size is none.
    """
    parts = path.split("/") if isinstance(path, str) else [""]
    unsafe = any(part in {"", ".", ".."} for part in parts) or parts[0] == ".rolecall"
    if unsafe or set(str(path)) & set("\\\n\r\0") or len(str(path)) > 1000:
        raise FetchError(f"the source lists a file with the unusable name {path!r}")
    if not isinstance(size, int) or size < 0:
        raise FetchError(f"the source gives no size for {path}")
    sha256, blob = str(sha256 or "").lower(), str(blob or "").lower()
    return File(
        str(path),
        size,
        sha256 if _SHA256.fullmatch(sha256) else "",
        blob if COMMIT.fullmatch(blob) else "",
    )


def _match(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _path(file: File) -> str:
    return file.path


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
