"""Triton's own OpenAI frontend, in place of tritonserver: ``server.openai_kind: triton``.

``python/openai`` of triton-inference-server/server, from release 24.11 on. It loads Triton into
its own process. Its options here are those that every release since then has (main.py, r24.11 to
r26.08).
"""

from __future__ import annotations

from rolecall.api import ConfigError, Host
from roles.repo.settings import Repo
from roles.runtime import role as runtimes
from roles.runtime.settings import Runtime
from roles.server.settings import Server

#: Where NVIDIA's images have it.
PROGRAM = "/opt/tritonserver/python/openai/openai_frontend/main.py"

#: The model that answers, under the name that Triton has for it.
MODEL = "ensemble"

#: The README of ``python/openai``: it serves a TensorRT-LLM engine in orchestrator mode only.
ENVIRONMENT = {"TRTLLM_ORCHESTRATOR": "1"}

_FIRST = (24, 11)


def command(
    settings: Server, repository: str, tokenizer: str, address: str = ""
) -> tuple[str, ...]:
    """The program and its arguments; ``address`` is where it listens if not as set."""
    return (
        "python3",
        PROGRAM,
        f"--model-repository={repository}",
        f"--tokenizer={tokenizer}",
        "--backend=tensorrtllm",
        f"--host={address or settings.address}",
        f"--openai-port={settings.openai_port}",
        "--enable-kserve-frontends",
        f"--kserve-http-port={settings.http_port}",
        f"--kserve-grpc-port={settings.grpc_port}",
    )


def check(host: Host, *, ranks: int) -> None:
    """It can serve what is set.

    Raises:
        ConfigError: it cannot; the front can.
    """
    settings, runtime = host.settings(Server), host.settings(Runtime)
    repo = host.settings(Repo).kind
    release = "" if runtime.image else runtimes.row(host).triton
    reasons = {
        "runtime.kind is environment, whose Triton does not bring it": (
            runtime.kind == "environment"
        ),
        f"repo.kind is {repo}, and it asks the models of kind upstream": repo != "upstream",
        f"Triton {release} does not bring it": bool(release) and _numbers(release) < _FIRST,
        "there is more than one rank": ranks > 1,
        "server.options are tritonserver's, and it takes none": bool(settings.options),
        "server.api_key is set, and it knows keys only on its command line": (
            settings.api_key is not None
        ),
        "server.openai_model is set, and it calls models as Triton does": bool(
            settings.openai_model
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConfigError(
                f"Triton's own OpenAI frontend cannot be used: {reason}",
                "set server.openai_kind to front, which serves the same API beside Triton",
            )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
