"""Starts Triton in the image: takes upstream's options, and is replaced by what it starts.

The options are those of launch_triton_server.py in triton-inference-server/tensorrtllm_backend
(da59830) and NVIDIA/TensorRT-LLM (triton_backend/scripts, v1.2.1), as far as they are honoured
here; any other is refused. Unlike upstream's, signals reach Triton and its exit status is the
container's.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: The launch scripts of role server, and how it composes a command line.
SCRIPTS = Path(os.environ.get("ROLECALL_LAUNCH", "/opt/rolecall/project/roles/server"))


@dataclass(frozen=True)
class Served:
    """What :mod:`command` asks of the settings of role server."""

    address: str
    http_port: int
    grpc_port: int
    metrics_port: int
    stop_timeout: int
    options: tuple[str, ...]
    mpirun_options: tuple[str, ...]


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The options, typed; ends the program with status 2 where one is wrong."""
    parser = argparse.ArgumentParser(description="Start Triton on a model repository.")
    add = parser.add_argument
    add("--model_repo", "--model-repo", required=True, help="the model repository")
    add("--world_size", "--world-size", type=int, default=1, help="ranks: tp times pp")
    add("--tritonserver", default="", help="the server, where it is not in Triton's own place")
    add("--http_port", "--http-port", type=int, default=8000)
    add("--grpc_port", "--grpc-port", type=int, default=8001)
    add("--metrics_port", "--metrics-port", type=int, default=8002)
    add("--address", default="0.0.0.0", help="the address to listen on")
    add("--tensorrt_llm_model_name", default="tensorrt_llm", help="what ranks after the first load")
    add("--trtllm_llmapi_launch", action="store_true", help="wrap ranks in trtllm-llmapi-launch")
    add("--no-mpi", action="store_true", help="one server and no mpirun, as with --world_size=1")
    add("--oversubscribe", action="store_true", help="pass it to mpirun")
    add("--exit_timeout", type=int, default=10, help="seconds for requests in flight at a stop")
    add("--log", action="store_true", help="log verbosely into --log-file")
    add("--log-file", default="triton_log.txt")
    add("-f", "--force", action="store_true", help="means nothing here: ports in use are an error")
    add("options", nargs="*", help="after --: further options of tritonserver")
    parsed = parser.parse_args(given)
    if parsed.world_size < 1:
        parser.error(f"--world_size {parsed.world_size}: at least 1 is needed")
    if parsed.no_mpi and (parsed.world_size > 1 or parsed.trtllm_llmapi_launch):
        parser.error("--no-mpi excludes --world_size above 1 and --trtllm_llmapi_launch")
    return parsed


def command_line(given: argparse.Namespace) -> tuple[str, ...]:
    """The program that becomes this one."""
    sys.path.insert(0, str(SCRIPTS))
    import command

    logged = ("--log-verbose=3", f"--log-file={given.log_file}") if given.log else ()
    settings = Served(
        given.address,
        given.http_port,
        given.grpc_port,
        given.metrics_port,
        given.exit_timeout,
        (*logged, *given.options),
        ("--bind-to", "none", *(["--oversubscribe"] if given.oversubscribe else [])),
    )
    launch = "llmapi" if given.trtllm_llmapi_launch else "auto"
    ranks = command.Ranks.of(launch, given.world_size, spawns=False)
    triton = command.command(
        settings,
        ranks,
        command.tritonserver(settings, given.model_repo, ""),
        given.tensorrt_llm_model_name,
    )
    if ranks.launch != "plain":
        wait = str(settings.stop_timeout)
        triton = ("/bin/sh", str(SCRIPTS / "launch_ranks.sh"), wait, *triton)
    start = str(SCRIPTS / "launch_installed.sh")
    return ("/bin/sh", start, "", given.tritonserver, *triton)


#: What a model's files say of engine, tokenizer and model, where it is an absolute path.
_NAMED = (
    re.compile(
        r'"(?:gpt_model_path|encoder_model_path|tokenizer_dir)"\s*,?\s*value\s*:?\s*\{\s*'
        r'string_value\s*:\s*"(/[^"]*)"'
    ),
    re.compile(r"""^model:\s*['"]?(/[^'"\n]*)""", re.MULTILINE),
)


def missing(repository: Path) -> list[str]:
    """The paths that the repository's models name and that are not here.

    Engine and tokenizer are named by the paths that they had where the repository was made.
    """
    files = [*repository.glob("*/config.pbtxt"), *repository.glob("*/*/model.yaml")]
    texts = [file.read_text(errors="replace") for file in files]
    named = {path for text in texts for form in _NAMED for path in form.findall(text)}
    return sorted(path for path in named if not Path(path).exists())


if __name__ == "__main__":
    given = arguments(sys.argv[1:])
    if gone := missing(Path(given.model_repo)):
        sys.exit(
            f"error: {given.model_repo} names what is not here: {', '.join(gone)}\n"
            "  next: mount the volume at the path that it had when it was prepared"
        )
    program = command_line(given)
    os.execv(program[0], program)
