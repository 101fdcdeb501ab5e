"""What a running Triton says of itself (Triton's HTTP API, extensions included)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolecall.errors import RolecallError

#: Seconds for an answer that no model has to think about.
_PATIENCE = 30.0


def server(base_url: str) -> Mapping[str, Any]:
    """Name, version and extensions of the server (KServe protocol, server metadata).

    Raises:
        RolecallError: it cannot be reached, or does not answer so.
    """
    return dict(_asked("GET", f"{base_url}/v2").json())


def models(base_url: str) -> dict[str, str]:
    """Of each model in the repository its state, and why where it is not ``READY``.

    Triton's model repository extension, ``index``.

    Raises:
        RolecallError: it cannot be reached, or does not answer so.
    """
    listed = _asked("POST", f"{base_url}/v2/repository/index", json={}).json()
    return {
        str(one["name"]): f"{one.get('state', 'not loaded')} {one.get('reason', '')}".strip()
        for one in listed
    }


def metrics(base_url: str) -> str:
    """The Prometheus metrics at the base URL of the metrics' port.

    Raises:
        RolecallError: it cannot be reached, or does not answer so.
    """
    return str(_asked("GET", f"{base_url}/metrics").text)


def status(method: str, url: str) -> int:
    """The status that a plain request is answered with.

    Raises:
        RolecallError: it cannot be reached.
    """
    return int(_answer(method, url).status_code)


def openai_models(base_url: str, headers: Mapping[str, str]) -> list[str]:
    """The ids of the models of an OpenAI API.

    Raises:
        RolecallError: it cannot be reached, or does not answer so.
    """
    listed = _asked("GET", f"{base_url}/models", headers=headers).json()
    return [str(one["id"]) for one in listed["data"]]


def openai_chat(base_url: str, model: str, question: str, headers: Mapping[str, str]) -> str:
    """The likeliest answer of at most 24 tokens.

    Raises:
        RolecallError: it cannot be reached, or does not answer so.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 24,
        "temperature": 0,
    }
    said = _asked("POST", f"{base_url}/chat/completions", json=body, headers=headers).json()
    return str(said["choices"][0]["message"]["content"])


def _asked(method: str, url: str, **more: Any) -> Any:
    answer = _answer(method, url, **more)
    if answer.status_code != 200:
        said = " ".join(answer.text.split())[:200]
        raise RolecallError(f"{url} answers with status {answer.status_code}: {said}")
    return answer


def _answer(method: str, url: str, **more: Any) -> Any:
    import httpx

    try:
        return httpx.request(method, url, timeout=_PATIENCE, **more)
    except httpx.HTTPError as error:
        raise RolecallError(f"no answer from {url}: {error}", "./inv logs shows its log") from error
