"""The engine thread: one pipeline, all requests in one batch, in flight.

Other threads only put orders into its inbox and return; only this thread touches the pipeline and
answers clients. A pipeline may hold Python's global lock during a step, so everything between
two steps is kept short.
"""

from __future__ import annotations

import enum
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from .errors import OverloadError, RequestError
from .output import Outbox, StopCondition, Tokens
from .pipeline import Pipeline, Running
from .requests import Generation
from .settings import Settings
from .vocabulary import Vocabulary

CANCEL_CHECK_S = 0.1
"""How often a request is asked whether its client is still there."""

REPORT_S = 0.5
"""How often the load is reported while it changes."""


class Failure(enum.Enum):
    """Why a request got no answer; decides the status that its client sees."""

    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Client(Protocol):
    """Where the answer of one request goes. Called by the engine thread only."""

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the answer any more."""
        ...

    def deliver(self, beams: list[Tokens], final: bool) -> None:
        """Send ``beams``, the best first; ``final``: nothing comes after it."""
        ...

    def fail(self, failure: Failure, message: str) -> None:
        """Send an error; nothing comes after it."""
        ...


@dataclass(frozen=True)
class Load:
    """A reading of the engine: requests and cache blocks, all of this moment."""

    active: int
    waiting: int
    max_active: int
    blocks_reserved: int
    blocks_total: int


@dataclass
class _Request:
    names: frozenset[str]
    generation: Generation
    client: Client
    blocks: int
    stop: StopCondition
    outbox: Outbox
    running: Running | None = None
    produced: Tokens = field(default_factory=Tokens)
    check_at: float = 0.0


@dataclass(frozen=True)
class _Stop:
    name: str


@dataclass(frozen=True)
class _Close:
    pass


_Order = _Request | _Stop | _Close
_WAKE_S = 3600.0


class Engine:
    """Generates for any number of clients at once.

    ``open_pipeline`` loads the engine; it is called again if the pipeline fails, and when that
    fails too, ``give_up`` is called, after which every request is refused.
    """

    def __init__(
        self,
        settings: Settings,
        vocabulary: Vocabulary,
        open_pipeline: Callable[[Settings], Pipeline],
        report: Callable[[Load], None],
        log_error: Callable[[str], None],
        give_up: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._vocabulary = vocabulary
        self._open_pipeline = open_pipeline
        self._report = report
        self._log_error = log_error
        self._give_up = give_up
        self._pipeline = open_pipeline(settings)
        self._inbox: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._waiting: deque[_Request] = deque()
        self._active: list[_Request] = []
        self._numbers = count()
        self._reported: tuple[float, Load | None] = (0.0, None)
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, names: frozenset[str], generation: Generation, client: Client) -> None:
        """Take a request; the answer goes to ``client``. ``names`` are what it can be stopped by.

        Raises ``OverloadError`` if too many wait and ``RequestError`` if the cache can never hold
        it. Does not block.
        """
        if self._broken:
            raise OverloadError("the engine has failed and could not be restarted")
        queued = self._inbox.qsize() + len(self._waiting)
        if self._settings.max_queue and queued >= self._settings.max_queue:
            raise OverloadError(f"{queued} requests are waiting already, try again later")
        blocks = self._blocks(generation)
        if blocks > self._settings.kv_blocks:
            tokens = self._settings.limits.block_tokens
            raise RequestError(
                f"the request needs {blocks * tokens} tokens of KV cache, there are "
                f"{self._settings.kv_blocks * tokens} (max_tokens_in_paged_kv_cache)"
            )
        ends = set() if generation.end_id is None else {generation.end_id}
        if generation.bad_words or generation.sampling.beams > 1:
            # Here the engine itself takes the model's own end token as the end.
            ends.add(self._settings.limits.end_token)
        spelled = tuple(self._vocabulary.spell(word) for word in generation.stop_words)
        stop = StopCondition(
            end_ids=frozenset(ends),
            stop_words=tuple(word for word in spelled if word),
            vocabulary=self._vocabulary,
        )
        outbox = Outbox(self._vocabulary)
        self._inbox.put(_Request(names, generation, client, blocks, stop, outbox))

    def stop(self, name: str) -> None:
        """End the requests called ``name``; their clients get what has been generated so far."""
        self._inbox.put(_Stop(name))

    def close(self, timeout_s: float) -> None:
        """Fail what is left and end the thread."""
        self._inbox.put(_Close())
        self._thread.join(timeout_s)

    def _blocks(self, generation: Generation) -> int:
        tokens = len(generation.input_ids) + generation.max_tokens
        blocks = -(-tokens // self._settings.limits.block_tokens)
        return blocks * generation.sampling.beams

    def _run(self) -> None:
        while self._take_orders():
            try:
                self._drop_cancelled()
                self._admit()
                if self._pipeline.has_non_finished_requests():
                    self._pipeline.step()
                self._deliver()
            except Exception as error:  # the pipeline's state is unknown after any error
                self._recover(error)
            self._report_load()
        self._fail_all(Failure.UNAVAILABLE, "the server is shutting down")
        self._pipeline.close()

    def _take_orders(self) -> bool:
        """Carry out what the inbox holds, waiting for something if idle; false means close."""
        busy = bool(self._active or self._waiting) or self._pipeline.has_non_finished_requests()
        while True:
            try:
                order = self._inbox.get(block=not busy, timeout=_WAKE_S)
            except queue.Empty:
                return True
            busy = True
            if isinstance(order, _Close):
                return False
            if isinstance(order, _Stop):
                self._stop_named(order.name)
            else:
                self._waiting.append(order)

    def _stop_named(self, name: str) -> None:
        for request in [r for r in self._active if name in r.names]:
            self._finish(request, [request.outbox.flush()])
        for request in [r for r in self._waiting if name in r.names]:
            self._waiting.remove(request)
            self._answer(request, [Tokens()], final=True)

    def _drop_cancelled(self) -> None:
        now = time.monotonic()
        for request in [*self._active, *self._waiting]:
            if now < request.check_at:
                continue
            request.check_at = now + CANCEL_CHECK_S
            if request.client.is_cancelled():
                self._fail(request, Failure.CANCELLED, "the client has cancelled the request")

    def _admit(self) -> None:
        """Start waiting requests in their order, as far as batch and cache have room."""
        reserved = sum(request.blocks for request in self._active)
        sequences = sum(request.generation.sampling.beams for request in self._active)
        while self._waiting:
            request = self._waiting[0]
            beams = request.generation.sampling.beams
            full = sequences + beams > self._settings.limits.max_batch_size
            no_room = (
                self._settings.reserve_blocks
                and reserved + request.blocks > self._settings.kv_blocks
            )
            if self._active and (full or no_room):
                return
            self._waiting.popleft()
            try:
                request.running = self._pipeline.add_request(
                    next(self._numbers), request.generation, self._vocabulary
                )
            except (RequestError, RuntimeError) as error:
                self._fail(request, Failure.INVALID, str(error))
                continue
            except OSError:  # the pipeline is gone; the request waits for the next one
                self._waiting.appendleft(request)
                raise
            self._active.append(request)
            reserved += request.blocks
            sequences += beams

    def _deliver(self) -> None:
        for request in list(self._active):
            running = request.running
            assert running is not None
            if reason := running.refusal():
                self._fail(request, Failure.INVALID, reason)
                continue
            sequences = running.read()
            if request.generation.sampling.beams > 1:
                if not running.is_running():
                    self._finish_beams(request, sequences)
            elif sequences:
                self._deliver_one(request, running, sequences[0])
            elif running.ran_out_of_cache():
                self._fail(request, Failure.UNAVAILABLE, "the KV cache is full")

    def _deliver_one(self, request: _Request, running: Running, new: Tokens) -> None:
        taken, ended = _until_end(new, request.stop)
        streaming = request.generation.streaming
        ready = request.outbox.put(taken) if streaming else Tokens()
        if not streaming:
            request.produced += taken
        if ended or not running.is_running():
            if not ended and running.ran_out_of_cache():
                self._fail(request, Failure.UNAVAILABLE, "the KV cache is full")
                return
            rest = ready + request.outbox.flush() if streaming else request.produced
            self._finish(request, [rest])
        elif ready.ids:
            self._answer(request, [ready], final=False)

    def _finish_beams(self, request: _Request, sequences: list[Tokens]) -> None:
        running = request.running
        if running is not None and running.ran_out_of_cache():
            self._fail(request, Failure.UNAVAILABLE, "the KV cache is full")
            return
        beams = []
        for sequence in sequences:
            stop = StopCondition(
                request.stop.end_ids, request.stop.stop_words, request.stop.vocabulary
            )
            beams.append(_until_end(sequence, stop)[0])
        self._finish(request, beams)

    def _finish(self, request: _Request, beams: list[Tokens]) -> None:
        if not request.generation.streaming and request.generation.sampling.beams == 1:
            beams = [request.produced]
        self._active.remove(request)
        if request.running is not None and request.running.is_running():
            request.running.stop()
        self._answer(request, beams, final=True)

    def _answer(self, request: _Request, beams: list[Tokens], final: bool) -> None:
        try:
            request.client.deliver(beams, final)
        except Exception as error:  # its client is gone; that is no reason to fail the others
            self._log_error(f"an answer could not be sent: {error}")
            self._forget(request)

    def _fail(self, request: _Request, failure: Failure, message: str) -> None:
        self._forget(request)
        try:
            request.client.fail(failure, message)
        except Exception as error:
            self._log_error(f"an error could not be sent: {error}")

    def _forget(self, request: _Request) -> None:
        if request in self._active:
            self._active.remove(request)
        if request in self._waiting:
            self._waiting.remove(request)
        if request.running is not None and request.running.is_running():
            request.running.cancel()

    def _fail_all(self, failure: Failure, message: str) -> None:
        for request in [*self._active, *self._waiting]:
            self._fail(request, failure, message)

    def _recover(self, error: Exception) -> None:
        reason = " ".join(str(error).split()) or type(error).__name__
        self._log_error(f"the engine failed and is restarted: {reason}")
        for request in list(self._active):
            self._fail(request, Failure.INTERNAL, f"the engine failed: {reason}")
        try:
            self._pipeline.close()
            self._pipeline = self._open_pipeline(self._settings)
        except Exception as second:
            self._broken = True
            self._log_error(f"the engine could not be restarted: {second}")
            self._fail_all(Failure.UNAVAILABLE, "the engine has failed")
            self._give_up()

    def _report_load(self) -> None:
        at, last = self._reported
        now = time.monotonic()
        load = Load(
            active=len(self._active),
            waiting=len(self._waiting),
            max_active=self._settings.limits.max_batch_size,
            blocks_reserved=sum(request.blocks for request in self._active),
            blocks_total=self._settings.kv_blocks,
        )
        if load != last and (now - at >= REPORT_S or not load.active):
            self._reported = (now, load)
            self._report(load)


def _until_end(new: Tokens, stop: StopCondition) -> tuple[Tokens, bool]:
    """The part of ``new`` that belongs to the answer, and whether the answer ends there."""
    for position, token in enumerate(new.ids):
        if stop.is_end(token):
            return Tokens(new.ids[:position], new.log_probs[:position]), True
        if stop.completes(token):
            end = position + 1
            return Tokens(new.ids[:end], new.log_probs[:end]), True
    return new, False
