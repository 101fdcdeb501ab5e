"""Requests side by side: in order, so many at a time, all of them."""

from __future__ import annotations

import threading

import pytest

from rolecall.cluster.parallel import parallel


def test_results_are_in_the_order_of_what_was_asked() -> None:
    assert parallel(lambda number: number * number, range(50), 8) == [n * n for n in range(50)]
    assert parallel(str, [], 8) == []
    assert parallel(str, [1], 8) == ["1"]


def test_as_many_as_may_be_are_at_work() -> None:
    together = threading.Barrier(4)
    parallel(lambda _: together.wait(10), range(8), 4)  # fewer would wait in vain


def test_one_that_fails_keeps_no_other_from_being_done() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number in (1, 3):
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="1"):
        parallel(work, range(6), 2)
    assert sorted(done) == [0, 2, 4, 5]


def test_nobody_waits_for_its_threads_at_the_end() -> None:
    seen: list[bool] = []
    parallel(lambda _: seen.append(threading.current_thread().daemon), range(2), 2)
    assert seen == [True, True]
