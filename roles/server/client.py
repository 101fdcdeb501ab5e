"""Questions to a served model over Triton's generate endpoints."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rolecall.errors import RolecallError
from roles.server.openai.front.served import input_name

if TYPE_CHECKING:
    import httpx

#: Asked after a deploy.
QUESTION = "What is machine learning?"

#: Seconds without a byte after which the server counts as gone.
SILENCE = 120.0

#: The model repositories that can be spoken to, by the model that only they have; and of each
#: the model that answers whole and the one that streams.
_MODELS = (("ensemble", "tensorrt_llm_bls"), ("tensorrt_llm", "tensorrt_llm"))


@dataclass(frozen=True)
class Sampling:
    """How an answer is chosen, as Triton's ``generate`` extension takes it.

    Attributes:
        end_id, pad_id: token ids for a server whose model does not know them itself.
    """

    max_tokens: int = 100
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    random_seed: int | None = None
    end_id: int | None = None
    pad_id: int | None = None

    def parameters(self) -> dict[str, Any]:
        """What is set, by name of the input tensor."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Served:
    """How the served model wants to be asked, found out from the server itself.

    So it is right whatever the settings say meanwhile, after a rollback for example.

    Attributes:
        name: the model.
        inputs: the names of its input tensors.
        decoupled: it can send an answer in pieces.
    """

    name: str
    inputs: frozenset[str] = field(default_factory=frozenset)
    decoupled: bool = False

    @property
    def is_llm_api(self) -> bool:
        """Whether it is TensorRT-LLM's LLM API rather than inflight_batcher_llm."""
        return "sampling_param_max_tokens" in self.inputs

    def body(self, text: str, sampling: Sampling, *, stream: bool) -> dict[str, Any]:
        """The request for an answer to ``text``.

        Raises:
            RolecallError: the model has no input for something that was asked for.
        """
        body: dict[str, Any] = {"text_input": text}
        for option, value in sampling.parameters().items():
            if name := input_name(option, self.inputs):
                body[name] = value
            elif option not in ("end_id", "pad_id"):
                raise RolecallError(
                    f"the served model {self.name} cannot be told {option}",
                    f"it takes {', '.join(sorted(self.inputs))}",
                )
        if self.is_llm_api:
            body["sampling_param_exclude_input_from_output"] = True
            return {**body, "streaming": True} if stream else body
        if stream:
            return {**body, "stream": True}
        return {**body, "bad_words": "", "stop_words": ""}


def served(base_url: str, *, stream: bool) -> Served:
    """The model to ask: the one that answers whole, or the one that can be stopped.

    Raises:
        RolecallError: the server has no model that generates text, or cannot be reached.
    """
    for whole, pieces in _MODELS:
        name = pieces if stream else whole
        found = _get(base_url, f"/v2/models/{name}")
        inputs = frozenset(str(tensor["name"]) for tensor in found.get("inputs", []))
        if "text_input" in inputs:
            config = _get(base_url, f"/v2/models/{name}/config")
            policy = config.get("model_transaction_policy", {})
            return Served(name, inputs, bool(policy.get("decoupled")))
    raise RolecallError(
        f"{base_url} serves no model that takes a text",
        "./inv status shows what it serves, ./inv plan what it should",
    )


def ask(base_url: str, text: str, sampling: Sampling) -> str:
    """One whole answer.

    Raises:
        RolecallError: the server refused, or could not be reached.
    """
    import httpx

    model = served(base_url, stream=False)
    body = model.body(text, sampling, stream=False)
    try:
        url = f"{base_url}/v2/models/{model.name}/generate"
        response = httpx.post(url, json=body, timeout=SILENCE)
    except httpx.HTTPError as error:
        raise _unreachable(base_url, error) from error
    if response.status_code != 200:
        raise _refused(response.text)
    return _text(response.json())


def stream(base_url: str, text: str, sampling: Sampling) -> Generator[str, None, None]:
    """The pieces of an answer as they come; all at once from a model that sends it whole.

    Closing the iterator closes the connection, on which ``tensorrt_llm_bls`` and the LLM API
    stop the request and free its slot; Triton passes no cancellation through an ensemble.

    Raises:
        RolecallError: the server refused, or could not be reached.
    """
    import httpx

    model = served(base_url, stream=True)
    body = model.body(text, sampling, stream=model.decoupled)
    url = f"{base_url}/v2/models/{model.name}/generate_stream"
    before = ""
    try:
        with httpx.stream("POST", url, json=body, timeout=SILENCE) as response:
            if response.status_code != 200:
                raise _refused(response.read().decode("utf-8", "replace"))
            for line in _lines(response):
                if not line.startswith(b"data:"):
                    continue
                data = json.loads(line.removeprefix(b"data:"))
                if "error" in data:
                    raise RolecallError(f"the model answered with an error: {data['error']}")
                said = _text(data)
                if model.is_llm_api:  # it repeats what it has said so far
                    said, before = said.removeprefix(before), said
                yield said
    except httpx.HTTPError as error:
        raise _unreachable(base_url, error) from error


def is_ready(base_url: str) -> bool:
    """Whether the server says that it can answer."""
    import httpx

    try:
        return httpx.get(f"{base_url}/v2/health/ready", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """The lines of a stream.

    httpx's own ``iter_lines`` also ends a line at U+0085, U+2028 and U+2029, which stand in an
    event as they are: JSON need not escape them.
    """
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _text(answer: Mapping[str, Any]) -> str:
    """The text of an answer; a model with several sequences lists them, and one was asked for."""
    text = answer.get("text_output", "")
    return str(text[0] if isinstance(text, list) and text else text)


def _get(base_url: str, path: str) -> dict[str, Any]:
    """What the server says of itself; nothing where it does not know the path."""
    import httpx

    try:
        response: httpx.Response = httpx.get(f"{base_url}{path}", timeout=30.0)
    except httpx.HTTPError as error:
        raise _unreachable(base_url, error) from error
    return dict(response.json()) if response.status_code == 200 else {}


def _refused(text: str) -> RolecallError:
    try:
        reason = json.loads(text).get("error", text)
    except ValueError:
        reason = text
    return RolecallError(f"the server refused the request: {reason}", "./inv logs shows its log")


def _unreachable(base_url: str, error: Exception) -> RolecallError:
    return RolecallError(
        f"no answer from {base_url}: {error}",
        "./inv status shows whether the server runs, ./inv start starts it",
    )
