"""The site is made without a warning, of pages that lead nowhere else for what they show."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

_ASKED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?(https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        ["sh", "tools/docs.sh", "build", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_docs_is_in_the_site(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists(), page


def test_every_role_has_its_page(site):
    for page in (ROOT / "roles").glob("*/README.md"):
        assert (site / "roles" / page.parent.name / "index.html").exists(), page


def test_links_to_the_code_lead_to_a_page_of_the_site(site):
    text = (site / "write-a-role.html").read_text()
    assert 'href="rolecall/facts.py.source.html"' in text
    assert "package_manager" in (site / "rolecall/facts.py.source.html").read_text()


def test_every_block_is_a_block(site):
    for page in site.rglob("*.html"):
        outside = re.sub(r"<(pre|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        assert "```" not in outside, page.relative_to(site)


def test_no_page_asks_another_site_for_anything(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert not (found := _ASKED.search(page.read_text())), f"{page.name}: {found[0]}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text()), style.name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](nowhere.md)", "'nowhere.md', but the target is not found"),
        ("[x](../roles/nothing.py)", "nothing.py"),
        ("[x](design.md#no-such-part)", "no-such-part"),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error(text, said, site, tmp_path):
    for name in ("docs", "roles", "rolecall", "templates", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "requirements-docs.lock", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".rolecall").mkdir()
    (tmp_path / ".rolecall" / "docs").symlink_to(ROOT / ".rolecall" / "docs")
    with (tmp_path / "docs" / "glossary.md").open("a") as page:
        page.write(f"\n{text}\n")
    done = subprocess.run(
        ["sh", "tools/docs.sh", "build", str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_a_wrong_call_says_how_it_is_called():
    done = subprocess.run(
        ["sh", "tools/docs.sh", "publish"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "usage: sh tools/docs.sh build" in done.stderr


FORGE = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md"), ROOT / "README.md"]


@pytest.mark.parametrize("page", sorted(FORGE), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_something_on_a_forge_too(page):
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target
