"""What goes wrong in Triton, as OpenAI's API says it."""

from __future__ import annotations

import json

import pytest

from roles.server.openai.front.errors import ApiError
from roles.server.openai.front.keys import check_key
from roles.server.openai.front.triton import refused


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        # triton-inference-server/core, src/scheduler_utils.cc; and the backend for CPUs.
        (503, "Exceeds maximum queue size", (429, "rate_limit_exceeded")),
        (400, "1024 requests are waiting already", (429, "rate_limit_exceeded")),
        (400, "9 prompt tokens … the engine's max_seq_len 8", (400, "context_length_exceeded")),
        # TensorRT-LLM, cpp/tensorrt_llm/batch_manager
        (
            500,
            "Prompt length (9) exceeds maximum input length (8)",
            (400, "context_length_exceeded"),
        ),
        (400, "temperature -1 is outside of 0", (400, None)),
        (400, "Request for unknown model: 'x' is not found", (503, "service_unavailable")),
        (503, "Server is stopping", (503, "service_unavailable")),
        (500, "out of memory", (500, "internal_error")),
    ],
)
def test_each_error_of_triton_has_a_status_and_a_code(
    status: int, text: str, expected: tuple[int, str | None]
) -> None:
    error = refused(status, json.dumps({"error": text}))
    assert (error.status, error.code) == expected
    assert text in error.message
    assert refused(status, text).status == error.status
    of_a_stream = refused(status, f"data: {json.dumps({'error': text})}\n\n")
    assert (of_a_stream.status, of_a_stream.message) == (error.status, error.message)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", None),
        ("Basic c2s=", None),
        ("Bearer ", None),
        ("Bearer sk-x", "invalid_api_key"),
        ("Bearer sk-right-not", "invalid_api_key"),
        ("Bearer ключ", "invalid_api_key"),
    ],
)
def test_another_key_is_refused(header: str, code: str | None) -> None:
    with pytest.raises(ApiError) as wrong:
        check_key("sk-right", header)
    assert (wrong.value.status, wrong.value.code) == (401, code)
    assert "sk-" not in wrong.value.message


def test_the_key_is_accepted() -> None:
    check_key("sk-right", "Bearer sk-right")
    check_key("sk-right", "bearer sk-right ")
