"""Settings of the role ``python``."""

from typing import Literal

from pydantic import field_validator

from rolecall.api import Settings


class Python(Settings):
    """Settings of the role ``python``."""

    interpreter: str = "python3:python3.12:python3.11:python3.10"
    """The Python to make environments with: the first of these that will do, which is 3.10, 3.11
    or 3.12 for the serving environment, and any from 3.10 to 3.14 for the tools. Names on the
    PATH or absolute paths."""

    lock: Literal["cpu", "triton", "none"] = "cpu"
    """Which lock file of roles/python/locks makes the serving environment: ``cpu`` with OpenVINO,
    ``triton`` where the engine has an environment of its own, ``none`` where the runtime (a
    container, say) brings all that serves."""

    engine_lock: Literal["vllm", "none"] = "none"
    """The lock file of the environment that the engine's own process runs in."""

    engine_interpreter: str = ""
    """A Python on the host that has what ``engine_lock`` would install (of an image of yours, say),
    as an absolute path: it is used as it is, and nothing is installed."""

    directory: str = ""
    """Where the environments are, as an absolute path: in an image of ours, which brings them.
    Empty: in Rolecall's own directory."""

    @field_validator("engine_interpreter", "directory")
    @classmethod
    def _path_is_absolute(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError("an absolute path is needed")
        return value
