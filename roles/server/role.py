"""The server: Triton, supervised, and restarted exactly when what it serves has changed."""

import ipaddress
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pydantic import Field, PositiveInt, field_validator, model_validator

from rolecall.api import (
    ConfigError,
    Directory,
    Host,
    Resource,
    Service,
    Settings,
    Target,
    Tree,
    folder_files,
    http_ready,
    role,
)
from roles.python.role import interpreter
from roles.repo.role import backends, repository

_HERE = Path(__file__).parent

#: Seconds that Triton is given to leave once its own timeout has passed.
_EXIT_MARGIN = 10


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

    @field_validator("address")
    @classmethod
    def _address_is_one(cls, value: str) -> str:
        ipaddress.ip_address(value)
        return value

    @model_validator(mode="after")
    def _ports_differ(self) -> "Server":
        if len({self.http_port, self.grpc_port, self.metrics_port}) < 3:
            raise ValueError("http_port, grpc_port and metrics_port must be three different ports")
        return self


def launcher(host: Host) -> Tree:
    """The script that starts Triton, as it lies on the host."""
    return Tree("launcher", host.path("artifacts"), folder_files(_HERE, "launch.sh"))


def service(host: Host) -> Service:
    """Triton on ``host``, as a supervised service.

    Raises:
        ConfigError: Rolecall's directory there has a name that Triton cannot use.
    """
    _check_home(host.facts.state_dir)
    settings = host.settings(Server)
    options = (
        f"--model-repository={repository(host).path}",
        f"--backend-directory={backends(host).path}",
        f"--http-address={settings.address}",
        f"--http-port={settings.http_port}",
        f"--grpc-address={settings.address}",
        f"--grpc-port={settings.grpc_port}",
        f"--metrics-address={settings.address}",
        f"--metrics-port={settings.metrics_port}",
        "--disable-auto-complete-config",
        "--model-control-mode=none",
        f"--exit-timeout-secs={settings.stop_timeout}",
        *settings.options,
    )
    return Service(
        "triton",
        command=("/bin/sh", f"{launcher(host).path}/launch.sh", interpreter(host), *options),
        directory=host.path("services", "triton"),
        init=host.facts.init,
        listens=tuple(
            f"{settings.address}:{port}"
            for port in (settings.http_port, settings.grpc_port, settings.metrics_port)
        ),
        requires=(
            interpreter(host),
            launcher(host).path,
            backends(host).path,
            repository(host).path,
        ),
        ready=http_ready(
            f"{own_url(host)}/v2/health/ready",
            interpreter(host),
        ),
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout + _EXIT_MARGIN,
        log_max_bytes=settings.log_max_mib << 20,
        log_keep=settings.log_keep,
    )


def _check_home(path: str) -> None:
    # The python backend starts its stub with `bash -c` and the bare paths of backend and model
    # (triton-inference-server/python_backend, src/stub_launcher.cc); the Python in the stub takes
    # every path for ASCII, whatever the locale.
    if unusable := sorted(set(re.findall(r"[^\w./+@%:,=-]", path, re.ASCII))):
        raise ConfigError(
            f"Triton's python backend cannot work below {path!r}: the path contains "
            + " ".join(repr(character) for character in unusable),
            "set rolecall.home to a directory without such characters",
        )


def _reachable(address: str) -> str:
    """How a URL names the host to connect to for an address that is listened on."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"[{address}]" if ":" in address else address


def own_url(host: Host) -> str:
    """The base URL of the HTTP API as the host itself reaches it."""
    settings = host.settings(Server)
    return f"http://{_reachable(settings.address)}:{settings.http_port}"


def endpoint(host: Host, target: Target) -> AbstractContextManager[str]:
    """The base URL under which the controller reaches the server's HTTP API."""
    settings = host.settings(Server)

    @contextmanager
    def reached() -> Iterator[str]:
        with target.forward(settings.http_port) as (address, port):
            yield f"http://{address}:{port}"

    return reached()


@role(Server)
def server(host: Host, settings: Server) -> Iterator[Resource]:
    """Run Triton on the rendered repository."""
    yield launcher(host)
    yield Directory(host.path("services"))
    yield service(host)
