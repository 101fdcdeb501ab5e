"""The load's timing, on a clock of its own: no test here waits, and none depends on the machine."""

import asyncio
from contextlib import suppress

import pytest

from roles.bench.client import FailedError, NoConnectionError, Piece
from roles.bench.load import GONE, Run
from roles.bench.prompts import Words
from roles.bench.statistics import figures
from roles.bench.workload import Level, Workload, arrivals


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody sleeps, and then at once."""

    now = 1000.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()


class Answers:
    """A server that answers in ``pieces``, one every ``every`` seconds."""

    def __init__(self, loop, every=1.0, pieces=("one", " two", " three"), fails=(), freeze=()):
        self.loop = loop
        self.every = every
        self.pieces = pieces
        self.fails = dict(fails)
        self.freeze = dict(freeze)
        self.asked = []
        self.running = self.most = 0

    async def stream(self, client, text, tokens, seed):
        self.asked.append((self.loop.now, text))
        number = len(self.asked)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.loop.now += self.freeze.get(number, 0.0)  # the whole client stands still
            if number in self.fails:
                raise self.fails[number]
            for piece in self.pieces:
                await asyncio.sleep(self.every)
                yield Piece(piece)
        finally:
            self.running -= 1


def run(level, *, requests=0, duration=0.0, warm_up=0, output=3, before=lambda _: None, **server):
    loop = VirtualLoop()
    try:
        asker = Answers(loop, **server)
        workload = Workload((level,), 4, output, requests, duration, warm_up, seed=5)
        one = Run(workload, level, 0, asker, Words(), clock=loop.time)
        before(one)
        loop.run_until_complete(one.ask_all())
        return one, asker
    finally:
        loop.close()


def test_a_closed_loop_keeps_as_many_requests_open_as_there_are_clients():
    one, server = run(Level(concurrency=3), requests=9)
    assert server.most == 3 and len(one.samples) == 9
    assert {sample.due for sample in one.samples} == {0.0, 3.0, 6.0}


def test_every_request_has_a_prompt_of_its_own():
    _, server = run(Level(concurrency=3), requests=9, warm_up=4)
    assert len({text for _, text in server.asked}) == 13


def test_first_token_gaps_and_end_are_those_of_the_pieces():
    one, _ = run(Level(concurrency=1), requests=1)
    (sample,) = one.samples
    assert (sample.due, sample.begun, sample.first, sample.end) == (0.0, 0.0, 1.0, 3.0)
    assert sample.gaps == (1.0, 1.0) and sample.output_tokens == 3


def test_an_answer_in_one_piece_has_no_first_token():
    one, _ = run(Level(concurrency=1), requests=1, pieces=("one two three",))
    assert one.samples[0].first is None and one.samples[0].output_tokens == 3


def test_arrivals_wait_for_no_answer():
    level = Level(rate=2.0)
    one, server = run(level, requests=20, every=100.0)
    due = [at for at, _ in zip(arrivals(2.0, 5), range(20), strict=False)]
    assert [at - 1000.0 for at, _ in server.asked] == pytest.approx(due)
    assert server.most == 20
    assert [sample.due for sample in one.samples] == pytest.approx(due)


def test_what_a_late_client_makes_requests_wait_counts():
    """The client freezes for a minute with its third request: those due meanwhile waited."""
    one, _ = run(Level(rate=1.0), requests=10, freeze={3: 60.0})
    found = figures("", one.samples)
    assert found.late > 50
    late = [sample for sample in one.samples if sample.begun - sample.due > 1]
    assert len(late) >= 5
    assert found.first_token.p99 > 50, "counted from when it was due, and not from when it began"
    assert all(sample.first - sample.begun < 2 for sample in late)


def test_the_warm_up_is_not_counted_and_ends_before_the_rest_begins():
    said = []

    def before(one):
        one.warm = lambda: said.append(len(one.asker.asked))

    one, server = run(Level(concurrency=2), requests=4, warm_up=3, before=before)
    assert said == [3] and len(server.asked) == 7 and len(one.samples) == 4
    assert min(sample.due for sample in one.samples) == 0.0


@pytest.mark.parametrize("level", [Level(concurrency=2), Level(rate=1.0)])
def test_a_duration_limits_when_requests_begin_and_not_when_they_end(level):
    one, _ = run(level, duration=10.0, every=1.5)
    assert one.samples and all(sample.due < 10.0 for sample in one.samples)
    assert max(sample.end for sample in one.samples) > 10.0


def test_a_failure_is_counted_by_its_kind_and_the_others_go_on():
    fails = {2: FailedError("503 full"), 4: FailedError("503 full"), 5: FailedError("an event")}
    one, _ = run(Level(concurrency=1), requests=6, fails=fails)
    found = figures("", one.samples)
    assert found.errors == {"503 full": 2, "an event": 1} and found.requests == 3


@pytest.mark.parametrize("level", [Level(concurrency=4), Level(rate=50.0)])
def test_a_server_that_is_gone_is_given_up(level):
    fails = {number: NoConnectionError("connection refused") for number in range(3, 10_000)}
    one, server = run(level, duration=3600.0, fails=fails)
    assert one.gone and len(server.asked) < GONE + 20
    assert figures("", one.samples).errors["connection refused"] >= GONE


def test_one_lost_connection_is_no_end():
    fails = {number: NoConnectionError("connection lost") for number in range(1, 60, 2)}
    one, _ = run(Level(concurrency=1), requests=60, fails=fails)
    assert not one.gone and len(one.samples) == 60


def test_no_text_is_an_error():
    one, _ = run(Level(concurrency=1), requests=1, pieces=("",))
    assert figures("", one.samples).errors == {"an empty answer": 1}


def test_what_was_measured_stays_after_an_interrupt():
    loop = VirtualLoop()
    level = Level(concurrency=2)
    one = Run(
        Workload((level,), 4, 3, 100, warm_up=0), level, 0, Answers(loop), Words(), clock=loop.time
    )
    task = loop.create_task(one.ask_all())
    loop.call_later(7.5, task.cancel)
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert len(one.samples) == 4
