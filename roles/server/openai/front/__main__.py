"""Runs the front: ``python -m front --help``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from aiohttp import web

from .app import Front, Options

_KEY = "ROLECALL_API_KEY"


def main() -> int:
    """Read the command line and serve until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="front",
        description="The OpenAI API in front of Triton.",
        epilog=f"The API key is read from --api-key-file, else from the variable {_KEY}; "
        "without either none is asked for. GET /health needs none.",
    )
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--triton", required=True, help="URL of Triton's HTTP API")
    parser.add_argument("--model-name", required=True, help="the model's id in the API")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        action="append",
        required=True,
        help="a directory with tokenizer and chat template; may be given again",
    )
    parser.add_argument(
        "--max-seq-len", type=int, default=0, help="tokens of prompt and answer together"
    )
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument(
        "--stop-timeout",
        type=int,
        default=10,
        help="seconds that answers are given to end at SIGTERM",
    )
    asked = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        key = _key(asked.api_key_file)
    except (OSError, ValueError) as error:
        print(f"error: the API key cannot be read: {error}", file=sys.stderr)
        return 1
    front = Front(
        Options(asked.triton, asked.model_name, tuple(asked.tokenizer), asked.max_seq_len, key)
    )
    asks = "asks for a key" if key else "asks for no key"
    logging.info("%s on %s port %d, %s", asked.model_name, asked.address, asked.port, asks)
    try:
        web.run_app(
            front.application(),
            host=asked.address,
            port=asked.port,
            shutdown_timeout=asked.stop_timeout,
            handler_cancellation=True,
            access_log_format='%a "%r" %s %b bytes %Tf s',
            print=None,
        )
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _key(file: Path | None) -> str:
    key = file.read_text() if file else os.environ.get(_KEY, "")
    key = key.strip()
    if file and not key:
        raise ValueError(f"{file} is empty")
    return key


if __name__ == "__main__":
    sys.exit(main())
