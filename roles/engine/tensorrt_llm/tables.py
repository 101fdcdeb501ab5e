"""What each pinned version's tools accept, as data: ``flags/VERSION.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from rolecall.api import ConfigError

_FOLDER = Path(__file__).parent / "flags"

Value = str | int | float | bool


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Flag(_Frozen):
    """One flag: what it takes, and what holds where it is not given.

    Attributes:
        type: a ``switch`` takes no value; ``enable`` takes ``enable`` or ``disable``.
        default: the tool's own; None where it has none or works it out.
    """

    type: Literal["switch", "enable", "int", "float", "text"] = "text"
    default: Value | None = None
    choices: tuple[str, ...] = ()


#: By flag its value, or ``$SETTING``: that setting's; with a ``?`` behind it one need not be set.
FlagValues = Mapping[str, Value]


def is_optional(value: Value) -> bool:
    """Whether a flag's value may be missing."""
    return isinstance(value, str) and value.startswith("$") and value.endswith("?")


class Tool(_Frozen):
    """A program's flags, and the values that stand for our settings.

    Attributes:
        programs: by family of models (``*``: all), its path below ``examples``; empty for a
            command of the wheel.
        lacks: by family, the flags that its program does not have, of those below.
        quantization: by our ``quantization``, the flags that make it.
        kv_cache_dtype: by our ``kv_cache_dtype``, likewise.
        done: what the program prints when it is through with a rank; empty if that is not known.
    """

    programs: Mapping[str, str] = {}
    lacks: Mapping[str, tuple[str, ...]] = {}
    flags: Mapping[str, Flag]
    quantization: Mapping[str, FlagValues] = {}
    kv_cache_dtype: Mapping[str, FlagValues] = {}
    done: str = ""

    def of_family(self, family: str) -> Tool:
        """The tool as the program of ``family`` is: without the flags that it lacks."""
        lacks = set(self.lacks.get(family, ()))
        if not lacks:
            return self

        def possible(known: Mapping[str, FlagValues]) -> dict[str, FlagValues]:
            return {
                name: flags
                for name, flags in known.items()
                if all(is_optional(value) for flag, value in flags.items() if flag in lacks)
            }

        flags = {name: flag for name, flag in self.flags.items() if name not in lacks}
        changed = {
            "flags": flags,
            "quantization": possible(self.quantization),
            "kv_cache_dtype": possible(self.kv_cache_dtype),
        }
        return self.model_copy(update=changed)


class Table(_Frozen):
    """What is known of one version.

    Attributes:
        commit: of NVIDIA/TensorRT-LLM.
        source: where the facts were read.
        convert: ``convert_checkpoint.py`` of the family.
        quantize: ``quantize.py``, for the quantisations that it alone makes.
        build: ``trtllm-build``; its plugins are flags as well.
    """

    version: str
    commit: str = ""
    source: str
    convert: Tool
    quantize: Tool
    build: Tool
    plugins: Mapping[str, Flag]


def known_versions() -> tuple[str, ...]:
    """The versions whose flags are known, the newest last."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@cache
def table(version: str) -> Table:
    """What is known of ``version``.

    Raises:
        ConfigError: nothing is.
    """
    path = _FOLDER / f"{version}.yaml"
    if version not in known_versions():
        raise ConfigError(
            f"the flags of TensorRT-LLM {version or 'of an unknown version'} are not known",
            f"set engine.tensorrt_llm.version to one of {', '.join(known_versions())}, or write "
            f"{path.name} from its sources",
        )
    data = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return Table.model_validate({"version": version, **data})
