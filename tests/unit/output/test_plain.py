from __future__ import annotations

import re
import time

import pytest

from rolecall.events import (
    Applying,
    HostStarted,
    Message,
    Output,
    Progress,
    Recap,
    ResourceDone,
    TextDiff,
)
from rolecall.output.plain import Plain
from rolecall.resource import Change
from tests.unit.output.support import (
    DIGEST,
    HOST,
    MODE,
    OTHER,
    Clock,
    EncodedText,
    changed,
    failed,
    ok,
    over,
    plain,
    run_of,
    skipped,
    started,
)

RECAP = re.compile(r"(\S+) *: ok=\d+ changed=\d+ skipped=\d+ failed=\d+ unreachable=\d+")


def test_every_resource_has_a_line_with_host_outcome_id_and_changes() -> None:
    lines = plain(run_of(ok("directory:/srv"), changed("file:/etc/x")))
    assert "localhost  ok        directory:/srv" in lines
    assert "localhost  changed   file:/etc/x  (mode 644 → 600)" in lines


def test_the_recap_comes_last_in_the_form_ansible_made_known() -> None:
    lines = plain(run_of(ok("a:1"), ok("a:2"), changed("a:3")))
    assert lines[-1] == "localhost : ok=2 changed=1 skipped=0 failed=0 unreachable=0"


def test_each_host_has_a_recap_line_even_when_nothing_was_declared_for_it() -> None:
    lines = plain([started("one", "three"), HostStarted("one", 0), over("one"), over("three")])
    assert [RECAP.fullmatch(line)[1] for line in lines[-2:]] == ["one", "three"]  # type: ignore[index]


def test_check_mode_says_what_changed_means() -> None:
    change = ResourceDone(HOST, "r", "a:1", "would change", (MODE,))
    unknown = ResourceDone(HOST, "r", "a:2", "unknown until", reason="a:1")
    lines = plain(run_of(change, unknown, check=True))
    assert "localhost  would change  a:1  (mode 644 → 600)" in lines
    assert "localhost  unknown       a:2  (until a:1)" in lines
    assert lines[-2:] == [
        "recap of a check: changed counts what would change",
        "localhost : ok=0 changed=2 skipped=0 failed=0 unreachable=0",
    ]


def test_a_run_cut_short_says_which_host_is_not_over() -> None:
    lines = plain([started(), HostStarted(HOST, 2), Applying(HOST, "r", "a:2", ())])
    assert lines[-2:] == [
        "localhost  not over  in a:2",
        "localhost : ok=0 changed=0 skipped=0 failed=0 unreachable=0",
    ]


def test_a_failure_tells_reason_output_and_what_to_do_next() -> None:
    reason = "its apply ended with status 1\nport 8000 in use"
    lines = plain(run_of(failed("command:go", reason, "stop it"), skipped("file:/x", "after go")))
    at = lines.index("localhost  failed    command:go  (its apply ended with status 1)")
    assert lines[at + 1 : at + 4] == [
        "localhost  output    command:go  | port 8000 in use",
        "localhost  next      command:go  (stop it)",
        "localhost  skipped   file:/x  (after go)",
    ]


def test_an_unreachable_host_is_explained_once() -> None:
    lost = ResourceDone("gpu", "", "connection", "unreachable", reason="no route", hint="look")
    lines = plain([started("gpu"), lost, over("gpu", error="no route", hint="look")])
    assert [line for line in lines if "no route" in line] == ["gpu  unreachable  no route"]
    assert "gpu  next      look" in lines


def test_a_host_that_ends_early_for_another_reason_is_explained() -> None:
    lines = plain([started(), over(error="cannot write", hint="free some space")])
    assert "localhost  failed    cannot write" in lines
    assert "localhost  next      free some space" in lines


def test_a_diff_follows_its_resource_and_replaces_the_digest() -> None:
    diff = TextDiff(HOST, "file:/x", "/x", ("@@ -1 +1 @@", "-old", "+new"))
    change = Change("sha256", DIGEST, OTHER)
    lines = plain(run_of(diff, ok("file:/a"), changed("file:/x", change, MODE)))
    at = lines.index("localhost  changed   file:/x  (mode 644 → 600)")
    assert lines[at + 1 : at + 5] == [
        "localhost  diff      file:/x  (/x)",
        "    @@ -1 +1 @@",
        "    -old",
        "    +new",
    ]


def test_output_is_shown_only_when_asked_for() -> None:
    events = run_of(Applying(HOST, "r", "c:x", ()), Output(HOST, "c:x", "hello"), changed("c:x"))
    assert not any("hello" in line for line in plain(events))
    assert "localhost  output    c:x  | hello" in plain(events, verbosity=1)


def test_nothing_that_is_printed_reaches_the_terminal_as_control_characters() -> None:
    evil = "\x1b]0;t\x07\x1b[2J\x07\x9b1m\u202e"
    events = run_of(
        Applying(HOST, evil, f"c:{evil}", ()),
        Output(HOST, f"c:{evil}", evil),
        TextDiff(HOST, f"c:{evil}", evil, (f"+{evil}",)),
        changed(f"c:{evil}", Change(evil, evil, evil + "x"), role=evil),
        failed("d:x", evil, evil),
        Message("", evil, "warning"),
    )
    text = "\n".join(plain(events, verbosity=1))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_an_encoding_without_arrows_gets_stand_ins() -> None:
    lines = plain(run_of(changed("file:/größe")), encoding="ascii")
    assert "localhost  changed   file:/gr\\xf6\\xdfe  (mode 644 -> 600)" in lines


def progress_run(seconds: int, step: float) -> list[str]:
    out, clock = EncodedText(), Clock()
    listener = Plain(out, 0, clock)
    listener.handle(started())
    listener.handle(Applying(HOST, "r", "d:x", ()))
    for second in range(seconds):
        clock.now += 1
        listener.handle(Progress(HOST, "d:x", "weights", second * step, 1000, "layers"))
    listener.finish(Recap())
    return [line for line in out.getvalue().splitlines() if "applying" in line]


def test_progress_is_told_at_most_every_ten_seconds_with_rate_and_time_left() -> None:
    lines = progress_run(60, step=10)
    assert 4 <= len(lines) <= 6
    assert lines[1] == (
        "localhost  applying  d:x  (weights: 19 %, 190/1000 layers, 10 layers/s, "
        "1 min 21 s left, 20 s so far)"
    )


def test_slow_progress_is_told_every_minute() -> None:
    assert 9 <= len(progress_run(600, step=0.01)) <= 11


def test_a_step_that_is_silent_is_heard_of_now_and_then() -> None:
    out, clock = EncodedText(), Clock()
    listener = Plain(out, 0, clock)
    listener.handle(started())
    listener.handle(Applying(HOST, "r", "c:x", ()))
    for _ in range(100):
        clock.now += 1
        listener.tick()
    listener.handle(changed("c:x"))
    clock.now += 100
    listener.tick()
    listener.finish(Recap())
    assert [line for line in out.getvalue().splitlines() if "applying" in line] == [
        "localhost  applying  c:x  (10 s so far)",
        "localhost  applying  c:x  (1 min 10 s so far)",
    ]


def test_a_reader_that_went_away_is_told_to_the_run() -> None:
    class Closed(EncodedText):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Plain(Closed()).handle(started())


def test_messages_are_shown_as_they_are() -> None:
    lines = plain([started(), over(), Message("", "The answer\n  is 42", "good")])
    assert lines[-3:-1] == ["The answer", "  is 42"]


def test_the_ticker_ends_with_the_run() -> None:
    import threading

    before = threading.active_count()
    plain(run_of(ok("a:1")))
    deadline = time.monotonic() + 3
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
