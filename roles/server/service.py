"""Triton as a supervised service, in each kind of runtime."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall.api import ConfigError, Host, Service, Tree, folder_files, http_ready, quote
from roles.engine.settings import Engine
from roles.model.role import outside as model_outside
from roles.python.role import environment, interpreter
from roles.python.settings import Python
from roles.repo.role import backends, repository, tokenizer_dir
from roles.repo.settings import Repo
from roles.runtime import role as runtimes
from roles.runtime.containers import mount_options, publish_options, run_options
from roles.runtime.settings import Runtime
from roles.server import command
from roles.server.address import bracketed, reachable
from roles.server.openai import own as own_frontend
from roles.server.settings import Server

_HERE = Path(__file__).parent

#: Seconds that Triton is given to leave once its own timeout has passed.
_EXIT_MARGIN = 10


def launcher(host: Host) -> Tree:
    """The scripts that start Triton, as they lie on the host."""
    return Tree("launcher", host.path("artifacts"), folder_files(_HERE, "launch*.sh"))


def service(host: Host) -> Service:
    """Triton on ``host``, as a supervised service.

    Raises:
        ConfigError: what is set cannot be served.
    """
    _check_home(host.facts.state_dir)
    settings, runtime = host.settings(Server), host.settings(Runtime)
    contained = runtime.kind == "container"
    name = runtimes.container_name(host, "triton")
    return Service(
        "triton",
        command=_contained(host, name) if contained else _program(host),
        directory=host.path("services", "triton"),
        init=host.facts.init,
        env={} if contained else _environment(settings),
        listens=tuple(f"{bracketed(settings.address)}:{port}" for port in _ports(settings)),
        requires=_requires(host),
        outside=_outside(host, name) if contained else "",
        cleanup=_cleanup(host, name) if contained else "",
        # A launcher passes on to its ranks what a stop means; a client, to its container.
        stop_leader=contained or _ranks(host).launch != "plain",
        ready=http_ready(f"{own_url(host)}/v2/health/ready", _python(host)),
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout + _EXIT_MARGIN,
        log_max_bytes=settings.log_max_mib << 20,
        log_keep=settings.log_keep,
    )


def own_url(host: Host) -> str:
    """The base URL of the HTTP API as the host itself reaches it."""
    settings = host.settings(Server)
    return f"http://{reachable(settings.address)}:{settings.http_port}"


def _own_environment(host: Host) -> bool:
    """Whether Triton comes from the serving environment and not from an image."""
    return host.settings(Python).lock != "none"


def _python(host: Host) -> str:
    return interpreter(host) if _own_environment(host) else host.facts.python


def _ranks(host: Host) -> command.Ranks:
    settings, engine, repo = host.settings(Server), host.settings(Engine), host.settings(Repo)
    if repo.kind == "llmapi":
        world = repo.llmapi.tensor_parallel_size * repo.llmapi.pipeline_parallel_size
        return command.Ranks.of(settings.launch, world, spawns=True)
    world = 1
    if engine.kind == "tensorrt_llm":
        world = engine.tensorrt_llm.world_size
    return command.Ranks.of(settings.launch, world, spawns=False)


def _ports(settings: Server) -> tuple[int, ...]:
    """What Triton's process listens on."""
    ports = (settings.http_port, settings.grpc_port, settings.metrics_port)
    return (*ports[:2], settings.openai_port) if settings.has_own else ports


def _environment(settings: Server) -> dict[str, str]:
    return {**(own_frontend.ENVIRONMENT if settings.has_own else {}), **settings.env}


def _program(host: Host) -> tuple[str, ...]:
    """The command inside the runtime."""
    settings, runtime = host.settings(Server), host.settings(Runtime)
    scripts, ranks, own = launcher(host).path, _ranks(host), backends(host)
    bridged = runtime.kind == "container" and runtime.network == "bridge"
    options = command.tritonserver(
        settings, repository(host).path, own.path if own else "", "0.0.0.0" if bridged else ""
    )
    triton = command.command(settings, ranks, options)
    if settings.has_own:
        own_frontend.check(host, ranks=ranks.servers)
        triton = own_frontend.command(
            settings, repository(host).path, tokenizer_dir(host), "0.0.0.0" if bridged else ""
        )
    if ranks.launch != "plain":
        triton = ("/bin/sh", f"{scripts}/launch_ranks.sh", str(settings.stop_timeout), *triton)
    if _own_environment(host):
        return ("/bin/sh", f"{scripts}/launch.sh", interpreter(host), *triton)
    if runtime.kind == "environment":
        raise ConfigError(
            "there is no Triton to start: python.lock is none, and runtime.kind is environment",
            "set runtime.kind to container or installed, or python.lock to what is served",
        )
    installed = runtime.kind == "installed"
    return (
        "/bin/sh",
        f"{scripts}/launch_installed.sh",
        f"{runtimes.programs(host).path}/environment.sh" if installed else "",
        runtimes.tritonserver(host) if installed else "",
        *triton,
    )


def _contained(host: Host, name: str) -> tuple[str, ...]:
    """The client of the container engine, which stays in the foreground."""
    settings, runtime = host.settings(Server), host.settings(Runtime)
    engine = runtimes.engine(host)
    readable = [host.path("artifacts"), *runtime.mounts]
    readable += [environment(host)] if _own_environment(host) else []
    readable += [path for path in [model_outside(host)] if path]
    variables = {"HOME": runtimes.cache(host), **_environment(settings)}
    return (
        "/bin/sh",
        f"{runtimes.programs(host).path}/container.sh",
        runtimes.client(host),
        engine,
        name,
        *run_options(runtime, engine),
        *publish_options(runtime.network, bracketed(settings.address), _ports(settings)),
        *mount_options(readable),
        *mount_options((runtimes.cache(host),), writable=True),
        *(f"--env={name}={value}" for name, value in sorted(variables.items())),
        "--workdir=/",
        runtimes.image(host),
        *_program(host),
    )


def _requires(host: Host) -> tuple[str, ...]:
    own = backends(host)
    return (
        *([interpreter(host)] if _own_environment(host) else []),
        launcher(host).path,
        *([own.path] if own else []),
        repository(host).path,
        *([runtimes.programs(host).path] if host.settings(Runtime).kind != "environment" else []),
    )


def _client(host: Host) -> str:
    """The client, as a service's hooks call it: where its daemon is, as container.sh says."""
    return (
        "XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}\n"
        '[ -d "$XDG_RUNTIME_DIR" ] && export XDG_RUNTIME_DIR || unset XDG_RUNTIME_DIR\n'
        f"rc_client={quote(runtimes.client(host))}\n"
    )


def _outside(host: Host, name: str) -> str:
    """The processes in the container, and the ports that are published for it."""
    columns = "hpid" if runtimes.engine(host) == "podman" else "-eo pid"
    return (
        f"{_client(host)}"
        f'"$rc_client" top {name} {columns} | sed -n -e "s/^ *\\([0-9][0-9]*\\) *$/pid \\1/p"\n'
        f'"$rc_client" port {name} | sed -n -e "s/.*:\\([0-9][0-9]*\\)$/port \\1/p"\n'
    )


def _cleanup(host: Host, name: str) -> str:
    """End a container that is still there, its client being gone or having given up."""
    return f'{_client(host)}"$rc_client" kill {name}\n"$rc_client" rm -f {name}\n:\n'


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
