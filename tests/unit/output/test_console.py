from __future__ import annotations

import re
from pathlib import Path

from rich.text import Text

from rolecall.events import (
    Applying,
    Connecting,
    HostDone,
    HostStarted,
    Message,
    Output,
    Progress,
    ResourceDone,
    TextDiff,
)
from rolecall.output.live import Activity
from rolecall.output.one_host import FOLD
from rolecall.output.page import DIFF_LINES
from rolecall.output.screen import screen
from rolecall.output.text import Charset
from rolecall.resource import Change
from tests.unit.output.support import (
    DIGEST,
    HOST,
    MODE,
    OTHER,
    Clock,
    EncodedText,
    changed,
    console,
    failed,
    ok,
    over,
    run_of,
    skipped,
    started,
)


def test_resources_stand_under_their_role_a_line_each() -> None:
    lines, _ = console(run_of(ok("directory:/srv"), changed("file:/x"), ok("a:b", role="model")))
    at = lines.index("system")
    assert lines[at : at + 5] == [
        "system",
        "  ✓ ok       directory:/srv",
        "  ● changed  file:/x  mode: 644 → 600",
        "model",
        "  ✓ ok       a:b",
    ]


def test_a_second_run_says_that_every_resource_is_ok() -> None:
    lines, _ = console(run_of(ok("a:1"), ok("a:2")))
    assert any(re.fullmatch(r"localhost +2 +0 +0 +0 +0 +1 +0\.5 s", line) for line in lines)
    assert "Nothing to change, in 0.0 s." in lines


def test_a_long_row_of_ok_is_one_line_unless_all_is_asked_for() -> None:
    events = run_of(*(ok(f"file:/f{i}") for i in range(FOLD + 1)))
    lines, _ = console(events)
    assert f"  ✓ ok       {FOLD + 1} resources  file:/f0 … file:/f{FOLD}" in lines
    assert len([line for line in console(events, 1)[0] if "✓ ok" in line]) == FOLD + 1


def test_a_row_never_hides_what_lies_in_it() -> None:
    row = [ok(f"file:/f{i}") for i in range(FOLD + 1)]
    lines, _ = console(run_of(*row, changed("file:/x"), *row))
    assert [line.split()[1] for line in lines if line.startswith("  ")][:3] == [
        "ok",
        "changed",
        "ok",
    ]


def test_changes_that_do_not_fit_have_a_line_each() -> None:
    changes = [Change(f"field{i}", "a" * 30, "b" * 30) for i in range(3)]
    lines, _ = console(run_of(changed("file:/x", *changes)))
    assert f"      field2: {'a' * 30} → {'b' * 30}" in lines


def test_check_mode_says_would_change_and_that_nothing_was_written() -> None:
    change = ResourceDone(HOST, "r", "a:1", "would change", (MODE,))
    unknown = ResourceDone(HOST, "r", "a:2", "unknown until", reason="a:1")
    lines, _ = console(run_of(change, unknown, check=True))
    assert "deploy on localhost (check)" in lines
    assert "  ~ would change  a:1  mode: 644 → 600" in lines
    assert "  ? unknown       a:2  until a:1" in lines
    assert any("would change" in line and "skipped" in line for line in lines)
    assert "Nothing was written." in lines


def test_a_diff_is_coloured_and_follows_its_resource() -> None:
    diff = TextDiff(HOST, "file:/x", "/x", ("@@ -1 +1 @@", " same", "-old", "+new"))
    done = changed("file:/x", Change("sha256", DIGEST, OTHER), MODE)
    lines, raw = console(run_of(diff, ok("a:1"), done))
    at = lines.index("  ● changed  file:/x  mode: 644 → 600")
    assert lines[at + 1 : at + 6] == [
        "      /x",
        "      @@ -1 +1 @@",
        "       same",
        "      -old",
        "      +new",
    ]
    assert "\x1b[31m-old" in raw
    assert "\x1b[32m+new" in raw


def test_the_diff_of_what_was_never_changed_is_not_shown() -> None:
    diff = TextDiff(HOST, "file:/x", "/x", ("+new",))
    lines, _ = console(run_of(diff, failed("a:1", "broken"), skipped("file:/x", "after a:1")))
    assert not any("+new" in line for line in lines)


def test_a_long_diff_is_folded() -> None:
    diff = TextDiff(HOST, "file:/x", "/x", tuple(f"+{i}" for i in range(DIFF_LINES + 7)))
    lines, _ = console(run_of(diff, changed("file:/x")))
    assert "      7 more lines: -v shows them" in lines


def test_a_failure_is_a_panel_with_reason_output_and_next_step() -> None:
    reason = "its apply ended with status 1\nport 8000 in use"
    lines, _ = console(run_of(failed("command:go", reason, "stop it")), log=Path("/runs/a.jsonl"))
    text = "\n".join(lines)
    assert "✗ failed: command:go" in text
    for words in ("its apply ended with status 1", "port 8000 in use", "next: stop it"):
        assert f"│ {words}" in text
    assert "Log of this run: /runs/a.jsonl" in lines


def test_a_failure_with_much_output_fits_one_screen() -> None:
    reason = "status 1\n" + "\n".join(f"line {i}" for i in range(500))
    lines, _ = console(run_of(failed("command:go", reason)))
    assert len(lines) < 40
    assert any("480 lines before" in line for line in lines)
    assert any("line 499" in line for line in lines)


def test_what_is_skipped_after_a_failure_is_one_line() -> None:
    events = [skipped(f"a:{i}", "after c:x", role=f"role{i % 3}") for i in range(30)]
    lines, _ = console(run_of(failed("c:x", "broken"), *events))
    assert "  - skipped  30 resources  after c:x" in lines
    assert not any(line == "role2" for line in lines)


def test_what_a_role_leaves_out_is_shown_with_its_reason() -> None:
    lines, _ = console(run_of(skipped("package:cuda", "no GPU here")))
    assert "  - skipped  package:cuda  no GPU here" in lines


def test_an_unreachable_host_is_explained_once_and_named_again_at_the_end() -> None:
    lost = ResourceDone("gpu-2", "", "connection", "unreachable", reason="no route", hint="look")
    events = [started("gpu-1", "gpu-2"), lost, over("gpu-2", error="no route"), over("gpu-1")]
    lines, _ = console(events)
    text = "\n".join(lines)
    assert "✗ unreachable: gpu-2" in text
    assert text.count("no route") == 2
    assert "gpu-2: unreachable: no route" in lines


def test_with_several_hosts_each_line_names_its_host() -> None:
    events = [
        started("gpu-1", "gpu-10"),
        HostStarted("gpu-1", 1),
        HostStarted("gpu-10", 1),
        changed("a:1", host="gpu-1"),
        changed("a:1", host="gpu-10"),
        over("gpu-1"),
        over("gpu-10"),
    ]
    lines, _ = console(events)
    assert "  gpu-1   ● changed  a:1  mode: 644 → 600" in lines
    assert "  gpu-10  ● changed  a:1  mode: 644 → 600" in lines
    assert lines.count("system") == 1


def test_output_is_shown_line_by_line_when_asked_for() -> None:
    events = run_of(
        Applying(HOST, "engine", "c:x", ()), Output(HOST, "c:x", "hello"), changed("c:x")
    )
    assert not any("│ hello" in line for line in console(events)[0])
    lines, _ = console(events, verbosity=1)
    at = lines.index("    │ hello")
    assert lines[at - 1] == "  … applying  c:x"


def test_nothing_that_is_printed_reaches_the_terminal_as_escape_sequences() -> None:
    evil = "\x1b]0;EVIL\x07\x1b[2J\x1b[99;99H\x9b1m[bold red]"
    events = run_of(
        Applying(HOST, evil, f"c:{evil}", ()),
        Output(HOST, f"c:{evil}", evil),
        TextDiff(HOST, f"c:{evil}", evil, (f"+{evil}",)),
        changed(f"c:{evil}", Change(evil, evil, evil + "x"), role=evil),
        failed("d:x", evil, evil),
        Message("", evil),
    )
    lines, raw = console(events, verbosity=1)
    assert not any(bad in raw for bad in ("EVIL", "\x1b[2J", "99;99", "\x9b", "\x07"))
    assert any("[bold red]" in line for line in lines)


def test_a_terminal_without_unicode_gets_stand_ins() -> None:
    diff = TextDiff(HOST, "file:/x", "/x", ("+größe",))
    events = run_of(ok("a:ö"), diff, changed("file:/x"), failed("c:x", "kaputt: ß", "→ weiter"))
    lines, _ = console(events, encoding="ascii")
    assert "  * changed  file:/x  mode: 644 -> 600" in lines


def test_a_narrow_terminal_gets_lines_for_the_table_and_nothing_beyond_its_width() -> None:
    change = Change("a" * 50, "b" * 90, "c")
    failure = failed("c:" + "x" * 90, "because of " + "y" * 90, "z" * 90)
    lines, _ = console(run_of(ok("a:1"), changed("file:/x", change), failure), width=40)
    assert max(map(len, lines)) <= 40
    assert "localhost  1 ok  1 changed  1 failed" in lines


def test_a_long_id_stays_in_one_piece_to_be_copied() -> None:
    long = "file:/" + "folder/" * 30
    lines, _ = console(run_of(changed(long)), width=40)
    assert f"  ● changed  {long}" in lines
    assert "      mode: 644 → 600" in lines


def test_messages_at_the_end_stand_below_the_recap() -> None:
    lines, _ = console([*run_of(ok("a:1")), Message("", "Try: ./inv chat", "good")])
    assert lines.index("Try: ./inv chat") > lines.index("Nothing to change, in 0.0 s.")


def test_a_run_cut_short_says_which_host_is_not_finished() -> None:
    events = [started(), HostStarted(HOST, 2), changed("a:1"), Applying(HOST, "r", "a:2", ())]
    lines, _ = console(events)
    assert "Not finished: localhost, in a:2" in lines


def test_a_run_that_came_to_nothing_has_no_table_of_zeros() -> None:
    lines, _ = console([started()])
    assert not any("skipped" in line for line in lines)


def test_the_cursor_comes_back() -> None:
    _, raw = console([started(), HostStarted(HOST, 2)])
    assert raw.rfind("\x1b[?25h") > raw.rfind("\x1b[?25l") >= 0


# The live region


def live_lines(activity: Activity, width: int = 100) -> list[str]:
    console = screen(EncodedText(), width)
    rendered = activity.__rich_console__(console, console.options)
    return [line.plain for line in rendered if isinstance(line, Text)]


def activity(*hosts: str, encoding: str = "utf-8") -> tuple[Activity, Clock]:
    clock = Clock()
    live = Activity(Charset.of(encoding), clock)
    live.follow(started(*hosts))
    return live, clock


def test_the_live_line_tells_resource_time_and_last_output() -> None:
    live, clock = activity()
    live.follow(Applying(HOST, "r", "command:build", ()))
    live.follow(Output(HOST, "command:build", "\x1b[1mlinking\x1b[0m 80%\r"))
    clock.now += 75
    assert live_lines(live) == ["  ⠋ command:build  1 min 15 s", "    linking 80%"]


def test_the_live_line_shows_a_bar_with_amount_rate_and_time_left() -> None:
    live, clock = activity()
    live.follow(Applying(HOST, "r", "download:model", ()))
    for done in (0, 50e6, 100e6):
        live.follow(Progress(HOST, "download:model", "weights", done, 200e6, "B"))
        clock.now += 1
    (line,) = live_lines(live)
    assert line.endswith("━━━━━━━━━━━━────────────  50 %  100/200 MB  50 MB/s  2.0 s left")
    for width in range(20, 100):
        assert all(len(text) <= width for text in live_lines(live, width))


def test_an_unknown_total_has_no_bar() -> None:
    live, clock = activity()
    live.follow(Applying(HOST, "r", "download:model", ()))
    live.follow(Progress(HOST, "download:model", "", 5e6, 0, "B"))
    clock.now += 1
    assert live_lines(live) == ["  ⠋ download:model  1.0 s  5 MB"]


def test_every_busy_host_has_one_line_and_idle_ones_none() -> None:
    live, clock = activity("one", "two", "three")
    for host in ("one", "two", "three"):
        live.follow(Connecting(host))
    live.follow(HostStarted("two", 1))
    live.follow(Applying("one", "r", "a:1", ()))
    live.follow(Output("one", "a:1", "working"))
    live.follow(HostDone("three", 1, 1.0))
    clock.now += 2
    assert [line[4:] for line in live_lines(live)] == [
        "one  a:1  2.0 s  working",
        "two  probing  2.0 s",
    ]


def test_what_is_over_at_once_is_not_shown() -> None:
    live, clock = activity()
    live.follow(Applying(HOST, "r", "a:1", ()))
    clock.now += 0.1
    assert live_lines(live) == []


def test_a_retry_keeps_the_time_it_began() -> None:
    live, clock = activity()
    live.follow(Applying(HOST, "r", "service:triton", ()))
    clock.now += 30
    live.follow(Applying(HOST, "r", "service:triton", ()))
    clock.now += 1
    assert "31 s" in live_lines(live)[0]


def test_the_live_line_has_stand_ins_without_unicode() -> None:
    live, clock = activity(encoding="ascii")
    live.follow(Applying(HOST, "r", "d:" + "ü" * 80, ()))
    live.follow(Progress(HOST, "d:x", "größe", 1, 2, "B"))
    clock.now += 1
    "\n".join(live_lines(live, 60)).encode("ascii")
