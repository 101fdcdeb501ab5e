"""The page: complete, escaped, and nothing in it but what its policy allows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rolecall.events import Applying, Message, Output, SettingsKnown, SettingValue, TextDiff
from rolecall.report.page import page, policy
from rolecall.report.read import read_run
from rolecall.report.timeline import marks, timeline
from rolecall.resource import Change
from tests.unit.report.logs import MODE, done, finished, fleet, opened, over, started, write
from tests.unit.report.test_read import whole

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class Parsed(HTMLParser):
    """Every element with its attributes, and which are open at the end."""

    VOID = ("meta", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        self.text += data


def evil(tmp_path: Path) -> str:
    """The page of a run in which everything that a host may say is hostile."""
    host = f"web{EVIL}"
    value = SettingValue(EVIL, EVIL, EVIL)
    events = [
        started(host, "b", task=EVIL, command=EVIL),
        SettingsKnown("", (host,), EVIL, (value,)),
        *opened(host),
        TextDiff(host, f"file:{EVIL}", EVIL, (f"@@ {EVIL}", f"-{EVIL}", f"+{EVIL}")),
        Applying(host, EVIL, f"file:{EVIL}", (Change(EVIL, EVIL, EVIL),)),
        Output(host, f"file:{EVIL}", f"{EVIL}\x1b[31m\x00\u202e"),
        done(host, f"file:{EVIL}", "failed", reason=f"{EVIL}\n{EVIL}", hint=EVIL, role=EVIL),
        Message(host, EVIL, "error"),
        Message("", EVIL),
        over(host),
        finished(),
    ]
    return page(read_run(write(tmp_path / "r.jsonl", events)))


def test_nothing_that_a_host_says_becomes_markup(tmp_path: Path) -> None:
    text = evil(tmp_path)
    parsed = Parsed(text)
    assert parsed.open == []
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("script") == 1
    assert "img" not in tags
    names = {name for _, attributes in parsed.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("style", "src")]
    assert parsed.text.count("<script>alert(1)</script>") > 10
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


def test_every_link_leads_within_the_page(tmp_path: Path) -> None:
    parsed = Parsed(evil(tmp_path))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in parsed.elements if tag == "a"]
    assert links
    assert {link for link in links if link} <= {f"#{one}" for one in ids}


def test_its_policy_allows_its_own_style_and_script_and_nothing_else(tmp_path: Path) -> None:
    text = page(whole(tmp_path / "r.jsonl"))
    style = text.split("<style>")[1].split("</style>")[0]
    script = text.split("<script>")[1].split("</script>")[0]
    parsed = Parsed(text)
    (said,) = [
        attributes["content"]
        for tag, attributes in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert said == policy(style, script)
    assert said is not None
    assert said.startswith("default-src 'none'; ")
    assert "unsafe" not in said
    assert "http" not in re.sub(r"http-equiv", "", text.replace(script, ""))


def test_it_tells_what_happened(tmp_path: Path) -> None:
    text = Parsed(page(whole(tmp_path / "r.jsonl"))).text
    said = " ".join(text.split())
    for part in (
        "deploy on 2 hosts",
        "1 failure on 1 of 2 hosts.",
        "ada@laptop",
        "./inv deploy --hosts @failed",
        "no space",
        "free some",
        "Attached to job build-1; building: 4 of 4 layers",
        "mode 644",
        "600",
        "all said",
        "port",
        "group_vars/all.yaml:3",
        "x86_64",
        "a is locked by eve@desk",
    ):
        assert part in said, part
    assert said.index("Failures") < said.index("Timeline") < said.index("file:/a")


def test_failures_of_several_hosts_are_told_once(tmp_path: Path) -> None:
    run = read_run(write(tmp_path / "r.jsonl", fleet(50, 4)))
    said = " ".join(Parsed(page(run)).text.split())
    failures = said.split("Failures")[2].split("Timeline")[0]
    assert failures.count("no space left on device") == 1
    assert "gpu-003" in failures
    assert "45 hosts more, where nothing changed" not in failures


def test_hosts_of_a_fleet_where_nothing_changed_are_folded(tmp_path: Path) -> None:
    run = read_run(write(tmp_path / "r.jsonl", fleet(50, 4)))
    quiet = sum(part.outcome == "ok" for part in run.parts.values())
    assert quiet > 30
    assert page(run).count(f"{quiet} hosts more, where nothing changed") == 2


def test_a_fleet_of_200_hosts_with_100_resources_stays_small(tmp_path: Path) -> None:
    text = page(read_run(write(tmp_path / "r.jsonl", fleet(200, 100))))
    assert len(text.encode()) < 4_500_000


@pytest.mark.parametrize("length", [0.1, 0.5, 3.0, 59.0, 75.0, 3000.0, 40_000.0, 900_000.0])
def test_the_axis_has_a_few_marks(length: float) -> None:
    found = marks(length)
    assert 2 <= len(found) <= 8
    assert found[0] == (0.0, "0")
    assert len({text for _, text in found}) == len(found)
    assert all(0 <= x <= 100 for x, _ in found)


def test_every_bar_is_on_the_axis_and_can_be_seen(tmp_path: Path) -> None:
    run = whole(tmp_path / "r.jsonl")
    laid = timeline(run, {"a": "h1", "b": "h2"})
    bars = [bar for row in laid.rows for bar in row.bars]
    assert {bar.kind for bar in bars} == {"turn", "connect", "exchange", "wait", "job"}
    for bar in bars:
        assert bar.x >= 0
        assert bar.width > 0
        assert bar.x + bar.width <= 100.01
    (job,) = [bar for row in laid.rows if row.is_host for bar in row.bars if bar.kind == "job"]
    assert job.progress == "0.0,75.0 100.0,0.0"
    assert job.title == "file:/b, changed, job build-1: 1.5 s, from 5.0 s on"


def test_a_text_that_changed_is_shown_as_a_difference(tmp_path: Path) -> None:
    change = Change("text", "a\nb\nc\n", "a\nB\nc\n")
    event = done("a", "file:/a", "changed")
    events = [started("a"), *opened("a"), Applying("a", "system", "file:/a", (change,)), over("a")]
    text = page(read_run(write(tmp_path / "r.jsonl", events)))
    assert event.changes == (MODE,)
    assert '<span class="removed">-b' in text
    assert '<span class="added">+B' in text


@pytest.mark.parametrize(
    ("task", "command", "then"),
    [
        ("plan", "./inv plan --hosts gpu", "./inv deploy --hosts gpu"),
        ("drift", "./fab -H drift drift --set a=drift", "./fab -H drift deploy --set a=drift"),
        ("server", "./inv server", "./inv server"),
    ],
)
def test_a_check_tells_how_its_changes_are_made(
    tmp_path: Path, task: str, command: str, then: str
) -> None:
    begin = started("a", task=task, check=True, command=command)
    events = [begin, *opened("a"), done("a", "file:/a", "would change"), over("a"), finished()]
    text = page(read_run(write(tmp_path / "r.jsonl", events)))
    assert f"<b>Make these changes</b> <code>{then}</code>" in text
    assert '<span class="badge changed">would change</span>' in text
