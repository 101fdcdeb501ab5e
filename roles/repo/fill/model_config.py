"""Triton's ModelConfig: what a config.pbtxt has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from errors import FillError
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2


def read(path: Path) -> Any:
    """The message in ``path``.

    Raises:
        FillError: Triton could not read it either; with line and column.
    """
    try:
        return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise FillError(f"{path.parent.name}/config.pbtxt is no ModelConfig: {error}") from error


def parameter(config: Any, name: str) -> str:
    """The text of a model's parameter; empty where it has none, or an unfilled one."""
    if name not in config.parameters:
        return ""
    text = str(config.parameters[name].string_value)
    return "" if text.startswith("${") else text
