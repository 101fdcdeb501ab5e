"""A double of Triton's own OpenAI frontend: it takes the command line, and serves nothing.

Options, their types and which are required: ``parse_args`` of
python/openai/openai_frontend/main.py, triton-inference-server/server, branches r24.11 to r26.08.
Only those that all of these have are known here; anything else is refused, as argparse refuses it.
"""

from __future__ import annotations

import argparse


def parser() -> argparse.ArgumentParser:
    """What reads its command line."""
    made = argparse.ArgumentParser(prog="main.py", allow_abbrev=False)
    made.add_argument("--model-repository", type=str, required=True)
    made.add_argument("--tokenizer", type=str, default=None)
    made.add_argument("--backend", choices=["vllm", "tensorrtllm"], default=None)
    made.add_argument("--tritonserver-log-verbose-level", type=int, default=0)
    made.add_argument("--host", type=str, default="0.0.0.0")
    made.add_argument("--openai-port", type=int, default=9000)
    made.add_argument("--uvicorn-log-level", type=str, default="info")
    made.add_argument("--enable-kserve-frontends", action="store_true")
    made.add_argument("--kserve-http-port", type=int, default=8000)
    made.add_argument("--kserve-grpc-port", type=int, default=8001)
    return made
