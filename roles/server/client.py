"""Questions to a served model over Triton's generate endpoints."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

from rolecall.errors import RolecallError

#: Seconds without a byte after which the server counts as gone.
SILENCE = 120.0


@dataclass(frozen=True)
class Sampling:
    """How an answer is chosen, as Triton's ``generate`` extension takes it."""

    max_tokens: int = 100
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    random_seed: int | None = None

    def parameters(self) -> dict[str, Any]:
        """What is set, by name of the input tensor."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def ask(base_url: str, text: str, sampling: Sampling) -> str:
    """One whole answer from ``ensemble``.

    Raises:
        RolecallError: the server refused, or could not be reached.
    """
    import httpx

    body = {"text_input": text, "bad_words": "", "stop_words": "", **sampling.parameters()}
    try:
        response = httpx.post(f"{base_url}/v2/models/ensemble/generate", json=body, timeout=SILENCE)
    except httpx.HTTPError as error:
        raise _unreachable(base_url, error) from error
    if response.status_code != 200:
        raise _refused(response.text)
    return str(response.json()["text_output"])


def stream(base_url: str, text: str, sampling: Sampling) -> Generator[str, None, None]:
    """The pieces of an answer as they come, from ``tensorrt_llm_bls``.

    Closing the iterator closes the connection, on which that model stops its request and frees
    the slot; Triton passes no cancellation through an ensemble.

    Raises:
        RolecallError: the server refused, or could not be reached.
    """
    import httpx

    body = {"text_input": text, "stream": True, **sampling.parameters()}
    url = f"{base_url}/v2/models/tensorrt_llm_bls/generate_stream"
    try:
        with httpx.stream("POST", url, json=body, timeout=SILENCE) as response:
            if response.status_code != 200:
                raise _refused(response.read().decode("utf-8", "replace"))
            for line in response.iter_lines():
                if not line.startswith("data:"):
                    continue
                data = json.loads(line.removeprefix("data:"))
                if "error" in data:
                    raise RolecallError(f"the model answered with an error: {data['error']}")
                yield str(data.get("text_output", ""))
    except httpx.HTTPError as error:
        raise _unreachable(base_url, error) from error


def is_ready(base_url: str) -> bool:
    """Whether the server says that it can answer."""
    import httpx

    try:
        return httpx.get(f"{base_url}/v2/health/ready", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False


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
