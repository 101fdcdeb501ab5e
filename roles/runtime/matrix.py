"""The version matrix: what is in which Triton image, and the row that suits a host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from rolecall.api import ConfigError

_MATRIX = Path(__file__).with_name("matrix.yaml")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sources(_Frozen):
    """Where the model repositories and scripts of a TensorRT-LLM version are kept.

    Attributes:
        repository: owner and name on GitHub.
        commit: what the tag points to; empty where that is not known.
    """

    repository: str
    tag: str
    commit: str = ""

    @property
    def url(self) -> str:
        """What git clones."""
        return f"https://github.com/{self.repository}.git"

    @property
    def folder(self) -> str:
        """Where ``all_models`` is in it; empty is the top."""
        return "triton_backend" if self.repository.endswith("/TensorRT-LLM") else ""


class Row(_Frozen):
    """One Triton release with TensorRT-LLM in it; the fields are explained in matrix.yaml."""

    triton: str
    tensorrt_llm: str
    tensorrt: str
    cuda: str
    driver: str
    python: str
    sources: Sources
    engine_backend: bool = True
    forward: tuple[str, ...] = ()
    defects: Mapping[str, str] = {}
    source: str = "docs/introduction/compatibility.md of triton-inference-server/server"

    @property
    def has_engine_backend(self) -> bool:
        """Whether TensorRT engines can be built and served with it."""
        return self.engine_backend

    def runs_on(self, driver: str) -> bool:
        """Whether ``driver`` is new enough for it on any GPU; forward compatibility is not asked.

        Raises:
            ConfigError: ``driver`` is no version.
        """
        return _version(driver) >= _version(self.driver)


class _Matrix(_Frozen):
    image: str
    llmapi_since: str
    rows: tuple[Row, ...]


@lru_cache(maxsize=1)
def _matrix() -> _Matrix:
    read = _Matrix.model_validate(yaml.safe_load(_MATRIX.read_text()))
    newest_first = sorted(read.rows, key=lambda row: _version(row.triton), reverse=True)
    return read.model_copy(update={"rows": tuple(newest_first)})


def rows() -> tuple[Row, ...]:
    """Every row, the newest first."""
    return _matrix().rows


def row(triton: str) -> Row:
    """The row of a Triton release such as ``26.06``.

    Raises:
        ConfigError: the matrix has no such release.
    """
    for known in rows():
        if known.triton == triton:
            return known
    names = ", ".join(known.triton for known in rows())
    raise ConfigError(
        f"the version matrix has no Triton {triton}",
        f"set runtime.triton to one of {names}, or give runtime.image",
    )


def suitable(repo: str = "", *, engine_backend: bool = False) -> tuple[Row, ...]:
    """The rows that can serve a kind of model repository without a known defect, newest first.

    Args:
        repo: the kind of model repository.
        engine_backend: only rows that can build and serve TensorRT engines.
    """
    since = _version(_matrix().llmapi_since) if repo == "llmapi" else ()
    return tuple(
        known
        for known in rows()
        if repo not in known.defects
        and _version(known.tensorrt_llm) >= since
        and (known.has_engine_backend or not engine_backend)
    )


def newest_for(driver: str, repo: str = "", *, engine_backend: bool = False) -> Row | None:
    """The newest suitable row that ``driver`` runs, or None if it is too old for all of them.

    With an empty ``driver``, which is what a host without a GPU has, any row will do. Forward
    compatibility is left out of account: it is for data-centre GPUs alone.
    """
    for known in suitable(repo, engine_backend=engine_backend):
        if not driver or known.runs_on(driver):
            return known
    return None


def image_of(known: Row, registry: str) -> str:
    """The reference of a row's image in ``registry``."""
    return _matrix().image.format(registry=registry.rstrip("/"), triton=known.triton)


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", text)
    if not found:
        raise ConfigError(f"{text!r} is no version such as 590.44.01")
    return tuple(int(part) for part in found[0].split("."))
