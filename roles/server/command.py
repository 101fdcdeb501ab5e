"""The command line of Triton, alone or as the ranks of one server. Pure functions.

The images' launcher (docker/gpu) uses them too, without Rolecall: nothing of it is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Launch = Literal["plain", "mpirun", "llmapi"]

#: The model that ranks other than the first load (upstream: --tensorrt_llm_model_name).
RANK_MODEL = "tensorrt_llm"


class Served(Protocol):
    """What is asked of the settings of role server."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def http_port(self) -> int: ...  # noqa: D102
    @property
    def grpc_port(self) -> int: ...  # noqa: D102
    @property
    def metrics_port(self) -> int: ...  # noqa: D102
    @property
    def stop_timeout(self) -> int: ...  # noqa: D102
    @property
    def options(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def mpirun_options(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass(frozen=True)
class Ranks:
    """How many servers there are, and how they are started.

    Attributes:
        servers: tritonserver processes under mpirun.
    """

    launch: Launch
    servers: int = 1

    @classmethod
    def of(cls, chosen: str, world_size: int, *, spawns: bool) -> Ranks:
        """The ranks for a model that is split over ``world_size`` GPUs.

        With ``spawns``, the model starts its workers itself: the LLM API does, from one server
        (tensorrtllm_backend, docs/llmapi.md). Only ``trtllm-llmapi-launch`` takes them from
        mpirun's ranks.
        """
        launch: Launch = "mpirun" if world_size > 1 else "plain"
        if chosen in ("plain", "mpirun", "llmapi"):
            launch = chosen  # type: ignore[assignment]
        if launch == "plain" or (spawns and launch == "mpirun"):
            return cls(launch)
        return cls(launch, world_size)


def tritonserver(
    settings: Served, repository: str, backends: str, address: str = ""
) -> tuple[str, ...]:
    """Triton's own options; ``backends`` is empty for those that it was installed with.

    ``address`` is where it listens when that is not ``settings.address``.
    """
    listen = address or settings.address
    return (
        f"--model-repository={repository}",
        *([f"--backend-directory={backends}"] if backends else []),
        f"--http-address={listen}",
        f"--http-port={settings.http_port}",
        f"--grpc-address={listen}",
        f"--grpc-port={settings.grpc_port}",
        f"--metrics-address={listen}",
        f"--metrics-port={settings.metrics_port}",
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={settings.stop_timeout}",
        *settings.options,
    )


def command(
    settings: Served, ranks: Ranks, options: Sequence[str], rank_model: str = RANK_MODEL
) -> tuple[str, ...]:
    """The program and its arguments, ``tritonserver`` and ``mpirun`` as the PATH has them.

    Under mpirun as in get_cmd of TensorRT-LLM's triton_backend/scripts/launch_triton_server.py
    (v1.2.1; the same in tensorrtllm_backend up to 0.19): a section for each rank, the same
    ports in all, since a rank other than the first never comes as far as to listen, a prefix
    of its own for shared memory, and of the models only the engine's on the others.
    """
    if ranks.launch == "plain":
        return ("tritonserver", *options, "--model-control-mode=none")
    wrapper = ("trtllm-llmapi-launch",) if ranks.launch == "llmapi" else ()
    parts = ["mpirun", "--allow-run-as-root", *settings.mpirun_options]
    for rank in range(ranks.servers):
        parts += [] if rank == 0 else [":"]
        parts += ["-n", "1", *wrapper, "tritonserver", *options]
        parts += (
            ["--model-control-mode=none"]
            if rank == 0
            else ["--model-control-mode=explicit", f"--load-model={rank_model}"]
        )
        parts += [f"--backend-config=python,shm-region-prefix-name=prefix{rank}_"]
    return tuple(parts)
