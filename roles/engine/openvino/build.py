#!/usr/bin/env python3
"""Builds the CPU engine: a GGUF model becomes a directory that the serving backend loads.

Runs on the target with the serving environment's python and needs nothing else of the project.
The caller makes the output directory and renames it when the build has succeeded; here it must
exist and be empty. In it: OpenVINO IR of model, tokenizer and detokenizer, ``tokenizer.json``,
``tokenizer_config.json``, ``chat_template.jinja`` and ``config.json``.

Progress goes to standard output as ``::progress {json}`` lines between plain log lines. A failure
that the user can do something about is one line ``error: ...`` on standard error and exit code 1.
"""

from __future__ import annotations

import argparse
import errno
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from convert import convert
from engine_config import Arithmetic, Limits, engine_config, problems
from errors import BuildError
from gguf_source import Source, open_source
from progress import log
from requantise import Quantization, requantise
from tokenizer_files import special_tokens, write_tokenizer


def build(
    source: Source,
    output: Path,
    quantization: Quantization,
    arithmetic: Arithmetic,
    limits: Limits,
) -> None:
    """Build the engine of ``source`` into the empty directory ``output``.

    Raises ``BuildError`` or ``OSError``; temporary files are removed in either case.
    """
    found = problems(limits, source.shape)
    if found:
        raise BuildError("; ".join(found))
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=output))
    try:
        weights = work / "model.gguf"
        _check_space(source, output, quantization)
        log(f"re-quantising {source.path.name} ({source.shape.name}) to {quantization.value}")
        requantise(source, weights, quantization)
        log("writing the tokenizer")
        write_tokenizer(source, output)
        log("converting to OpenVINO IR")
        convert(weights, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    config = engine_config(
        source.shape,
        limits,
        quantization,
        arithmetic,
        special_tokens(source),
        version("openvino-genai"),
    )
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _check_space(source: Source, output: Path, quantization: Quantization) -> None:
    """Refuse early what would end in a full disk: intermediate GGUF and IR exist together."""
    elements = sum(int(tensor.n_elements) for tensor in source.reader.tensors)
    needed = int(elements * (1.07 if quantization is Quantization.Q8_0 else 2.0) * 2)
    free = shutil.disk_usage(output).free
    if free < needed:
        raise BuildError(
            f"{output}: {free // 2**20} MiB free, about {needed // 2**20} MiB needed to build"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--gguf", type=Path, required=True, help="the model file")
    parser.add_argument("--output", type=Path, required=True, help="an existing, empty directory")
    parser.add_argument(
        "--quantization",
        type=Quantization,
        choices=list(Quantization),
        default=Quantization.Q8_0,
        metavar="{q8_0,f16}",
        help="how the weights are held (default: q8_0)",
    )
    parser.add_argument(
        "--arithmetic",
        type=Arithmetic,
        choices=list(Arithmetic),
        default=Arithmetic.EXACT,
        metavar="{exact,fast}",
        help="exact: answers do not depend on the batch; fast: more tokens a second",
    )
    parser.add_argument("--max-batch-size", type=int, default=64, help="sequences at once")
    parser.add_argument("--max-seq-len", type=int, default=2560, help="prompt and answer, tokens")
    parser.add_argument(
        "--max-input-len", type=int, help="prompt, tokens (default: max-seq-len less one)"
    )
    parser.add_argument(
        "--max-num-tokens", type=int, default=2560, help="tokens of one forward pass"
    )
    parser.add_argument("--max-beam-width", type=int, default=1, help="beams of one request")
    return parser


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        max_batch_size=options.max_batch_size,
        max_input_len=(
            options.max_seq_len - 1 if options.max_input_len is None else options.max_input_len
        ),
        max_seq_len=options.max_seq_len,
        max_num_tokens=options.max_num_tokens,
        max_beam_width=options.max_beam_width,
    )


def _check_output(output: Path) -> None:
    if not output.is_dir():
        raise BuildError(f"{output}: no such directory")
    if any(output.iterdir()):
        raise BuildError(f"{output}: is not empty")


def _terminated(number: int, frame: FrameType | None) -> None:
    raise BuildError(f"stopped by signal {signal.Signals(number).name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build; the result is the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    started = time.monotonic()
    try:
        _check_output(options.output)
        build(
            open_source(options.gguf),
            options.output,
            options.quantization,
            options.arithmetic,
            _limits(options),
        )
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        full = "no space left on the device" if error.errno == errno.ENOSPC else str(error)
        print(f"error: {options.output}: {full}", file=sys.stderr)
        return 1
    log(f"built in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
