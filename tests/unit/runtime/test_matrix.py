"""The version matrix and what is chosen from it."""

from __future__ import annotations

import re

import pytest

from rolecall.errors import ConfigError
from roles.runtime import matrix


def test_the_rows_are_whole_and_the_newest_is_first() -> None:
    names = [row.triton for row in matrix.rows()]
    assert len(set(names)) == len(names) >= 29
    assert names == sorted(names, reverse=True)
    for row in matrix.rows():
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", row.driver), row
        assert re.fullmatch(r"3\.1[02]\.\d+", row.python), row
        assert re.fullmatch(r"[0-9a-f]{40}|", row.sources.commit), row
        assert row.sources.url.startswith("https://github.com/")
        assert row.source


def test_rows_that_are_known_by_heart() -> None:
    row = matrix.row("26.06")
    assert (row.tensorrt_llm, row.tensorrt, row.driver) == ("1.2.1", "10.14.1.48", "590.44.01")
    assert row.sources.folder == "triton_backend" and row.sources.tag == "v1.2.1"
    old = matrix.row("24.07")
    assert (old.tensorrt_llm, old.python, old.sources.folder) == ("0.11.0", "3.10.12", "")
    published = matrix.row("24.02")
    assert published.tensorrt_llm == "0.8.0" and "535.86" in published.forward


def test_a_release_that_is_not_in_it_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no Triton 23\.01") as caught:
        matrix.row("23.01")
    assert "26.06" in caught.value.hint and "runtime.image" in caught.value.hint


@pytest.mark.parametrize(
    ("driver", "repo", "triton"),
    [
        ("590.44.01", "upstream", "26.07"),
        ("590.44.01", "llmapi", "26.06"),  # 26.07 has a defect for it
        ("595.58.03", "llmapi", "26.06"),
        ("590.44.00", "upstream", "26.02"),
        ("580.95.05", "llmapi", "26.02"),
        ("580.65.06", "llmapi", "25.10"),
        ("575.57.08", "llmapi", "25.10"),
        ("550.54.15", "upstream", "24.07"),
        ("545.23.08", "upstream", "24.05"),
        ("", "upstream", "26.07"),
    ],
)
def test_the_newest_that_the_driver_runs(driver: str, repo: str, triton: str) -> None:
    found = matrix.newest_for(driver, repo)
    assert found is not None and found.triton == triton


@pytest.mark.parametrize(("driver", "repo"), [("470.82.01", "upstream"), ("570.86.10", "llmapi")])
def test_a_driver_too_old_for_all_has_none(driver: str, repo: str) -> None:
    assert matrix.newest_for(driver, repo) is None


def test_the_llm_api_begins_with_its_first_stable_version() -> None:
    assert matrix.suitable("llmapi")[-1].tensorrt_llm == "1.0.0"
    assert matrix.suitable("upstream")[-1].triton == "24.02"


def test_rows_without_the_engine_backend_are_passed_by_for_engines() -> None:
    gone = matrix.row("26.07").model_copy(update={"engine_backend": False})
    assert gone.has_engine_backend is False
    assert all(row.has_engine_backend for row in matrix.suitable(engine_backend=True))


@pytest.mark.parametrize("driver", ["x", "v590"])
def test_a_driver_that_is_no_version_is_refused(driver: str) -> None:
    with pytest.raises(ConfigError, match="no version"):
        matrix.newest_for(driver)


def test_the_image_is_named_in_any_registry() -> None:
    assert matrix.image_of(matrix.row("26.06"), "mirror.example/nvidia/") == (
        "mirror.example/nvidia/tritonserver:26.06-trtllm-python-py3"
    )
