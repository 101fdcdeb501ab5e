"""Continuous batching, as the engine thread sees it; which library does it, the engine says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .errors import SettingsError
from .output import Tokens
from .requests import Generation
from .settings import Settings
from .vocabulary import Vocabulary


class Running(Protocol):
    """A request in the batch."""

    def read(self) -> list[Tokens]:
        """What came since the last reading: one entry a sequence, the best first."""
        ...

    def is_running(self) -> bool:
        """Whether more will come."""
        ...

    def ran_out_of_cache(self) -> bool:
        """Whether it was given up because the KV cache is full."""
        ...

    def refusal(self) -> str:
        """Why the engine did not take it after all; empty if it did."""
        ...

    def stop(self) -> None:
        """End it and keep what it has generated."""
        ...

    def cancel(self) -> None:
        """End it."""
        ...


class Pipeline(Protocol):
    """One loaded engine that generates for a whole batch at a time."""

    def add_request(self, number: int, generation: Generation, vocabulary: Vocabulary) -> Running:
        """Take ``generation`` into the batch under ``number``, which no running one may have.

        Raises ``RequestError`` for what this engine cannot do, ``OSError`` if it is gone.
        """
        ...

    def step(self) -> None:
        """Generate: return as soon as there may be something to read."""
        ...

    def has_non_finished_requests(self) -> bool:
        """Whether there is anything to do."""
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...


#: The module of each builder that an engine's config.json may name.
_MODULES: Mapping[str, str] = {"openvino-genai": "openvino_pipeline", "vllm": "vllm_pipeline"}


def open_pipeline(settings: Settings) -> Pipeline:
    """Load the engine; takes seconds. Raises ``RuntimeError`` if its files are damaged."""
    opener: Callable[[Settings], Pipeline] = _module(settings.limits.builder).open_pipeline
    return opener(settings)


def free_memory(engine_dir: Path, builder: str) -> int:
    """Bytes that the KV cache of the engine in ``engine_dir`` could take at most."""
    measure: Callable[[Path], int] = _module(builder).free_memory
    return measure(engine_dir)


def _module(builder: str) -> Any:
    if builder not in _MODULES:
        raise SettingsError(f"no pipeline serves engines of the builder {builder!r}")
    return import_module(f".{_MODULES[builder]}", __package__)
