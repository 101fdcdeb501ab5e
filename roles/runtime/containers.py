"""How a command line for Docker or Podman is composed. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from roles.runtime.settings import Runtime


def gpu_options(engine: str, gpus: str) -> tuple[str, ...]:
    """The options that show GPUs to a container.

    Docker has an option of its own (docs.docker.com, "docker run --gpus"), whose list of devices
    needs quotes inside; Podman takes CDI names (podman-run(1), --device; NVIDIA Container
    Toolkit, "Support for Container Device Interface").
    """
    if not gpus:
        return ()
    if engine == "docker":
        return ("--gpus", "all" if gpus == "all" else f'"device={gpus}"')
    return tuple(f"--device=nvidia.com/gpu={gpu}" for gpu in gpus.split(","))


def mount_options(paths: Iterable[str], *, writable: bool = False) -> tuple[str, ...]:
    """Directories of the host at the same path; one that is missing is an error, not made."""
    end = "" if writable else ",readonly"
    return tuple(f"--mount=type=bind,source={path},target={path}{end}" for path in paths)


def publish_options(network: str, address: str, ports: Iterable[int]) -> tuple[str, ...]:
    """The container's network; one of its own publishes its ports on ``address``."""
    if network == "host":
        return ("--network=host",)
    return tuple(f"--publish={address}:{port}:{port}" for port in ports)


def run_options(settings: Runtime, engine: str) -> tuple[str, ...]:
    """What every container of the runtime is run with."""
    return (
        *gpu_options(engine, settings.gpus),
        f"--shm-size={settings.shm_size}",
        *(f"--ulimit={limit}" for limit in settings.ulimits),
        # Where SELinux is on, it keeps a container from what is mounted; elsewhere it means
        # nothing.
        "--security-opt=label=disable",
        # The supervisor keeps what the program prints, and rotates it; a copy kept by the
        # engine would grow without bounds.
        "--log-driver=none",
        # Nothing is pulled behind our back: role runtime has seen to the image.
        "--pull=never",
        *settings.options,
    )
