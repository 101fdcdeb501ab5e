"""Settings of the role ``runtime``."""

import re
from typing import Literal

from pydantic import field_validator

from rolecall.api import Settings


class Runtime(Settings):
    """Settings of the role ``runtime``: what the serving software runs in."""

    kind: Literal["environment", "container", "installed"] = "environment"
    """``environment``: the serving environment that role python makes. ``container``: an image,
    run by Docker or Podman. ``installed``: what is on the host already, which is so inside
    NVIDIA's own container or in a notebook."""

    engine: Literal["auto", "docker", "podman"] = "auto"
    """What runs containers. ``auto``: Docker where its socket is there, else Podman."""

    client: str = ""
    """The client program where it is not on the PATH, such as /snap/bin/docker."""

    triton: str = "auto"
    """The Triton release, such as 26.06, whose image with TensorRT-LLM is used. ``auto``: the
    newest that the host's driver runs (roles/runtime/matrix.yaml)."""

    registry: str = "nvcr.io/nvidia"
    """Where the image is pulled from; a mirror that has ``tritonserver`` will do."""

    image: str = ""
    """Use this image instead of Triton's own: ``name:tag``, or better ``name@sha256:…``."""

    archive: str = ""
    """An image archive on the host (``docker save``, ``podman save``) to load the image from
    where it is missing; nothing is then pulled."""

    base_image: str = ""
    """What ``./inv image`` builds an image of ours on: another name, or a mirror's. Empty: Triton's
    own image of the release; for ``environment`` that of Python which docker/cpu names."""

    image_packages: str = ""
    """What ``./inv image`` adds to it: the name of a lock of docker/gpu/locks. Empty: nothing."""

    gpus: str = "all"
    """The GPUs that a container sees: ``all``, or numbers or UUIDs such as ``0,1``. Empty:
    none, and nothing of NVIDIA's is asked for."""

    shm_size: str = "2g"
    """The container's /dev/shm. Triton's python backend has a region in it for each model
    instance, NCCL one for each GPU."""

    network: Literal["host", "bridge"] = "host"
    """``host``: the server listens on the host itself. ``bridge``: it has a network of its own,
    and its ports are published on ``server.address``."""

    ulimits: tuple[str, ...] = ("memlock=-1", "stack=67108864")
    """The container's limits; these two are what NVIDIA's images ask for."""

    mounts: tuple[str, ...] = ()
    """Further directories of the host that a container may read, at the same path."""

    options: tuple[str, ...] = ()
    """Further options of ``docker run`` or ``podman run``, such as ``--cpus=8``."""

    tritonserver: str = ""
    """Where an installed Triton is. Empty: /opt/tritonserver/bin, then the PATH."""

    @field_validator("triton", mode="before")
    @classmethod
    def _triton_is_a_release(cls, value: object) -> object:
        # Without quotes YAML reads 25.10 as the number 25.1; a month has two digits always.
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
        if text != "auto" and not re.fullmatch(r"\d\d\.\d\d", text):
            raise ValueError("auto or a release such as '26.06' is needed")
        return text

    @field_validator("gpus", mode="before")
    @classmethod
    def _nothing_is_no_gpu(cls, value: object) -> object:
        return "" if value is None else value  # what YAML makes of "gpus:"

    @field_validator("gpus")
    @classmethod
    def _gpus_are_named(cls, value: str) -> str:
        if not re.fullmatch(r"|all|[\w:-]+(,[\w:-]+)*", value):
            raise ValueError("all, nothing, or numbers or UUIDs separated by commas, such as 0,1")
        return value

    @field_validator("shm_size")
    @classmethod
    def _shm_size_is_one(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9]\d*[bkmg]?", value):
            raise ValueError("a number with k, m or g is needed, such as 2g")
        return value

    @field_validator("client", "archive", "tritonserver")
    @classmethod
    def _paths_are_absolute(cls, value: str) -> str:
        if value and not value.startswith(("/", "~/")):
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    @field_validator("mounts")
    @classmethod
    def _mounts_can_be_said(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not re.fullmatch(r"/[^,\n]+", path):
                raise ValueError(f"{path!r} is no absolute path without a comma")
        return value
