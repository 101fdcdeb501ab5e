"""The runtime: what the serving software and its builds run in, in the version that suits."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rolecall.api import (
    ConfigError,
    ContainerImage,
    Directory,
    Host,
    Requirement,
    Resource,
    Tree,
    folder_files,
    quote,
    role,
    words,
)
from roles.bundle import places
from roles.bundle.needs import Image, Need
from roles.engine.settings import Engine
from roles.model.role import outside as model_outside
from roles.python.role import environment, lock_digest
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.runtime import matrix
from roles.runtime.containers import mount_options, run_options
from roles.runtime.settings import Runtime

_HERE = Path(__file__).parent
_PACKAGES = frozenset({"package/**"})

_ENGINE_TEST = """
command -v {client} >/dev/null || {{ echo "{client} is not installed"; exit 1; }}
rc_info=$({client} info 2>&1) || {{ printf '%s\\n' "$rc_info" | tail -n 1; exit 1; }}
"""

_NEEDED = """
[ -e {path} ] || {{
  echo "error: the runtime is not there:" {path} "does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv runtime the runtime alone"
  exit 1
}}
"""

#: How to find out whether the engine can give GPUs to a container, and what to do if not.
_GPU_TESTS = {
    "docker": (
        """
case $({client} info --format '{{{{json .}}}}') in *'"nvidia"'* | *nvidia.com/gpu*) exit 0 ;; esac
command -v nvidia-container-runtime-hook >/dev/null || {{
  echo "Docker has no NVIDIA runtime: the NVIDIA Container Toolkit is not installed"
  exit 1
}}
""",
        "install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker && "
        "systemctl restart docker; or set runtime.gpus to nothing",
    ),
    "podman": (
        """
grep -l nvidia.com/gpu /etc/cdi/* /var/run/cdi/* >/dev/null 2>&1 || {{
  echo "Podman knows no GPU: there is no CDI specification of nvidia.com/gpu in /etc/cdi"
  exit 1
}}
""",
        "install nvidia-container-toolkit, then: nvidia-ctk cdi generate "
        "--output=/etc/cdi/nvidia.yaml; or set runtime.gpus to nothing",
    ),
}


def row(host: Host) -> matrix.Row:
    """The row of the version matrix that ``host`` is to use.

    With ``triton: auto``, the newest that its driver runs and that has no known defect for what
    is served; with a driver too old for all of them, the one that asks least of it, which role
    preflight then refuses.
    """
    settings = host.settings(Runtime)
    if settings.triton != "auto":
        return matrix.row(settings.triton)
    if settings.kind == "installed" and host.fact("runtime.triton"):
        return matrix.row(host.fact("runtime.triton"))
    engines = host.settings(Engine).kind == "tensorrt_llm"
    repo = host.settings(Repo).kind
    newest = matrix.newest_for(host.fact("gpu.driver"), repo, engine_backend=engines)
    return newest or matrix.suitable(repo, engine_backend=engines)[-1]


def image(host: Host) -> str:
    """The reference of the image that containers are made from."""
    return host.settings(Runtime).image or triton_image(host)


def triton_image(host: Host) -> str:
    """The reference of Triton's own image of the release."""
    return matrix.image_of(row(host), host.settings(Runtime).registry)


def version(host: Host) -> str:
    """What the runtime is, as an input of whatever is built in it."""
    settings = host.settings(Runtime)
    if settings.kind == "container":
        return image(host)
    if settings.kind == "installed":
        return (
            f"installed tensorrt_llm {host.fact('runtime.tensorrt_llm') or row(host).tensorrt_llm}"
        )
    return f"{host.settings(Python).lock} {lock_digest(host)}"


def engine(host: Host) -> str:
    """What runs containers on ``host``: ``docker`` or ``podman``."""
    settings = host.settings(Runtime)
    if settings.engine != "auto":
        return settings.engine
    return host.fact("runtime.engine") or "docker"


def client(host: Host) -> str:
    """The program that speaks to the container engine."""
    return host.expand(host.settings(Runtime).client) or engine(host)


def container_name(host: Host, purpose: str) -> str:
    """A container's name: one for each purpose and Rolecall directory."""
    home = hashlib.sha256(host.facts.state_dir.encode()).hexdigest()[:8]
    return f"rolecall-{home}-{purpose}"


def programs(host: Host) -> Tree:
    """The runtime's own scripts, as they lie on the host."""
    return Tree("runtime", host.path("artifacts"), folder_files(_HERE / "host", "*.sh"))


def cache(host: Host) -> str:
    """A directory that containers may write: compiled kernels and the like outlive them there."""
    return host.path("cache", "runtime")


def in_runtime(host: Host, mounts: Sequence[str] = ()) -> str:
    """Shell text that defines ``in_runtime COMMAND ARGUMENT...`` for the build of an artifact.

    It runs a command inside the runtime, in the current directory and as the same user, with
    Rolecall's directory at the same path, GPUs visible and ``$OUT`` set, and ends with its
    status. ``mounts`` are further directories to read. In a container nothing else of the
    environment is there. A container is named after its job and ends when the job is cancelled.
    """
    settings = host.settings(Runtime)
    if settings.kind == "environment":
        path = quote(f"{environment(host)}/bin")
        return f'in_runtime() {{ (PATH={path}:$PATH; export PATH; "$@"); }}\n'
    if settings.kind == "installed":
        script = quote(f"{programs(host).path}/environment.sh")
        start = f'in_runtime() {{ (. {script}; rt_image_environment; "$@"); }}\n'
        return _NEEDED.format(path=script) + start
    _check_mounts(host)
    scripts = programs(host).path
    readable = [path for path in (model_outside(host), *mounts) if path]
    options = (
        *run_options(settings, engine(host)),
        "--network=host",
        *mount_options((host.facts.state_dir,), writable=True),
        *mount_options((*settings.mounts, *readable)),
        f"--env=HOME={cache(host)}",
        "--env=OUT",
    )
    start = words(("/bin/sh", f"{scripts}/container.sh", client(host), engine(host)))
    name = quote(container_name(host, ""))
    inside = words((*options, image(host), "/bin/sh", f"{scripts}/init.sh"))
    return (
        f"{_NEEDED.format(path=quote(f'{scripts}/container.sh'))}in_runtime() {{\n"
        f'  {start} {name}"${{rc_job_dir##*/}}" --workdir="$PWD" {inside} "$@"\n'
        "}\n"
    )


def _check_mounts(host: Host) -> None:
    if "," in host.facts.state_dir:
        raise ConfigError(
            f"a container cannot be given {host.facts.state_dir}: its name has a comma",
            "set rolecall.home to a directory without one",
        )


def tritonserver(host: Host) -> str:
    """An installed Triton's program; empty where there is none."""
    return host.expand(host.settings(Runtime).tritonserver) or host.fact("runtime.tritonserver")


def chosen(host: Host) -> Iterator[str]:
    """What ``./inv settings`` says of the row that the settings come to."""
    settings = host.settings(Runtime)
    if settings.kind == "environment":
        return
    found = row(host)
    driver = host.fact("gpu.driver") or "unknown"
    yield (
        f"Triton {found.triton}: TensorRT-LLM {found.tensorrt_llm}, TensorRT {found.tensorrt}, "
        f"CUDA {found.cuda}, Python {found.python}"
    )
    yield f"    needs NVIDIA driver {found.driver} or later; this host's is {driver}"
    if found.forward:
        yield f"    data-centre GPUs also run it with {', '.join(found.forward)} or later of these"
    for kind, defect in found.defects.items():
        yield f"    not for {kind}: {defect}"
    if settings.kind == "container":
        yield f"    image {image(host)}, run by {engine(host)}"


@role(Runtime, facts=(_HERE / "facts.sh").read_text(), notes=chosen)
def runtime(host: Host, settings: Runtime) -> Iterator[Resource]:
    """See to what the serving software runs in."""
    if settings.kind == "container":
        yield from _container(host, settings)
    elif settings.kind == "installed":
        yield _installed(host)
        yield programs(host)


def _container(host: Host, settings: Runtime) -> Iterator[Resource]:
    _check_mounts(host)
    program = client(host)
    yield Requirement(
        "container engine",
        _ENGINE_TEST.format(client=quote(program)),
        "install Docker or Podman, or let this user use it (group docker, then log in anew); "
        "runtime.engine and runtime.client name another",
        depends_on=_PACKAGES,
    )
    if settings.gpus:
        test, hint = _GPU_TESTS[engine(host)]
        test = test.format(client=quote(program))
        yield Requirement("GPUs in containers", test, hint, depends_on=_PACKAGES)
    yield programs(host)
    yield Directory(host.path("cache"))
    yield Directory(cache(host))
    reference = image(host)
    archive = host.expand(settings.archive) or places.image(host, reference)
    yield ContainerImage(reference, client=program, archive=archive)


def bundle_needs(host: Host) -> Iterator[Need]:
    """The image, unless it is loaded from an archive of the host's own."""
    settings = host.settings(Runtime)
    if settings.kind == "container" and not settings.archive:
        there = words((client(host), "image", "inspect", image(host)))
        yield Image(image(host), host.facts.arch, unless=there)


def _installed(host: Host) -> Requirement:
    path = tritonserver(host)
    missing = f"there is no tritonserver {f'at {path}' if path else 'here: not in the PATH either'}"
    return Requirement(
        "installed Triton",
        f"[ -x {quote(path)} ] || {{ echo {quote(missing)}; exit 1; }}",
        "deploy to a place that has it, such as NVIDIA's container, name it with "
        "runtime.tritonserver, or set runtime.kind to container",
        depends_on=_PACKAGES,
    )
