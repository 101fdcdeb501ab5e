"""Settings of the role ``server``."""

import ipaddress
import re
from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from rolecall.api import Settings


def named_variables(value: dict[str, str]) -> dict[str, str]:
    """Variables of an environment, each with a name that one can have. Raises ``ValueError``."""
    for name in value:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ValueError(f"{name!r} cannot be the name of a variable")
    return value


class Server(Settings):
    """Settings of the role ``server``."""

    address: str = "127.0.0.1"
    """The address to listen on. Triton asks nobody for a password: open it to others only
    behind something that does."""

    http_port: int = Field(default=8000, ge=1, le=65535)
    """Port of the HTTP API."""

    grpc_port: int = Field(default=8001, ge=1, le=65535)
    """Port of the gRPC API."""

    metrics_port: int = Field(default=8002, ge=1, le=65535)
    """Port of the Prometheus metrics."""

    ready_timeout: PositiveInt = 180
    """Seconds from start until every model must be ready."""

    stop_timeout: PositiveInt = 10
    """Seconds that requests in flight are given at a stop."""

    log_max_mib: PositiveInt = 20
    """The log is rotated at this size."""

    log_keep: PositiveInt = 3
    """Rotated logs that are kept."""

    options: tuple[str, ...] = ()
    """Further options of tritonserver, such as --log-verbose=1."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further variables of the server's environment, such as NCCL_DEBUG. No secrets: they are
    shown in a plan."""

    launch: Literal["auto", "plain", "mpirun", "llmapi"] = "auto"
    """How ranks are started. ``plain``: one tritonserver, as upstream's ``--no-mpi`` does and
    several instances of an LLM API's model need. ``mpirun``: as upstream's
    launch_triton_server.py does, a tritonserver for each rank of an engine, or one for the LLM
    API, which starts its own workers. ``llmapi``: each wrapped in ``trtllm-llmapi-launch``, for
    Slurm and wherever workers cannot be started later (MPI_ERR_SPAWN). ``auto``: mpirun where
    there is more than one rank, else plain."""

    mpirun_options: tuple[str, ...] = ("--bind-to", "none")
    """Further options of mpirun, such as --oversubscribe. Left to itself it binds two ranks to
    one core each."""

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @field_validator("env")
    @classmethod
    def _env_has_names(cls, value: dict[str, str]) -> dict[str, str]:
        return named_variables(value)

    @model_validator(mode="after")
    def _ports_differ(self) -> "Server":
        if len({self.http_port, self.grpc_port, self.metrics_port}) < 3:
            raise ValueError("http_port, grpc_port and metrics_port must be three different ports")
        return self
