"""The API key: whether a request has been sent with it."""

from __future__ import annotations

import hashlib
import hmac

from .errors import ApiError


def check_key(key: str, header: str) -> None:
    """Compare what a request has been sent with, in a time that says nothing of the key.

    Raises:
        ApiError: 401, as OpenAI says it.
    """
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise ApiError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    if not hmac.compare_digest(_digest(given.strip()), _digest(key)):
        raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
