"""The ids that end and fill a sequence, from the model's own tokenizer.

A request without them never stops, or stops at another model's token (NVIDIA/TensorRT-LLM issues
250 and 2120, tensorrtllm_backend issue 82).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def token_ids(folder: Path) -> dict[str, int]:
    """``end_id`` and ``pad_id`` of the tokenizer in ``folder``; empty where it does not say.

    The padding is the end where a tokenizer has none of its own, as in upstream's
    preprocessing.
    """
    described = _read(folder / "tokenizer_config.json")
    end = _id(folder, described.get("eos_token"))
    if end is None:
        end = _first(_read(folder / "generation_config.json").get("eos_token_id"))
    if end is None:
        end = _first(_read(folder / "config.json").get("eos_token_id"))
    if end is None:
        return {}
    pad = _id(folder, described.get("pad_token"))
    return {"end_id": end, "pad_id": end if pad is None else pad}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _first(value: Any) -> int | None:
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, int) else None


def _id(folder: Path, token: Any) -> int | None:
    """The id of a token, which is written as its text or as a mapping with its ``content``."""
    text = token.get("content") if isinstance(token, dict) else token
    path = folder / "tokenizer.json"
    if not isinstance(text, str) or not path.is_file():
        return None
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(path)).token_to_id(text)
    return None if found is None else int(found)
