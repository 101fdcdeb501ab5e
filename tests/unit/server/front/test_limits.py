"""How many tokens a model takes, by its files."""

from __future__ import annotations

from typing import Any

import pytest

from roles.server.openai.front.limits import Limits

MODEL = {"max_position_embeddings": 4096}


@pytest.mark.parametrize(
    ("configs", "limits"),
    [
        ([MODEL], Limits(4096)),
        ([{}, MODEL], Limits(4096)),
        # What the engine was built for counts, wherever it stands.
        (
            [MODEL, {"build_config": {"max_seq_len": 2048, "max_input_len": 1024}}],
            Limits(2048, 1024),
        ),
        # config.json of TensorRT-LLM 0.8
        ([{"build_config": {"max_input_len": 1024, "max_output_len": 512}}], Limits(1536, 1024)),
        ([{}], Limits()),
        ([], Limits()),
    ],
)
def test_an_engines_limits_come_before_the_models(
    configs: list[dict[str, Any]], limits: Limits
) -> None:
    assert Limits.of(configs) == limits
