"""Settings of the flavour ``t9k``."""

from __future__ import annotations

import re

from pydantic import NonNegativeInt, field_validator, model_validator

from rolecall.api import Settings
from roles.k8s.values import HOSTNAME, LABEL, matching


class T9k(Settings):
    """What MLServiceRuntime and MLService have of their own (tensorstack.dev/v1beta1)."""

    runtime: str = ""
    """The MLServiceRuntime's name. Empty: that of the service."""

    release: str = "v1"
    """The release's name, which goes into its address."""

    max_replicas: NonNegativeInt | None = None
    """The most pods of a release; ``null`` leaves it to the platform, which sees no bound."""

    queue: str = ""
    """The queue of T9k's scheduler. Empty: the cluster's own scheduler."""

    args: tuple[str, ...] = (
        "python3",
        "launch_triton_server.py",
        "--model_repo={{.MODEL_REPO_PATH}}",
    )
    """The runtime's command line: Go templates, which the platform fills."""

    model_repo_path: str = "/workspace/inflight_batcher_llm"
    """Where the model repository is in the pods: what ``MODEL_REPO_PATH`` becomes."""

    mount_path: str = "/workspace"
    """Where the volume is in the pods. Whoever fills it has to see it there too, since an engine's
    and a tokenizer's paths stand in the model repository."""

    working_dir: str = "/opt/tritonserver"
    """The directory that the command starts in, which has the launcher. Empty: the image's own."""

    marks: bool = True
    """Mark the pods with digests of the runtime and of what was prepared. The platform leaves
    pods alone when a runtime changes; a changed mark is a change of the service."""

    @field_validator("release")
    @classmethod
    def _release_is_a_label(cls, value: str) -> str:
        return matching(LABEL, "the name of a release is a DNS label")(value)

    @field_validator("runtime")
    @classmethod
    def _runtime_is_a_name(cls, value: str) -> str:
        return matching(rf"|{HOSTNAME}", "a name in lower case is needed")(value)

    @field_validator("args")
    @classmethod
    def _args_are_filled(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        text = " ".join(value)
        if text.count("{{") != text.count("}}"):
            raise ValueError("a template begins with {{ and ends with }}")
        for name in re.findall(r"{{-?\s*\.(\w+)\s*-?}}", text):
            if name != "MODEL_REPO_PATH":
                raise ValueError(
                    f"nothing fills {{{{.{name}}}}}: the service has the parameter MODEL_REPO_PATH"
                )
        return value

    @model_validator(mode="after")
    def _repository_is_on_the_volume(self) -> T9k:
        if not self.model_repo_path.startswith(f"{self.mount_path}/"):
            raise ValueError(
                f"model_repo_path ({self.model_repo_path}) is not below mount_path "
                f"({self.mount_path}), where the volume is"
            )
        return self

    @field_validator("mount_path", "model_repo_path")
    @classmethod
    def _path_is_absolute(cls, value: str) -> str:
        if not re.fullmatch(r"(/[^/\s]+)+", value):
            raise ValueError(f"{value!r} is no absolute path without blanks")
        return value
