"""Checks of files that a deployment without a GPU does not have: of a hub, of upstream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import testinfra

from rolecall.role import Host
from roles.model import verify as of_model
from roles.model.role import artifact
from roles.repo import verify as of_repo
from roles.repo.role import repository
from tests.unit.preflight.support import ENGINE, FACTS, H100, a_host


@pytest.fixture
def described(tmp_path: Path) -> Host:
    """A host whose files are below the test's folder, with the settings of upstream's recipe."""
    facts = FACTS.replace("state_dir=/home/u/.rolecall", f"state_dir={tmp_path}")
    return a_host({**ENGINE, "repo": {"kind": "upstream"}}, H100, facts)


@pytest.fixture
def host() -> Any:
    """This machine, as testinfra reaches it by itself."""
    return testinfra.get_host("local://")


def written(folder: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def model(described: Host, listed: str, there: str) -> None:
    """A model of one file, as the hub lists it and as the manifest has it."""
    path = "model.safetensors"
    written(
        artifact(described).path,
        {
            "model.json": json.dumps({"files": [{"path": path, "size": 4, "sha256": listed}]}),
            ".rolecall/manifest.json": json.dumps(
                {"outputs": [{"path": path, "size": 4, "sha256": there}]}
            ),
        },
    )


def test_a_model_that_is_what_the_hub_lists(described: Host, host: Any) -> None:
    model(described, "a" * 64, "a" * 64)
    of_model.test_every_file_is_what_the_hub_lists(host, described)


def test_a_model_that_is_not_what_the_hub_lists_is_told(described: Host, host: Any) -> None:
    model(described, "a" * 64, "b" * 64)
    with pytest.raises(
        AssertionError, match=r"model\.safetensors: 4 bytes, sha256 b.* the hub has"
    ):
        of_model.test_every_file_is_what_the_hub_lists(host, described)


def test_a_model_that_is_not_there_is_told(described: Host, host: Any) -> None:
    with pytest.raises(AssertionError, match=r"model\.json lists no file"):
        of_model.test_every_file_is_what_the_hub_lists(host, described)


_CONFIG = """
name: "tensorrt_llm"
backend: "${triton_backend}"
max_batch_size: 64
# ${comment} is none of Triton's business.
model_transaction_policy { decoupled: true }
dynamic_batching { priority_levels: 3 }
input [ { name: "input_ids" data_type: TYPE_INT32 dims: [ -1 ] } ]
parameters: { key: "lora_cache_max_adapter_size" value: { string_value: "${lora_size}" } }
"""


def config(described: Host, text: str, *unfilled: str) -> None:
    found = repository(described)
    written(found.path, {"tensorrt_llm/config.pbtxt": text})
    Path(found.description).write_text(json.dumps({"unfilled": unfilled}))


def test_what_upstream_leaves_to_its_default_is_no_placeholder(described: Host, host: Any) -> None:
    config(described, _CONFIG, "lora_size", "triton_backend")
    of_repo.test_nothing_is_left_unfilled(host, described)
    of_repo.test_every_model_configuration_can_be_read(host, described)


def test_a_placeholder_that_nobody_meant_to_leave_is_named(described: Host, host: Any) -> None:
    config(described, _CONFIG, "lora_size")
    with pytest.raises(AssertionError, match=r"there is still \$\{triton_backend\}"):
        of_repo.test_nothing_is_left_unfilled(host, described)


def test_a_placeholder_in_place_of_a_number_cannot_be_read(described: Host, host: Any) -> None:
    config(described, _CONFIG.replace("64", "${max_batch_size}"))
    with pytest.raises(AssertionError, match=r"config\.pbtxt: 4:17"):
        of_repo.test_every_model_configuration_can_be_read(host, described)


def test_a_repository_that_is_not_there_is_told(described: Host, host: Any) -> None:
    with pytest.raises(AssertionError, match="there is no model in"):
        of_repo.test_nothing_is_left_unfilled(host, described)
