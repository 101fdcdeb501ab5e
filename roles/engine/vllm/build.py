#!/usr/bin/env python3
"""Prepares an engine for vLLM: the checkpoint it loads, the tokenizer, and what it is built for.

Runs on the target with the serving environment's python. OUTPUT must exist and be empty. In it:
``checkpoint/`` (a Hugging Face checkpoint: converted from a GGUF, or linked to the files of MODEL),
``tokenizer.json``, ``tokenizer_config.json``, ``chat_template.jinja`` and ``config.json``.

Progress goes to standard output as ``::progress {json}`` lines. A failure that the user can do
something about is one line ``error: ...`` on standard error and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from checkpoint import write_checkpoint
from errors import BuildError
from gguf_source import open_source
from progress import log
from tokenizer_files import write_tokenizer

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

KV_BLOCK_TOKENS = 16
"""Tokens in one block of vLLM's paged KV cache (vllm 0.26, CUDA)."""

#: Bytes of one value: of the weights' type by its name in transformers, and of the cache's.
_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
_CACHE_BYTES = {"fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}


def prepare_gguf(file: Path, output: Path) -> None:
    """Convert ``file`` into a checkpoint."""
    source = open_source(file)
    log(f"converting {file.name} ({source.shape.name}) to a checkpoint")
    write_checkpoint(source, output / "checkpoint")
    write_tokenizer(source, output / "checkpoint")


def link_checkpoint(model: Path, output: Path) -> None:
    """Make the checkpoint of links to the files of ``model``, which stay where they are.

    Raises ``BuildError`` if the model has no config.json or no tokenizer.json.
    """
    for needed in ("config.json", "tokenizer.json"):
        if not (model / needed).is_file():
            raise BuildError(f"{model / needed} is missing: vLLM cannot serve this model")
    for file in sorted(model.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            (output / "checkpoint" / file.name).symlink_to(file)


def copy_tokenizer(output: Path) -> None:
    """Put the tokenizer where pre- and postprocessing look for it."""
    for name in TOKENIZER_FILES:
        if (output / "checkpoint" / name).is_file():
            shutil.copy(output / "checkpoint" / name, output / name)
    _write_chat_template(output)


def _write_chat_template(output: Path) -> None:
    """Older models carry their chat template inside tokenizer_config.json."""
    config = output / "tokenizer_config.json"
    if (output / "chat_template.jinja").exists() or not config.exists():
        return
    template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    if isinstance(template, str):
        (output / "chat_template.jinja").write_text(template, encoding="utf-8")


def engine_config(output: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The engine's ``config.json``, in the shape of a TensorRT-LLM engine's.

    Raises ``BuildError`` for limits that the model cannot serve.
    """
    path = output / "checkpoint" / "config.json"
    model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    model = model.get("text_config", model)
    try:
        context = int(model["max_position_embeddings"])
        heads = int(model["num_attention_heads"])
        sizes = {
            "vocab_size": model["vocab_size"],
            "hidden_size": model["hidden_size"],
            "num_hidden_layers": model["num_hidden_layers"],
            "num_attention_heads": heads,
            "num_key_value_heads": model.get("num_key_value_heads") or heads,
            "head_size": model.get("head_dim") or model["hidden_size"] // heads,
        }
    except KeyError as error:
        raise BuildError(f"{path}: {error} is missing") from error
    if options.max_seq_len > context:
        raise BuildError(
            f"max_seq_len {options.max_seq_len} is more than the model's context of "
            f"{context} tokens"
        )
    arguments: dict[str, Any] = json.loads(options.arguments)
    dtype = arguments.get("dtype", "auto")
    if dtype == "auto":
        dtype = model.get("dtype") or model.get("torch_dtype") or "bfloat16"
    cache = arguments.get("kv_cache_dtype", "auto")
    shards = int(arguments.get("tensor_parallel_size", 1))
    if heads % shards:
        raise BuildError(f"{heads} attention heads cannot be split over {shards} GPUs")
    end = model.get("eos_token_id")
    return {
        "version": options.version,
        "builder": "vllm",
        "pretrained_config": {
            "architecture": (model.get("architectures") or ["unknown"])[0],
            "dtype": dtype,
            **sizes,
            "max_position_embeddings": context,
            "eos_token_id": end[0] if isinstance(end, list) else end,
            "bos_token_id": model.get("bos_token_id"),
            "pad_token_id": model.get("pad_token_id"),
            "mapping": {"world_size": shards, "tp_size": shards, "pp_size": 1},
        },
        "build_config": {
            "max_batch_size": options.max_batch_size,
            "max_input_len": options.max_seq_len - 1,
            "max_seq_len": options.max_seq_len,
            "max_num_tokens": options.max_num_tokens,
            "max_beam_width": 1,
            "plugin_config": {
                "paged_kv_cache": True,
                "tokens_per_block": KV_BLOCK_TOKENS,
                "kv_cache_bytes": _CACHE_BYTES.get(cache, _BYTES.get(dtype, 2)),
                "arithmetic": "fast",
            },
        },
        "vllm": {"python": options.python, "arguments": arguments},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint, or a GGUF file")
    parser.add_argument("--output", type=Path, required=True, help="an existing, empty directory")
    parser.add_argument("--python", required=True, help="the Python that has vLLM")
    parser.add_argument("--version", required=True, help="vLLM's version")
    parser.add_argument("--max-batch-size", type=int, required=True, help="sequences at once")
    parser.add_argument("--max-seq-len", type=int, required=True, help="prompt and answer, tokens")
    parser.add_argument("--max-num-tokens", type=int, required=True, help="tokens of one pass")
    parser.add_argument("--arguments", default="{}", help="further EngineArgs of vLLM, as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the result is the exit status."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    try:
        (output / "checkpoint").mkdir()
        if options.model.is_file():
            prepare_gguf(options.model, output)
        else:
            link_checkpoint(options.model, output)
        copy_tokenizer(output)
        config = engine_config(output, options)
        text = json.dumps(config, indent=2) + "\n"
        (output / "config.json").write_text(text, encoding="utf-8")
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
