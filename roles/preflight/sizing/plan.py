"""What is to be served and on what: the input of the sizing, made of settings and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True)
class Plan:
    """What the settings ask for.

    Attributes:
        recipe: how the weights come to the GPUs: ``engine`` (convert, build, load), ``llmapi``
            or ``vllm`` (load).
        dtype: of weights and activations; ``auto`` is the checkpoint's.
        quantization: see :mod:`roles.preflight.sizing.quantization`; ``none`` is as the
            checkpoint is.
        group_size: of a quantization that has groups; 0 is its usual one.
        kv_dtype: of the KV cache; ``auto`` is the checkpoint's wish or ``dtype``.
        max_seq_len: tokens of a prompt and its answer; 0 is what the model can take.
        max_num_tokens: tokens of one forward pass; 0 is the recipe's default.
        max_tokens_in_paged_kv_cache: tokens of the KV cache; 0 is what fits.
        kv_fraction: part of the memory left after loading that the KV cache gets.
        split_embedding: the embedding is divided over the GPUs too.
        names: for a field of this, the setting that says it, or a sentence with ``{}`` for the
            value where no setting does.
    """

    recipe: str = "engine"
    dtype: str = "auto"
    quantization: str = "none"
    group_size: int = 0
    kv_dtype: str = "auto"
    tp_size: int = 1
    pp_size: int = 1
    max_batch_size: int = 1
    max_seq_len: int = 0
    max_num_tokens: int = 0
    max_beam_width: int = 1
    max_tokens_in_paged_kv_cache: int = 0
    tokens_per_block: int = 64
    kv_fraction: float = 0.9
    split_embedding: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """GPUs that it takes."""
        return self.tp_size * self.pp_size

    def name(self, of: str) -> str:
        """The setting behind a field."""
        return self.names.get(of, of).partition(":")[0]

    def says(self, of: str, value: object) -> str:
        """How a value of a field is set."""
        name = self.names.get(of, of)
        return name.format(value) if "{}" in name else f"{name}={value}"


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a host; the smallest and the oldest count.

    Attributes:
        memory_mib: of each; 0 where it is not known.
        capability: compute capability times ten; 0 where it is not known.
        mig: the MIG instances, where the GPUs are divided into such.
    """

    count: int = 0
    memory_mib: int = 0
    capability: int = 0
    names: str = ""
    mig: str = ""
    shared: bool = False

    @classmethod
    def of_facts(cls, facts: Mapping[str, str]) -> Gpus:
        """Those that the facts ``gpu.…`` name."""

        def number(name: str) -> int:
            text = facts.get(name, "")
            return int(text) if text.isdigit() else 0

        major, _, minor = facts.get("gpu.compute_capability", "").partition(".")
        known = major.isdigit() and minor.isdigit()
        return cls(
            number("gpu.count"),
            number("gpu.memory_mib"),
            int(major) * 10 + int(minor) if known else 0,
            facts.get("gpu.names", ""),
            facts.get("gpu.mig", ""),
            facts.get("gpu.shared_memory", "") == "yes",
        )


@dataclass(frozen=True)
class Files:
    """What the model's files are, as its card says: sizes in bytes, 0 where not known."""

    total: int = 0
    weights: int = 0
    largest: int = 0


def to_json(value: Plan | Gpus) -> dict[str, Any]:
    """For :func:`from_json` on another machine."""
    return asdict(value)


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan that :func:`to_json` wrote down; what it does not know it leaves out."""
    known = {item.name for item in fields(Plan)}
    return Plan(**{name: value for name, value in data.items() if name in known})


def gpus_from_json(data: Mapping[str, Any]) -> Gpus:
    """The GPUs that :func:`to_json` wrote down."""
    known = {item.name for item in fields(Gpus)}
    return Gpus(**{name: value for name, value in data.items() if name in known})
