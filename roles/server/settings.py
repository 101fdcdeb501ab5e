"""Settings of the role ``server``."""

import ipaddress
import re
from typing import Literal

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator

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

    openai: bool = False
    """Serve the OpenAI API as well: /v1/chat/completions, /v1/completions, /v1/models."""

    openai_port: int = Field(default=9000, ge=1, le=65535)
    """Port of the OpenAI API."""

    openai_kind: Literal["auto", "front", "triton"] = "auto"
    """Whose OpenAI API. ``front``: ours, a small server of its own in front of Triton, whatever
    is served. ``triton``: Triton's own (24.11 or later), which takes the place of tritonserver and
    needs an image that has it with all that it imports. ``auto``: ours. docs/openai.md compares
    them."""

    openai_model: str = ""
    """The model's name in the OpenAI API. Empty: the name that its source has."""

    api_key: SecretStr | None = None
    """The key that the OpenAI API asks for, by reference: ``!env ROLECALL_API_KEY``. None: it
    asks for none. Triton's own ports never ask for one."""

    @property
    def has_front(self) -> bool:
        """Whether the OpenAI API is our own front's."""
        return self.openai and self.openai_kind != "triton"

    @property
    def has_own(self) -> bool:
        """Whether the OpenAI API is Triton's own."""
        return self.openai and not self.has_front

    @property
    def is_open(self) -> bool:
        """Whether others than this machine's users can reach it."""
        return not ipaddress.ip_address(self.address).is_loopback

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @field_validator("env")
    @classmethod
    def _env_has_names(cls, value: dict[str, str]) -> dict[str, str]:
        return named_variables(value)

    @field_validator("openai_model")
    @classmethod
    def _model_is_a_name(cls, value: str) -> str:
        if value and not re.fullmatch(r"[\w.:@-]+(/[\w.:@-]+)*", value, re.ASCII):
            raise ValueError(f"{value!r} cannot be a model's name: letters, digits and . _ : @ - /")
        return value

    @field_validator("api_key")
    @classmethod
    def _key_is_one_word(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("a key is one word without spaces; this one is empty or has others")
        return value

    @model_validator(mode="after")
    def _ports_differ(self) -> "Server":
        names = ["http_port", "grpc_port", "metrics_port", *(["openai_port"] * self.openai)]
        if len({getattr(self, name) for name in names}) < len(names):
            raise ValueError(f"{', '.join(names[:-1])} and {names[-1]} must be different ports")
        return self
