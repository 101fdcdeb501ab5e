"""The model's card: its config.json and the sizes of its files, in one directory."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from roles.preflight.sizing.architectures import read
from roles.preflight.sizing.model import Model
from roles.preflight.sizing.plan import Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What lists the files with their sizes: of a card, and of a model that is there already.
_LISTINGS = ("card.json", "model.json")


class CardError(ValueError):
    """There is no card, or it cannot be read."""


def read_card(folder: Path) -> tuple[Model, Files]:
    """The model that a directory describes: a card, or the model's own files.

    Raises:
        CardError: it has no config.json that can be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CardError(f"{folder} has no config.json") from None
    except (OSError, ValueError) as error:
        raise CardError(f"{folder / 'config.json'} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise CardError(f"{folder / 'config.json'} is no JSON object")
    index = _json(folder / "model.safetensors.index.json").get("weight_map") or {}
    return _card(config, _json(folder / "hf_quant_config.json"), _sizes(folder), index.values())


def card_of(
    config: Mapping[str, Any],
    modelopt: Mapping[str, Any],
    listing: Mapping[str, Any],
    shards: Iterable[str],
) -> tuple[Model, Files]:
    """The model of a card whose parts were read elsewhere: the JSON objects, and shard names."""
    return _card(config, modelopt, _listed(listing), shards)


def _card(
    config: Mapping[str, Any],
    modelopt: Mapping[str, Any],
    sizes: Mapping[str, int],
    shards: Iterable[str],
) -> tuple[Model, Files]:
    if modelopt and "quantization_config" not in config:
        # What NVIDIA's ModelOpt says of its quantization, in hf_quant_config.json.
        config = {**config, "quantization_config": {"quant_method": "modelopt", **modelopt}}
    files = file_sizes(sizes, shards)
    return read(config, files.weights), files


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _sizes(folder: Path) -> dict[str, int]:
    """The sizes of all files by path: as listed, else as they lie there."""
    for name in _LISTINGS:
        listing = _json(folder / name)
        if isinstance(listing.get("files"), list):
            return _listed(listing)
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _listed(listing: Mapping[str, Any]) -> dict[str, int]:
    return {str(item["path"]): int(item["size"]) for item in listing.get("files", ())}


def file_sizes(sizes: Mapping[str, int], named: Iterable[str]) -> Files:
    """The sum of the weights, of all files, and the largest weight file.

    The weights are the shards that an index named. Without one they are the safetensors
    files at the top, or where there are none the files of another format; some repositories
    hold the same weights in several.
    """
    shards = {shard for shard in named if shard}
    if not shards:
        top = [path for path in sizes if len(PurePosixPath(path).parts) == 1]
        for suffix in (".safetensors", ".gguf", ".bin", ".pth"):
            shards = {path for path in top if path.endswith(suffix)}
            if shards:
                break
        if "model.safetensors" in shards:
            shards = {"model.safetensors"}
    weights = [sizes.get(shard, 0) for shard in shards]
    return Files(sum(sizes.values()), sum(weights), max(weights, default=0))
