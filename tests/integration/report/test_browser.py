"""The report in a real browser: nothing leaves, everything can be read, whoever reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rolecall.report.page import page
from rolecall.report.read import read_run
from tests.integration.report.conftest import Ran
from tests.rig.browser import Page
from tests.unit.report.logs import fleet, write
from tests.unit.report.test_page import evil

#: Contrast of every text with what is behind it, by WCAG 2: the worst first.
CONTRAST = """
(() => {
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length > 3 ? numbers : [...numbers, 1];
  };
  const part = (value) => {
    value /= 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const ground = parse(getComputedStyle(at).backgroundColor);
      if (ground[3] > 0) return ground;
    }
    return [255, 255, 255, 1];
  };
  for (const one of document.querySelectorAll("details")) one.open = true;
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("script, style, title")) continue;
    const style = getComputedStyle(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(parse(colour)), light(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), texts.currentNode.data.trim().slice(0, 40), colour]);
  }
  return found.sort((x, y) => x[0] - y[0]).slice(0, 5);
})()
"""

#: What a resource's line looks like when it is not hidden.
VISIBLE = """[...document.querySelectorAll(".step")].filter((one) => one.checkVisibility())
  .map((one) => one.querySelector(".id").textContent)"""


def set_filter(shown: Page, name: str, value: str) -> None:
    shown.value(
        f"(() => {{ const one = document.getElementById('f-{name}'); one.value = {value!r};"
        " one.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


@pytest.fixture
def report(ran: Ran, tmp_path: Path) -> Path:
    return ran.page(tmp_path / "report.html")


def test_nothing_leaves_the_page_and_nothing_is_complained_about(
    shown: Page, report: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "evil.html"
    hostile.write_text(evil(tmp_path), encoding="utf-8")
    for path in (report, hostile):
        shown.open(path)
        shown.value("new Promise((done) => setTimeout(done, 300))")
        assert shown.requests == [path.resolve().as_uri()]
    assert shown.complaints == []
    assert "alert(1)" in shown.value("document.body.textContent")


def test_its_policy_stops_what_somebody_might_slip_in(shown: Page, report: Path) -> None:
    slipped = (
        "<img src='https://example.invalid/x.png'><script>window.ran = 1</script>"
        "<p id='slipped' style='color: red'>x</p></body>"
    )
    report.write_text(report.read_text().replace("</body>", slipped))
    shown.open(report)
    assert shown.value("window.ran === undefined")
    assert (
        shown.value("getComputedStyle(document.getElementById('slipped')).color")
        != "rgb(255, 0, 0)"
    )
    assert shown.requests == [report.resolve().as_uri()]
    assert len([one for one in shown.complaints if "Content Security Policy" in one]) >= 3


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 768, 1200])
def test_it_fits_every_width_in_both_schemes(
    shown: Page, report: Path, width: int, dark: bool
) -> None:
    shown.look(width, 900, dark=dark)
    shown.open(report)
    shown.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert shown.value("document.documentElement.scrollWidth") <= width
    ground = shown.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == dark


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_enough_contrast(
    shown: Page, report: Path, tmp_path: Path, dark: bool
) -> None:
    many = tmp_path / "fleet.html"
    many.write_text(page(read_run(write(tmp_path / "r.jsonl", fleet(8, 4)))), encoding="utf-8")
    shown.look(dark=dark)
    for path in (report, many):
        shown.open(path)
        worst = shown.value(CONTRAST)
        assert worst[0][0] >= 4.5, worst


def test_resources_are_filtered_by_host_outcome_and_text(shown: Page, report: Path) -> None:
    shown.open(report)
    everything = shown.value(VISIBLE)
    set_filter(shown, "outcome", "failed")
    shown.until("document.getElementById('f-said').textContent.includes(' of ')")
    assert shown.value(VISIBLE) == ["act:server"]
    assert shown.value("document.getElementById('f-said').textContent").endswith("on 1 of 2 hosts")
    set_filter(shown, "outcome", "")
    set_filter(shown, "host", "gpu-1")
    set_filter(shown, "text", "max_batch_size 16")
    shown.until("document.getElementById('f-said').textContent.startsWith('1 of ')")
    (config,) = shown.value(VISIBLE)
    assert config.endswith("gpu-1/repo/config.yaml")
    set_filter(shown, "host", "")
    set_filter(shown, "text", "")
    shown.until("document.getElementById('f-said').textContent === ''")
    assert set(everything) <= set(shown.value(VISIBLE))


def test_it_is_used_with_the_keyboard_alone(shown: Page, report: Path) -> None:
    shown.open(report)
    shown.press("Tab", 9)
    assert shown.value("document.activeElement.textContent") == "Skip to the hosts"
    assert shown.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.press("Enter", 13, "\r")
    shown.until("location.hash === '#hosts'")
    shown.press("Tab", 9)
    assert shown.value("document.activeElement.id") == "f-host"
    shown.type("gpu-1")
    shown.until("document.getElementById('f-said').textContent.includes('on 1 of 2 hosts')")
    shown.press("Escape", 27)
    shown.until("document.getElementById('f-said').textContent === ''")
    seen = []
    for _ in range(40):
        shown.press("Tab", 9)
        seen.append(shown.value("document.activeElement.tagName"))
        if seen[-1] == "SUMMARY" and not shown.value("document.activeElement.parentElement.open"):
            break
    shown.press("Enter", 13, "\r")
    shown.until("document.activeElement.parentElement.open")


def test_a_screen_reader_finds_its_way(shown: Page, report: Path) -> None:
    shown.open(report)
    found = shown.accessible()
    headings = [name for role, name in found if role == "heading"]
    assert headings[0] == "deploy on 2 hosts"
    assert {"Failures", "Timeline", "Hosts", "Settings", "gpu-1", "gpu-2"} <= set(headings)
    roles = {role for role, _ in found}
    assert {"main", "navigation", "search", "list", "region", "contentinfo"} <= roles
    images = [name for role, name in found if role in ("image", "img")]
    assert any(
        name.startswith("gpu-1: changed") and "waits for the lock" in name for name in images
    ) or any(name.startswith("gpu-2: failed") and "waits for the lock" in name for name in images)
    nameless = [
        role
        for role, name in found
        if role in ("textbox", "searchbox", "combobox", "link") and not name
    ]
    assert nameless == []


def test_without_script_everything_is_there(shown: Page, report: Path) -> None:
    shown.script(on=False)
    shown.open(report)
    shown.script(on=True)
    assert shown.value("document.getElementById('filter').checkVisibility()") is False
    shown.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    total = shown.value("document.querySelectorAll('.step').length")
    assert len(shown.value(VISIBLE)) == total > 10


def test_it_prints(shown: Page, report: Path) -> None:
    shown.open(report)
    assert shown.pdf().startswith(b"%PDF")
    shown.look(dark=True, media="print")
    assert shown.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.value("document.getElementById('filter').checkVisibility()") is False
    worst = shown.value(CONTRAST)
    assert worst[0][0] >= 4.5, worst


def test_a_large_fleet_opens_and_filters(shown: Page, tmp_path: Path) -> None:
    path = tmp_path / "fleet.html"
    path.write_text(page(read_run(write(tmp_path / "r.jsonl", fleet(200, 100)))), encoding="utf-8")
    shown.look(360, 800)
    shown.open(path)
    assert shown.value("document.documentElement.scrollWidth") <= 360
    set_filter(shown, "text", "part-007")
    shown.until("document.getElementById('f-said').textContent.includes('200 of 20000 resources')")
    set_filter(shown, "host", "gpu-150")
    shown.until("document.getElementById('f-said').textContent.includes('1 of 20000 resources')")
    assert len(shown.value(VISIBLE)) == 1


def test_it_looks_as_it_should(shown: Page, report: Path, tmp_path: Path) -> None:
    """Something is drawn: the bars have the colours of what they stand for."""
    shown.open(report)
    fills = shown.value(
        "[...document.querySelectorAll('.rows .bar')].map((one) => getComputedStyle(one).fill)"
    )
    assert len(set(fills)) >= 4
    assert "rgb(0, 0, 0)" not in fills
    assert shown.screenshot(tmp_path / "report.png").stat().st_size > 20_000
