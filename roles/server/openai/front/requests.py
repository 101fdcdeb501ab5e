"""What a request may ask for; anything that would mean something else here is refused.

Parameters: OpenAI API reference, "Create chat completion" and "Create completion". Further ones
that servers of open models share (vLLM, TensorRT-LLM's trtllm-serve): top_k, repetition_penalty,
min_tokens, ignore_eos, chat_template_kwargs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from .errors import ApiError, invalid

R = TypeVar("R", bound="Asked")

#: What some values of a parameter ask for that cannot be given; the rest of them mean nothing.
_REFUSED: Mapping[str, str] = {
    "logprobs": "log probabilities are not available",
    "top_logprobs": "log probabilities are not available",
    "logit_bias": "logits cannot be biased",
    "tools": "tools are not available",
    "functions": "functions are not available",
    "response_format": "only the format of type text is available",
    "modalities": "only text is available",
    "audio": "only text is available",
    "suffix": "a suffix is not available",
    "best_of": "only as many answers as are returned are made",
    "reasoning_effort": "reasoning cannot be set",
    "verbosity": "verbosity cannot be set",
    "web_search_options": "there is no web search",
}

#: Accepted, since the answer is the same without them.
_HARMLESS = frozenset(
    {
        "user",
        "store",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prediction",
        "parallel_tool_calls",
        "tool_choice",
        "function_call",
    }
)

Probability = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
TokenId = Annotated[int, Field(ge=0)]

#: The largest number that Triton is told where it has 32 bits for it.
_INT32 = 2**31 - 1

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class StreamOptions(BaseModel):
    """``stream_options``."""

    model_config = _STRICT

    include_usage: bool = False
    include_obfuscation: bool = False


class Asked(BaseModel):
    """What both kinds of request have in common."""

    model_config = _STRICT

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Probability = 1.0
    top_k: Annotated[int, Field(ge=-1, le=_INT32)] = 0
    seed: int | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    stream_options: StreamOptions | None = None
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    min_tokens: Annotated[int, Field(ge=0, le=_INT32)] = 0
    ignore_eos: bool = False

    @model_validator(mode="before")
    @classmethod
    def _only_what_can_be_done(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            raise PydanticCustomError("no_object", "the request must be a JSON object")
        # As in OpenAI's API, null is a parameter that is not given.
        given = {name: value for name, value in said.items() if value is not None}
        for name, reason in _REFUSED.items():
            if name in given and not _means_nothing(name, given.pop(name), given):
                raise PydanticCustomError("refused:" + name, "{why}", {"why": reason})
        for name in _HARMLESS:
            given.pop(name, None)
        stop = given.get("stop")
        if isinstance(stop, str):
            given["stop"] = (stop,)
        elif isinstance(stop, list):
            given["stop"] = tuple(stop)
        if "stream_options" in given and not given.get("stream"):
            raise PydanticCustomError(
                "wrong:stream_options", "stream_options is for requests with stream: true"
            )
        return cls._own(given)

    @model_validator(mode="after")
    def _stops_are_words(self) -> Asked:
        if len(self.stop) > 16 or not all(self.stop):
            raise PydanticCustomError(
                "wrong:stop", "stop is a string or at most 16 of them, and none may be empty"
            )
        return self

    @classmethod
    def _own(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What only this kind of request has to be read by."""
        return given

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class Part(BaseModel):
    """A part of a message's content."""

    model_config = _STRICT

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A message of a conversation."""

    model_config = _STRICT

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[Part, ...]
    name: str | None = None
    refusal: None = None

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        given = {name: value for name, value in said.items() if value is not None}
        if given.get("role") in ("tool", "function") or given.get("tool_calls"):
            raise PydanticCustomError("refused:messages", "tools are not available")
        given.pop("tool_calls", None)
        for reply_only in ("annotations", "reasoning_content"):
            given.pop(reply_only, None)
        content = given.get("content")
        if isinstance(content, list):
            kinds = {str(part.get("type")) for part in content if isinstance(part, dict)} - {"text"}
            if kinds:
                raise PydanticCustomError(
                    "refused:messages",
                    "content can only be text, not {kind}",
                    {"kind": min(kinds)},
                )
            given["content"] = tuple(content)
        return given

    def plain(self) -> dict[str, str]:
        """As chat templates know it: one text, and ``system`` for what came before the user."""
        role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return {"role": role, "content": self.content}
        return {"role": role, "content": "\n".join(part.text for part in self.content)}


class ChatRequest(Asked):
    """``/v1/chat/completions``."""

    messages: tuple[Message, ...] = Field(min_length=1)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def _own(cls, given: dict[str, Any]) -> dict[str, Any]:
        newer = given.pop("max_completion_tokens", None)
        if newer is not None and given.setdefault("max_tokens", newer) != newer:
            raise PydanticCustomError(
                "wrong:max_tokens", "max_tokens and max_completion_tokens differ"
            )
        if isinstance(given.get("messages"), list):
            given["messages"] = tuple(given["messages"])
        further = given.get("chat_template_kwargs")
        if isinstance(further, dict) and "messages" in further:
            raise PydanticCustomError(
                "wrong:chat_template_kwargs",
                "chat_template_kwargs: messages have a parameter of their own",
            )
        return given


class CompletionRequest(Asked):
    """``/v1/completions``."""

    prompts: tuple[str | tuple[TokenId, ...], ...] = Field(alias="prompt", min_length=1)
    echo: bool = False

    @classmethod
    def _own(cls, given: dict[str, Any]) -> dict[str, Any]:
        prompt = given.get("prompt")
        if isinstance(prompt, str):
            given["prompt"] = (prompt,)
        elif isinstance(prompt, list):
            several = not prompt or isinstance(prompt[0], (str, list))
            items = prompt if several else [prompt]
            given["prompt"] = tuple(
                tuple(item) if isinstance(item, list) else item for item in items
            )
        return given


#: What pydantic calls by names of Python.
_IN_JSON = {
    "tuple_type": "Input should be an array",
    "dict_type": "Input should be an object",
    "model_type": "Input should be an object",
    "too_short": "Input should have at least one item",
}


def parse(kind: type[R], said: Any) -> R:
    """Read a request.

    Raises:
        ApiError: 400, with the parameter at fault.
    """
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise _wrong(error) from None


def _means_nothing(name: str, value: Any, given: Mapping[str, Any]) -> bool:
    """Whether this value of a parameter that is refused asks for nothing."""
    if name == "logprobs":
        return value is False
    if name == "best_of":
        return bool(value == given.get("n", 1))
    if name == "response_format":
        return bool(value == {"type": "text"})
    if name == "modalities":
        return bool(value == ["text"])
    if name == "tools" and given.get("tool_choice") == "none":
        return True
    if name == "functions" and given.get("function_call") == "none":
        return True
    return not value


def _wrong(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False)[0]
    kind, place = first["type"], _place(first["loc"])
    verdict, _, named = kind.partition(":")
    if verdict == "refused":
        return invalid(f"{named}: {first['msg']}", named, "unsupported_parameter")
    if verdict == "wrong":
        return invalid(first["msg"], named, "invalid_value")
    if kind == "extra_forbidden":
        return invalid(f"Unknown parameter: '{place}'.", place, "unknown_parameter")
    if kind == "missing":
        return invalid(
            f"Missing required parameter: '{place}'.", place, "missing_required_parameter"
        )
    if not place:
        return invalid(first["msg"])
    said = _IN_JSON.get(kind, first["msg"])
    return invalid(f"Invalid value for '{place}': {said}", place, "invalid_value")


def _place(location: Sequence[str | int]) -> str:
    """Such as ``messages[0].content``, without the names of pydantic's alternatives."""
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part.isidentifier() and part not in ("str", "int"):
            place += f".{part}" if place else part
    return place
