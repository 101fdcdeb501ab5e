from __future__ import annotations

import pytest

from rolecall.errors import ConfigError
from rolecall.rollout import Rollout

HOSTS = [f"h{number}" for number in range(1, 9)]


def test_without_serial_all_hosts_are_one_wave() -> None:
    assert Rollout().waves(HOSTS) == [HOSTS]


@pytest.mark.parametrize(
    ("serial", "sizes"),
    [("3", [3, 3, 2]), ("25%", [2, 2, 2, 2]), ("1%", [1] * 8), ("100%", [8]), ("20", [8])],
)
def test_serial_is_a_number_or_a_part_of_all_hosts(serial: str, sizes: list[int]) -> None:
    waves = Rollout(serial=serial).waves(HOSTS)
    assert [len(wave) for wave in waves] == sizes
    assert [host for wave in waves for host in wave] == HOSTS


def test_the_canary_goes_first_and_alone() -> None:
    assert Rollout(canary="h3", serial="4").waves(HOSTS) == [
        ["h3"],
        ["h1", "h2", "h4", "h5"],
        ["h6", "h7", "h8"],
    ]


def test_a_canary_that_was_not_chosen_is_refused() -> None:
    with pytest.raises(ConfigError, match="canary"):
        Rollout(canary="other").waves(HOSTS)


@pytest.mark.parametrize("serial", ["0", "-1", "half", "%", "2.5"])
def test_a_serial_that_is_none_is_refused(serial: str) -> None:
    with pytest.raises(ConfigError):
        Rollout(serial=serial)


def test_hosts_begin_until_more_than_max_fail_have_failed() -> None:
    assert not Rollout().stops_after(100)
    assert not Rollout(max_fail=1).stops_after(1)
    assert Rollout(max_fail=1).stops_after(2)
    assert Rollout(max_fail=0).stops_after(1)
