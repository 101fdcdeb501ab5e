"""Two real runs, made once: the first makes everything, the second fails on one of two hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall.report.model import Run
from rolecall.report.page import page
from rolecall.report.read import read_run
from tests.integration.report.runs import HOSTS, run
from tests.rig.browser import Page, browser, chromium


@dataclass(frozen=True)
class Ran:
    """What the runs have left."""

    folder: Path
    first: Path
    second: Path

    def page(self, path: Path) -> Path:
        """Write the report of the second run, against the first."""
        path.write_text(page(self.read(), read_run(self.first)), encoding="utf-8")
        return path

    def read(self) -> Run:
        """The second run."""
        return read_run(self.second)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ran")
    first = run(folder)
    for host in HOSTS:
        for name in ("built", "up", "repo/ready"):
            (folder / host / name).unlink()
    return Ran(folder, first, run(folder, batch=16, failing=["gpu-2"]))


@pytest.fixture(scope="session")
def chromium_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if not chromium():
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def shown(chromium_page: Page) -> Page:
    """The page of the browser, as if new."""
    chromium_page.look()
    chromium_page.script(on=True)
    chromium_page.complaints.clear()
    return chromium_page
