"""Many hosts: names folded, changes told together, in the live region, recap and plain lines."""

from __future__ import annotations

import pytest

from rolecall.events import Applying, Connecting, Event, HostStarted, Message, Remain, ResourceDone
from rolecall.output.hosts import FEW, fold, without_host
from rolecall.resource import Change
from tests.unit.output.support import MODE, changed, console, failed, ok, over, plain, started
from tests.unit.output.test_console import activity, live_lines

TEN = [f"h{number:02d}" for number in range(1, 11)]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a", "b"], "a, b"),
        (["web1", "web2"], "web1, web2"),
        (["web1", "web2", "web3", "db"], "web[1:3], db"),
        (["h08", "h09", "h10"], "h[08:10]"),
        (["h8", "h9", "h10"], "h[8:10]"),
        (["h1", "h02", "h3"], "h1, h02, h3"),
        (["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.0.0.[1:3]"),
        (["a1.eu", "a2.eu", "a3.us"], "a1.eu, a2.eu, a3.us"),
        (list("abcdefgh"), "a, b, c, d, e, f, 2 more"),
        (["a", "b", "c", "d", "e", "f", "x1", "x2", "x3"], "a, b, c, d, e, f, 3 more"),
    ],
)
def test_names_are_folded_to_ranges_and_a_rest(names: list[str], text: str) -> None:
    assert fold(names) == text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("file:/srv/h1/x", "file:/srv/{host}/x"),
        ("h1: gone", "{host}: gone"),
        ("file:/srv/h10/h1.eu-h1", "file:/srv/h10/h1.eu-h1"),
    ],
)
def test_only_a_word_of_its_own_is_the_hosts_name(text: str, result: str) -> None:
    assert without_host(text, "h1") == result


def run(*events: Event, hosts: list[str] = TEN) -> list[Event]:
    begun = [event for host in hosts for event in (Connecting(host), HostStarted(host, 2))]
    return [started(*hosts), *begun, *events, *(over(host) for host in hosts)]


def test_a_change_of_all_hosts_is_one_line() -> None:
    lines, _ = console(run(*(changed("file:/x", host=host) for host in TEN)))
    assert "  ● changed  file:/x  all 10 hosts, mode: 644 → 600" in lines
    assert not any("file:/x" in line and "h0" in line for line in lines)


def test_different_changes_of_one_resource_are_told_with_their_hosts() -> None:
    other = Change("mode", "755", "600")
    events = [changed("f:/x", MODE if host < "h09" else other, host=host) for host in TEN]
    lines, _ = console(run(*events))
    at = lines.index("  ● changed  f:/x  all 10 hosts")
    assert lines[at + 1 : at + 3] == [
        "      h[01:08] (8 hosts)  mode: 644 → 600",
        "      h09, h10  mode: 755 → 600",
    ]


def test_changes_that_every_host_has_for_itself_are_not_listed_one_by_one() -> None:
    events = [changed("f:/x", Change("key", "a", f"k{host}"), host=host) for host in TEN]
    lines, _ = console(run(*events))
    assert len([line for line in lines if "key:" in line]) == 2
    assert "      h[03:10] (8 hosts)  … others" in lines


def test_a_failure_of_many_hosts_is_explained_once_and_every_host_is_named() -> None:
    events = [failed("c:go", f"status 1\non {host}", "look", host=host) for host in TEN]
    lines, _ = console(run(*events))
    text = "\n".join(lines)
    assert text.count("next: look") == 1
    assert "  h02  ✗ failed   c:go  as on h01" in lines
    assert "h[01:10]: failed c:go: status 1" in lines
    assert "Of 10 hosts: 10 failed." in lines


def test_failures_that_all_differ_do_not_fill_the_screen() -> None:
    hosts = [f"n{number}" for number in range(60)]
    events = [failed("c:go", f"reason {i}", host=host) for i, host in enumerate(hosts)]
    lines, _ = console(run(*events, hosts=hosts))
    text = "\n".join(lines)
    assert text.count("✗ failed: c:go") == 5
    assert "  n59  ✗ failed   c:go  reason 59" in lines
    assert len([line for line in lines if ": failed c:go: reason" in line]) == 15


def test_hosts_without_a_turn_are_one_line_with_the_reason() -> None:
    events = [
        started(*TEN),
        Connecting("h01"),
        failed("c:go", "broken", host="h01"),
        over("h01"),
        *(ResourceDone(host, "", "host", "skipped", reason="after h01") for host in TEN[1:]),
        Remain("", tuple(TEN), "./inv deploy --hosts @failed"),
    ]
    lines, _ = console(events)
    assert "  - skipped  no turn  h[02:10] (9 hosts), after h01" in lines
    assert "Of 10 hosts: 1 failed, 9 without a turn." in lines
    assert "next: ./inv deploy --hosts @failed" in lines
    assert not any("Not finished" in line for line in lines)
    piped = plain(events)
    assert "no turn: h[02:10]: after h01" in piped
    assert piped[-1] == "next: ./inv deploy --hosts @failed"
    assert not any("not over" in line for line in piped)


def test_few_hosts_are_shown_one_by_one() -> None:
    hosts = TEN[:FEW]
    lines, _ = console(run(*(changed("file:/x", host=host) for host in hosts), hosts=hosts))
    assert len([line for line in lines if "file:/x" in line]) == FEW


def test_with_v_every_line_is_shown() -> None:
    lines, _ = console(run(*(ok("file:/x", host=host) for host in TEN)), 1)
    assert len([line for line in lines if "file:/x" in line]) == 10


def test_what_hosts_say_alike_is_said_once() -> None:
    said = [Message(host, f"serving at http://{host}:8000\nnext: chat", "info") for host in TEN]
    lines, _ = console([*run(*(ok("a:1", host=host) for host in TEN)), *said])
    text = "\n".join(lines)
    assert text.count("serving at") == 1
    assert "The same for h[02:10]: -v shows it." in lines


def test_the_live_region_of_a_fleet_tells_how_far_it_is() -> None:
    live, clock = activity(*TEN)
    assert live_lines(live) == ["  10 waiting  0.0 s"]
    for host in TEN[:5]:
        live.follow(Connecting(host))
    live.follow(ok("a:1", host="h01"))
    live.follow(over("h01"))
    live.follow(changed("a:1", host="h02"))
    live.follow(over("h02"))
    live.follow(failed("c:go", "broken", host="h03"))
    live.follow(HostStarted("h04", 1))
    live.follow(Applying("h04", "r", "c:go", ()))
    clock.now += 2
    assert live_lines(live)[:2] == [
        "  1 ok  1 changed  2 running  1 failed  5 waiting  2.0 s",
        "  ✗ failed h03",
    ]
    assert "  ⠋ h04  c:go  2.0 s" in live_lines(live)
    live.follow(over("h03"))
    assert not any(line.startswith("  ⠋ h03") for line in live_lines(live))


def test_the_live_region_leaves_half_of_the_screen_free() -> None:
    hosts = [f"n{number}" for number in range(60)]
    live, clock = activity(*hosts)
    for host in hosts:
        live.follow(Connecting(host))
    clock.now += 1
    lines = live_lines(live)
    assert len(lines) <= 13
    assert lines[-1].startswith("    … 50 more: n[")


def test_an_ok_host_has_one_plain_line_and_the_recap_folds_them() -> None:
    events = [ok("a:1", host=host) for host in TEN[1:]]
    lines = plain(run(*events, failed("c:go", "broken\nlog", host="h01")))
    assert "h02  ok        1 ok, 1 round trip, 0.5 s" in lines
    assert len([line for line in lines if line.startswith("h02 ")]) == 1
    assert "h[02:10] : ok=1 changed=0 skipped=0 failed=0 unreachable=0" in lines
    assert "h01 : ok=0 changed=0 skipped=0 failed=1 unreachable=0" in lines
    assert lines[-1] == "failed: h01: c:go: broken"
