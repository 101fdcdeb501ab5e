"""The commands that convert and build: our settings, in the words of the pinned version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rolecall.settings import nearest
from roles.engine.tensorrt_llm.tables import Flag, FlagValues, Table, Tool

if TYPE_CHECKING:
    from roles.engine.tensorrt_llm.settings import TensorrtLlm

#: Settings that go to the conversion, and to the build, under the name of their flag.
_CONVERT = (
    "dtype",
    "tp_size",
    "pp_size",
    "workers",
    "load_model_on_cpu",
    "load_by_shard",
    "use_parallel_embedding",
    "embedding_sharding_dim",
    "use_embedding_sharing",
)
_BUILD = (
    "max_batch_size",
    "max_input_len",
    "max_output_len",
    "max_seq_len",
    "max_num_tokens",
    "max_beam_width",
    "workers",
)

#: What is always said, even where it is the tool's default.
_ALWAYS = frozenset({"dtype"})

#: What a flag may be called in another version.
_INSTEAD = {
    "max_output_len": "this version has max_seq_len, a prompt and its answer together",
    "max_seq_len": "this version has max_output_len, the answer alone",
}


@dataclass(frozen=True)
class Command:
    """A program and its flags; what is read and written is added where it runs.

    Attributes:
        program: its path below ``examples``; empty for ``trtllm-build``.
        flags: in order; None is a switch.
        done: see :class:`~roles.engine.tensorrt_llm.tables.Tool`.
    """

    program: str
    flags: Mapping[str, str | None]
    done: str

    @property
    def words(self) -> list[str]:
        """The flags as words of a command line."""
        found: list[str] = []
        for name, value in self.flags.items():
            found += [f"--{name}"] if value is None else [f"--{name}", value]
        return found


def check(settings: TensorrtLlm, build: Table, examples: Table) -> None:
    """Both commands can be written.

    Raises:
        ValueError: a setting has no flag in its version, or a value that the flag does not take.
    """
    checkpoint_command(settings, examples)
    build_command(settings, build)


def checkpoint_command(settings: TensorrtLlm, table: Table) -> Command:
    """The command that makes the checkpoint, except for --model_dir and --output_dir.

    Raises:
        ValueError: as :func:`check`.
    """
    quantization, cache = settings.quantization, settings.kv_cache_dtype
    tool, where = table.convert, f"convert_checkpoint.py of TensorRT-LLM {table.version}"
    if quantization in table.quantize.quantization:
        tool, where = table.quantize, f"quantize.py of TensorRT-LLM {table.version}"
    program = tool.programs.get(settings.family) or tool.programs.get("*", "")
    if not program:
        raise ValueError(
            f"family {settings.family!r} has no converter in TensorRT-LLM {table.version}: "
            + nearest(settings.family, tool.programs)
        )
    tool = tool.of_family(settings.family)
    flags = _given(settings, _CONVERT, tool, where)
    for name, value, known in (
        ("quantization", quantization, tool.quantization),
        ("kv_cache_dtype", cache, tool.kv_cache_dtype),
    ):
        if value in {"none", "auto"}:
            continue
        if value not in known:
            raise ValueError(f"{name} {value}: {where} has no flag for it")
        flags |= _filled(known[value], settings, tool, where)
    flags |= _further("convert_flags", settings.convert_flags, tool.flags, where)
    return Command(program, flags, tool.done)


def build_command(settings: TensorrtLlm, table: Table) -> Command:
    """The ``trtllm-build``, except for --checkpoint_dir and --output_dir.

    Raises:
        ValueError: as :func:`check`.
    """
    where = f"trtllm-build of TensorRT-LLM {table.version}"
    flags = _given(settings, _BUILD, table.build, where)
    flags |= _further("plugins", settings.plugins, table.plugins, where)
    flags |= _further("build_flags", settings.build_flags, table.build.flags, where)
    return Command("", flags, table.build.done)


def effective(settings: TensorrtLlm, table: Table, name: str) -> int | None:
    """A limit as it will hold: the setting, or the tool's default; None where that varies."""
    value = getattr(settings, name)
    if value is None and name in table.build.flags:
        value = table.build.flags[name].default
    return None if value is None else int(value)


def _given(
    settings: TensorrtLlm, names: tuple[str, ...], tool: Tool, where: str
) -> dict[str, str | None]:
    """The settings of ``names`` that differ from what the tool does by itself."""
    found: dict[str, str | None] = {}
    for name in names:
        value = getattr(settings, name)
        neutral = type(settings).model_fields[name].default
        if name not in tool.flags:
            if value is not None and (value != neutral or name in _ALWAYS):
                instead = _INSTEAD.get(name, "leave it out")
                raise ValueError(f"{name}: {where} has no flag for it; {instead}")
            continue
        flag = tool.flags[name]
        if name in _ALWAYS or not (value is None or value is False or value == flag.default):
            found |= _flag(name, value, flag, name, where)
    return found


def _filled(
    values: FlagValues, settings: TensorrtLlm, tool: Tool, where: str
) -> dict[str, str | None]:
    """The flags of a table's entry, with ``$SETTING`` replaced."""
    found: dict[str, str | None] = {}
    for name, value in values.items():
        given: Any = value
        if isinstance(value, str) and value.startswith("$"):
            setting = value[1:].rstrip("?")
            given = getattr(settings, setting)
            if given is not None and name not in tool.flags:
                raise ValueError(f"{setting}: {where} has no flag for it")
        if not (given is None or given == tool.flags[name].default):
            found |= _flag(name, given, tool.flags[name], name, where)
    return found


def _further(
    setting: str, values: FlagValues, flags: Mapping[str, Flag], where: str
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, value in values.items():
        if name not in flags:
            raise ValueError(f"{setting}.{name}: {where} has no such flag; {nearest(name, flags)}")
        found |= _flag(name, value, flags[name], f"{setting}.{name}", where)
    return found


def _flag(name: str, value: Any, flag: Flag, setting: str, where: str) -> dict[str, str | None]:
    """One flag and its value.

    Raises:
        ValueError: the flag does not take the value.
    """
    if flag.type == "switch":
        if not isinstance(value, bool):
            raise ValueError(f"{setting}: --{name} of {where} is a switch: true or false")
        return {name: None} if value else {}
    if isinstance(value, bool):
        value = "enable" if value else "disable"
    choices = ("enable", "disable") if flag.type == "enable" else flag.choices
    if choices and str(value) not in choices:
        raise ValueError(
            f"{setting}: --{name} of {where} takes {', '.join(choices)}, not {value!r}"
        )
    numbers: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float)}
    if flag.type in numbers and not isinstance(value, numbers[flag.type]):
        raise ValueError(f"{setting}: --{name} of {where} takes a number, not {value!r}")
    return {name: str(value)}
