from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Modules = dict[str, ModuleType]


def ids(fill_modules: Modules, folder: Path, **files: Any) -> dict[str, int]:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    found: dict[str, int] = fill_modules["token_ids"].token_ids(folder)
    return found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"generation_config": {"eos_token_id": [128001, 128009]}}, 128001),
        ({"generation_config": {}, "config": {"eos_token_id": 2}}, 2),
        ({"generation_config": [], "config": {"eos_token_id": 2}}, 2),
    ],
)
def test_without_a_tokenizer_json_the_configurations_say_it(
    fill_modules: Modules, tmp_path: Path, files: dict[str, Any], expected: int
) -> None:
    described = {"tokenizer_config": {"eos_token": "</s>"}}
    assert ids(fill_modules, tmp_path, **described, **files) == {
        "end_id": expected,
        "pad_id": expected,
    }


def test_nothing_is_made_up(fill_modules: Modules, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert ids(fill_modules, tmp_path) == {}
