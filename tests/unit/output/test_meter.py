from __future__ import annotations

import math

import pytest

from rolecall.events import Progress
from rolecall.output.meter import Meter, Throttle, amount


def progress(done: float, total: float = 1000e6, label: str = "weights") -> Progress:
    return Progress("localhost", "download:model", label, done, total, "B")


def test_rate_and_time_left_come_from_the_events() -> None:
    meter = Meter()
    for second in range(5):
        meter.update(progress(second * 100e6), float(second))
    assert meter.rate == pytest.approx(100e6)
    assert meter.left == pytest.approx(6.0)
    assert meter.facts() == ["40 %", "0.4/1 GB", "100 MB/s", "6.0 s left"]


def test_an_old_pace_does_not_count() -> None:
    meter = Meter()
    meter.update(progress(0), 0.0)
    for second in range(100, 131, 5):
        meter.update(progress((second - 100) * 10e6), float(second))
    assert meter.rate == pytest.approx(10e6)


def test_an_unknown_total_has_amount_and_rate_but_no_time_left() -> None:
    meter = Meter()
    meter.update(progress(0, 0), 0.0)
    meter.update(progress(30e6, 0), 2.0)
    assert (meter.fraction, meter.left) == (None, None)
    assert meter.facts() == ["30 MB", "15 MB/s"]


def test_another_label_begins_anew() -> None:
    meter = Meter()
    meter.update(progress(0), 0.0)
    meter.update(progress(900e6), 2.0)
    meter.update(progress(10e6, label="tokenizer"), 3.0)
    assert meter.rate == 0


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0])
def test_numbers_that_are_none_count_as_nothing(number: float) -> None:
    meter = Meter()
    meter.update(progress(number, number), 0.0)
    assert meter.facts() == ["0 B"]


def test_slow_work_is_told_by_the_minute() -> None:
    meter = Meter()
    for second in (0, 60):
        meter.update(Progress("h", "i", "", second / 10, 30, "layers"), float(second))
    assert meter.facts() == ["20 %", "6/30 layers", "6 layers/min", "4 min 00 s left"]


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (512, 0, "B", "512 B"),
        (112e6, 271e6, "B", "112/271 MB"),
        (1.5e9, 2.5e9, "B", "1.5/2.5 GB"),
        (3, 30, "layers", "3/30 layers"),
        (3, 0, "", "3"),
    ],
)
def test_amounts_read_well(done: float, total: float, unit: str, text: str) -> None:
    assert amount(done, total, unit) == text


def test_a_throttle_lets_through_one_in_an_interval_and_the_last() -> None:
    throttle = Throttle(0.5)
    steps = [(i / 10, i) for i in range(11)]
    passed = [done for now, done in steps if throttle.passes(progress(done, 10), now)]
    assert passed == [0, 5, 10]


def test_a_throttle_lets_completion_through_at_once_but_only_once() -> None:
    throttle = Throttle(10)
    assert throttle.passes(progress(1, 2), 0.0)
    assert throttle.passes(progress(2, 2), 0.1)
    assert not throttle.passes(progress(2, 2), 0.2)
