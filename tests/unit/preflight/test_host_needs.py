"""Memory and disk of the host; the card that sizes are read from; the judgement on the host."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from roles.preflight.role import _PROGRAM, _RUN
from roles.preflight.sizing.architectures import read
from roles.preflight.sizing.card import CardError, read_card
from roles.preflight.sizing.disk import Item, shortages
from roles.preflight.sizing.host import memory_verdict, needs
from roles.preflight.sizing.plan import GIB, Files, Gpus, Plan, to_json
from roles.preflight.sizing.report import judge
from tests.unit.preflight.published import LLAMA_2_7B, LLAMA_2_70B

LLAMA = read(LLAMA_2_7B)
FILES = Files(total=int(13.5e9), weights=13_476_831_232, largest=9_976_576_152)


def card(folder: Path, config: dict[str, Any] | None = None, **files: int) -> Path:
    """A card as role model makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or LLAMA_2_7B))
    listed = [{"path": path.replace("__", "."), "size": size} for path, size in files.items()]
    (folder / "card.json").write_text(json.dumps({"commit": "", "files": listed}))
    return folder


def test_a_build_wants_twice_the_weights_and_needs_those_of_a_rank() -> None:
    need = needs(LLAMA, FILES, Plan("engine"))
    assert need.memory / GIB == pytest.approx(2 * 12.55, abs=0.01)
    assert need.memory_least / GIB == pytest.approx(12.55, abs=0.01)
    assert [memory_verdict(need, gib * GIB) for gib in (48, 16, 12, 0)] == [
        "fits",
        "tight",
        "does not fit",
        "tight",
    ]


def test_48_gb_that_triton_cli_asks_for_are_enough_for_7_and_8_billion_parameters() -> None:
    assert needs(LLAMA, FILES, Plan("engine")).memory < 48e9


def test_a_quantised_engine_takes_less_disk_but_is_converted_from_all_of_it() -> None:
    plain, small = (
        needs(LLAMA, FILES, Plan("engine", quantization=name)) for name in ("none", "int4_awq")
    )
    assert small.checkpoint < 0.31 * plain.checkpoint and small.memory == plain.memory
    assert small.model == plain.model == 13.5e9


def test_an_engine_of_several_ranks_takes_the_disk_of_all() -> None:
    model = read(LLAMA_2_70B)
    one, four = (needs(model, Files(), Plan(tp_size=n)) for n in (1, 4))
    assert four.engine == pytest.approx(one.engine, rel=0.03)
    assert four.memory_least == pytest.approx(one.memory_least / 4, rel=0.03)


def test_loading_takes_the_largest_file_and_no_disk_but_the_models() -> None:
    need = needs(LLAMA, FILES, Plan("llmapi"))
    assert need.memory == FILES.largest + 4 * GIB
    assert (need.memory_least, need.checkpoint, need.engine) == (0, 0, 0)


def test_a_file_system_too_small_is_named_once_for_all_that_it_shall_hold(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    there = tmp_path / "there"
    there.mkdir()
    items = [
        Item("the model", free * 0.7, str(tmp_path / "a" / "b"), str(tmp_path / "a" / "b")),
        Item("the engine", free * 0.7, str(tmp_path / "c"), str(tmp_path / "c")),
        Item("the checkpoint", free * 9, str(there), str(there)),
    ]
    (found,) = shortages(items)
    assert found.what == ("the model", "the engine")
    assert found.text.endswith("are needed for the model and the engine")
    assert shortages(items[:1]) == []


def test_a_card_is_read_with_its_listing_index_and_modelopt(tmp_path: Path) -> None:
    folder = card(tmp_path / "card", a__safetensors=10, b__safetensors=5, tokenizer__json=1)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "a.safetensors"}})
    )
    (folder / "hf_quant_config.json").write_text(
        json.dumps({"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}})
    )
    model, files = read_card(folder)
    assert files == Files(16, 10, 10)
    assert (model.quantization.name, model.kv_dtype) == ("fp8", "fp8")


def test_a_directory_with_a_model_is_a_card_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_2_7B))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    assert read_card(tmp_path)[1].weights == 100


@pytest.mark.parametrize("text", [None, "", "{", "[]", "\xff"])
def test_a_card_that_cannot_be_read_is_told(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CardError, match=r"config\.json"):
        read_card(tmp_path)


def asked(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "plan": to_json(Plan("engine", max_batch_size=8, max_seq_len=2048)),
        "gpus": to_json(Gpus(1, 81559, 90)),
        "card": str(folder),
        "memory_mib": 65536,
        "accept": "tight",
        "disk": [],
        **more,
    }


def test_what_holds_says_nothing(tmp_path: Path) -> None:
    assert judge(asked(card(tmp_path))) == []


def test_what_does_not_hold_is_told_with_figures_and_ways_out(tmp_path: Path) -> None:
    small = to_json(Gpus(1, 12288, 90))
    first, *ways = judge(asked(card(tmp_path), gpus=small))
    assert first == (
        "the model does not fit: weights of 12.55 GiB and the KV cache of one sequence of 2048 "
        "tokens, 1.00 GiB, are more than 95% of the GPU's 12.00 GiB, which is 11.40 GiB"
    )
    assert ways and all(way.startswith("would do: ") for way in ways)
    assert judge(asked(card(tmp_path), gpus=small, accept="does not fit")) == []


def test_what_cannot_be_at_all_is_refused_whatever_is_accepted(tmp_path: Path) -> None:
    plan = to_json(Plan(tp_size=3, max_seq_len=1024))
    gpus = to_json(Gpus(4, 81559, 90))
    lines = judge(asked(card(tmp_path), plan=plan, gpus=gpus, accept="does not fit"))
    assert lines[0] == (
        "the model does not fit: tp_size=3 does not divide the model's 32 attention heads"
    )
    assert lines[1].startswith("would do: tp_size=2: fits")


def test_little_memory_and_little_disk_are_told(tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "new"), "unless": str(tmp_path / "new")}
    folder = card(tmp_path / "card", model__safetensors=10**18)
    lines = judge(
        asked(folder, memory_mib=8192, disk=[{"what": "model", **place}]),
    )
    assert lines[0].startswith("host memory: a build holds 12.55 GiB; the host has 8.00 GiB")
    assert "GiB free, and 931322574.62 GiB are needed for the model" in lines[1]


def test_an_unknown_setting_is_told(tmp_path: Path) -> None:
    plan = to_json(Plan(quantization="int3"))
    assert "quantization 'int3' is not one of" in judge(asked(card(tmp_path), plan=plan))[0]


PYTHONS = [
    path
    for version in ("3.8", "3.9", "3.10", "3.13")
    for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
]


@pytest.mark.parametrize("python", PYTHONS or [None], ids=str)
def test_the_program_runs_on_the_hosts_python(tmp_path: Path, python: Path | None) -> None:
    if python is None:
        pytest.skip("needs another Python than the project's own (pyenv)")
    program = tmp_path / "program"
    for name, data in _PROGRAM:
        (program / name).parent.mkdir(parents=True, exist_ok=True)
        (program / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    argument = json.dumps(asked(card(tmp_path / "card"), gpus=to_json(Gpus(1, 12288, 90))))
    command = [str(python), "-I", "-B", "-c", _RUN, str(program), argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("the model does not fit: weights of 12.55 GiB")
