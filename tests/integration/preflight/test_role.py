"""The role on a host with a double of nvidia-smi: what is refused, when, and at what cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.testing import converge
from roles.preflight.role import FACTS, preflight
from tests.doubles.nvidia_smi import DRIVER_NOT_LOADED, Gpu, Machine
from tests.integration.preflight.rig import MODERN, Rig
from tests.unit.preflight.support import a_host

ROOM = "requirement:room for the model"


def test_what_fits_is_settled_in_one_round_trip_from_then_on(rig: Rig) -> None:
    machine = Machine(MODERN, "13.1")
    predicted = rig.run(machine, check=True)
    assert predicted.outcomes[ROOM] == "unknown until"
    first = rig.run(machine)
    assert {first.outcomes[name] for name in ("tree:preflight", "artifact:model-card")} == {
        "changed"
    }
    assert first.outcomes[ROOM] == "ok"
    for check in (True, False):
        again = rig.run(machine, check=check)
        assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 1)


def test_what_does_not_fit_is_refused_with_figures_and_ways_out(rig: Rig) -> None:
    small = Machine(MODERN, "13.1", (Gpu("NVIDIA GeForce RTX 5080", "16303", "12.0"),))
    rig.settings["engine"]["tensorrt_llm"]["max_seq_len"] = 8192
    first = rig.run(small)
    said = first.done[ROOM]
    assert (said.outcome, first.recap.of("localhost").failed) == ("failed", 1)
    assert said.reason.startswith("the model does not fit: weights of 12.55 GiB and the KV cache")
    assert "would do: engine.tensorrt_llm.max_seq_len=" in said.reason
    again = rig.run(small)
    assert again.exchanges == 1, "the next run refuses before it begins anything"
    rig.settings["preflight"] = {"accept": "does not fit"}
    assert rig.run(small).outcomes[ROOM] == "ok"


@pytest.mark.parametrize(
    ("machine", "id_", "said"),
    [
        (
            Machine("560.35.05", "12.6"),
            "requirement:NVIDIA driver",
            "560.35.05 is too old: Triton 26.06",
        ),
        (
            Machine(gpus=(), fails=DRIVER_NOT_LOADED, status=9),
            "requirement:GPUs",
            "NVIDIA-SMI has failed because it couldn't communicate",
        ),
    ],
)
def test_what_facts_decide_is_refused_before_anything_is_made(
    rig: Rig, home: Path, machine: Machine, id_: str, said: str
) -> None:
    done = rig.run(machine)
    assert done.done[id_].outcome == "failed"
    assert said in done.done[id_].reason and done.done[id_].hint
    assert done.exchanges == 2  # the facts, and the probes
    assert not (home / "artifacts").exists() and "changed" not in done.outcomes.values()


def test_more_gpus_than_there_are_is_refused(rig: Rig) -> None:
    rig.settings["engine"]["tensorrt_llm"]["tp_size"] = 2
    done = rig.run(Machine(MODERN, "13.1"))
    assert "there are 1 GPUs" in done.done["requirement:GPUs"].reason
    pair = Machine(MODERN, "13.1", (Gpu(), Gpu()))
    assert rig.run(pair).outcomes["requirement:GPUs"] == "ok"


def test_a_cpu_host_declares_nothing_and_asks_nothing(
    tmp_path: Path, home: Path, shell: str
) -> None:
    settings = a_host({}, {}).all_settings
    for _ in range(2):
        done = converge(
            preflight.resources,
            home,
            shell=shell,
            facts=[FACTS],
            settings={name: value for name, value in settings.items() if name != "rolecall"},
        )
    assert (done.outcomes, done.exchanges) == ({}, 1)
