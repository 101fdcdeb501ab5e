"""How long each trouble is waited for."""

from __future__ import annotations

import pytest

from rolecall.cluster.diagnosis.trouble import DEADLINE, Hope, Patience, Trouble


def trouble(hope: Hope, case: str = "image") -> Trouble:
    return Trouble(case, "container x", f"{case} says so", hope=hope)


@pytest.mark.parametrize(
    ("hope", "given"), [("none", 0), ("little", 20), ("some", 120), ("full", None)]
)
def test_a_trouble_is_given_as_much_time_as_it_has_hope(hope: Hope, given: int | None) -> None:
    patience = Patience(120.0)
    over = next((at for at in range(1000) if patience.verdict([trouble(hope)], at)), None)
    assert over == given


def test_less_patience_is_less_for_all() -> None:
    patience = Patience(5.0)
    assert [bool(patience.verdict([trouble("little")], at)) for at in (0, 4, 5)] == [0, 0, 1]


def test_a_trouble_that_flickers_is_the_same_one() -> None:
    patience = Patience(120.0)
    assert not patience.verdict([trouble("little")], 0)
    assert not patience.verdict([], 5)
    assert not patience.verdict([trouble("little")], 10)
    assert not patience.verdict([trouble("little")], 19)
    assert patience.verdict([trouble("little")], 20)


def test_a_trouble_that_had_healed_begins_anew() -> None:
    patience = Patience(120.0)
    assert not patience.verdict([trouble("little")], 0)
    assert not patience.verdict([trouble("little")], 30)
    assert not patience.verdict([trouble("little")], 31)


def test_the_cause_is_the_verdict_and_not_that_time_is_up() -> None:
    late, cause = trouble("none", DEADLINE), trouble("full", "probe")
    assert Patience().verdict([late, cause], 0) == cause
    assert Patience().verdict([late], 0) == late
