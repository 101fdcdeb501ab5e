"""What goes wrong, in the shape in which OpenAI's API says it."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is an error.

    Attributes:
        status: of HTTP.
        kind: OpenAI's ``type``.
        param: the parameter at fault, if one is.
        code: what a program can tell it by.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """The JSON of the answer (OpenAI API reference, "Error codes")."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The request is wrong: 400."""
    return ApiError(400, message, param=param, code=code)


def unavailable(message: str) -> ApiError:
    """Nothing answers behind: 503."""
    return ApiError(503, message, kind="server_error", code="service_unavailable")


def busy(message: str) -> ApiError:
    """Too many requests wait already: 429."""
    return ApiError(429, message, kind="rate_limit_error", code="rate_limit_exceeded")


def internal(message: str) -> ApiError:
    """The model failed: 500."""
    return ApiError(500, message, kind="server_error", code="internal_error")


def too_long(limit: int, prompt: int, answer: int, param: str) -> ApiError:
    """Prompt and answer do not fit the model together."""
    return invalid(
        f"This model's maximum context length is {limit} tokens. However, you requested "
        f"{prompt + answer} tokens ({prompt} in the {param}, {answer} in the completion). "
        f"Please reduce the length of the {param} or completion.",
        param,
        "context_length_exceeded",
    )
