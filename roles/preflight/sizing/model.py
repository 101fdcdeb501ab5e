"""A model, as far as its size goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from roles.preflight.sizing.quantization import NONE, Quantization


@dataclass(frozen=True)
class Linear:
    """A linear layer, ``count`` times; ``kv`` marks keys and values, whose heads are shared."""

    inputs: int
    outputs: int
    count: int = 1
    kv: bool = False

    @property
    def elements(self) -> int:
        """All its weights."""
        return self.inputs * self.outputs * self.count


@dataclass(frozen=True)
class Model:
    """What decides about the size of a model.

    Attributes:
        architecture: as config.json names it.
        linears: every linear layer but the head; empty when the architecture is not known.
        embedding, head: their elements; a head that is the embedding has none of its own.
        other: elements of norms, biases and routers, which no quantization touches.
        wide: the widest intermediate value of one token, for the estimate of activations.
        latent: elements cached for a token and layer where that is one vector for all heads
            (multi-head latent attention); 0 is a key and a value for each KV head.
        window, windowed: the sliding window in tokens, and how many layers have it.
        file_bytes: the sum of the weight files; 0 where nobody said.
        notes: what the reader of the figures should know.
    """

    architecture: str
    layers: int = 0
    hidden: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    vocab: int = 0
    max_positions: int = 0
    linears: tuple[Linear, ...] = ()
    embedding: int = 0
    head: int = 0
    other: int = 0
    wide: int = 0
    latent: int = 0
    window: int = 0
    windowed: int = 0
    dtype: str = "float16"
    quantization: Quantization = NONE
    kv_dtype: str = ""
    file_bytes: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def parameters(self) -> int:
        """All parameters; 0 when the architecture is not known."""
        linears = sum(linear.elements for linear in self.linears)
        return linears + self.embedding + self.head + self.other if linears else 0
