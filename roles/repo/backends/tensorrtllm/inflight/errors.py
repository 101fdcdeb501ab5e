"""Errors whose text is meant for an operator (at load) or a client (at a request)."""

from __future__ import annotations


class SettingsError(Exception):
    """The model configuration asks for what this backend cannot honour."""


class RequestError(Exception):
    """The request is malformed or asks for what this engine cannot do."""


class OverloadError(Exception):
    """Too many requests wait already."""
