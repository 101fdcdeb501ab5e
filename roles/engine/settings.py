"""Settings of the role ``engine``."""

from typing import Literal

from pydantic import PositiveInt, model_validator

from rolecall.api import Settings
from roles.engine.tensorrt_llm.settings import TensorrtLlm
from roles.engine.vllm_settings import Vllm


class Engine(Settings):
    """Settings of the role ``engine``. Each is an input: another value is another engine."""

    kind: Literal["openvino", "vllm", "tensorrt_llm", "none"] = "openvino"
    """What builds it: ``openvino`` for a machine without a GPU, with the settings below;
    ``vllm`` for a GPU where TensorRT-LLM is not to be had, see ``engine.vllm``;
    ``tensorrt_llm`` with ``trtllm-build``, see ``engine.tensorrt_llm``; ``none`` where the server
    loads the model as it is."""

    quantization: Literal["q8_0", "f16"] = "q8_0"
    """How the weights are held."""

    arithmetic: Literal["exact", "fast"] = "exact"
    """``exact``: an answer does not depend on what else is in the batch. ``fast``: more tokens
    a second."""

    max_batch_size: PositiveInt = 64
    """Sequences in flight at the same time."""

    max_seq_len: PositiveInt = 2560
    """Tokens of a prompt and its answer together."""

    max_num_tokens: PositiveInt = 2560
    """Tokens of all sequences in one forward pass."""

    max_beam_width: PositiveInt = 1
    """Beams that one request may ask for."""

    vllm: Vllm = Vllm()
    """Further settings of kind ``vllm``."""

    tensorrt_llm: TensorrtLlm = TensorrtLlm()
    """The settings of kind ``tensorrt_llm``, which has its own in place of those above:
    roles/engine/tensorrt_llm/settings.py explains each."""

    @model_validator(mode="after")
    def _a_pass_holds_the_batch(self) -> "Engine":
        if self.max_num_tokens < self.max_batch_size:
            raise ValueError(
                f"max_num_tokens ({self.max_num_tokens}) must be at least max_batch_size "
                f"({self.max_batch_size}): every sequence in flight needs one token a pass"
            )
        return self

    @model_validator(mode="after")
    def _each_kind_has_its_own(self) -> "Engine":
        nested = {"kind", "tensorrt_llm", "vllm"}
        if self.kind == "tensorrt_llm" and (lost := sorted(self.model_fields_set - nested)):
            raise ValueError(
                f"{lost[0]} means nothing to kind tensorrt_llm: its settings are those of "
                f"engine.tensorrt_llm, such as engine.tensorrt_llm.max_batch_size"
            )
        return self
