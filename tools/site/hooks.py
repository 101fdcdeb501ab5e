"""What the site does beyond mkdocs: links are those of the repository, and lead into the site.

A page of ``docs/`` links to ``../roles/engine/README.md`` or ``../rolecall/facts.py``, as a forge
wants it. Here the README becomes a page of the site, and so does each source file and folder that
any page links to. A page of the navigation that is not written yet is left out of it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]

# [text](target), outside of code: fenced and inline code is skipped by being matched first.
_LINK = re.compile(
    r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)[ ]*$|`[^`\n]+`)"
    r"|\]\((?P<target>[^()\s]+)\)",
    re.MULTILINE | re.DOTALL,
)
# What tests take out of a page is named behind the language; in the site the name is a title.
_NAMED_FENCE = re.compile(r"^(```+\w+) file=(\S+)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//")
_LANGUAGES = {".py": "python", ".sh": "sh", ".yaml": "yaml", ".yml": "yaml"}


def on_config(config: Any) -> Any:
    """Leave out what the navigation has and the checkout does not have yet."""
    config.nav = _present(config.nav)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages outside of docs/ that the navigation or a page links to."""
    waiting = [page.src_uri for page in files.documentation_pages()]
    waiting += [uri for uri in _uris(config.nav) if uri not in waiting]
    seen = set()
    while waiting:
        uri = waiting.pop()
        if uri in seen:
            continue
        seen.add(uri)
        if files.get_file_from_path(uri) is None:
            files.append(_outside(uri, config))
        place = _place(uri)
        if place.suffix == ".md":
            targets = _LINK.finditer(place.read_text())
            waiting += [
                page
                for found in targets
                if found["target"] and (page := _page_of(found["target"], uri))
            ]
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the repository's links into the site's."""

    def rewritten(found: re.Match[str]) -> str:
        target = found["target"]
        uri = _page_of(target, page.file.src_uri) if target else None
        if uri is None:
            return found[0]
        anchor = target.partition("#")[2]
        here = posixpath.dirname(page.file.src_uri) or "."
        return f"]({posixpath.relpath(uri, here)}{'#' + anchor if anchor else ''})"

    return _NAMED_FENCE.sub(r'\1 title="\2"', _LINK.sub(rewritten, markdown))


def _place(uri: str) -> Path:
    """The file of the repository that a page of the site is made from."""
    inside = ROOT / "docs" / uri
    if inside.exists():
        return inside
    return ROOT / (uri if (ROOT / uri).exists() else uri.removesuffix(".source.md"))


def _page_of(target: str, uri: str) -> str | None:
    """The page of the site that a link means; ``None`` where mkdocs finds it by itself."""
    if _ELSEWHERE.match(target):
        return None
    place = (_place(uri).parent / target.partition("#")[0]).resolve()
    if not place.is_relative_to(ROOT) or not place.exists():
        return None  # mkdocs says that it leads nowhere
    if place.is_relative_to(ROOT / "docs"):
        return place.relative_to(ROOT / "docs").as_posix()
    if place == ROOT / "README.md":
        return "index.md"
    path = place.relative_to(ROOT).as_posix()
    if place.is_dir() and (place / "README.md").exists():
        return f"{path}/README.md"
    return path if place.suffix == ".md" else f"{path}.source.md"


def _outside(uri: str, config: Any) -> File:
    place = _place(uri)
    named = uri in _uris(config.nav)
    inclusion = InclusionLevel.INCLUDED if named else InclusionLevel.NOT_IN_NAV
    if place.suffix == ".md":
        return File.generated(config, uri, abs_src_path=str(place), inclusion=inclusion)
    return File.generated(config, uri, content=_source(place), inclusion=inclusion)


def _source(place: Path) -> str:
    title = f"# {place.relative_to(ROOT).as_posix()}\n\n"
    if place.is_dir():
        names = sorted(one.name for one in place.iterdir() if not one.name.startswith(("_", ".")))
        return title + "".join(f"- `{name}`\n" for name in names)
    language = _LANGUAGES.get(place.suffix, "text")
    return f"{title}`````{language}\n{place.read_text()}`````\n"


def _present(nav: Any) -> Any:
    if isinstance(nav, list):
        return [entry for one in nav if (entry := _present(one))]
    if isinstance(nav, dict):
        return {title: entry for title, one in nav.items() if (entry := _present(one))}
    return nav if _place(nav).exists() else None


def _uris(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [uri for one in (nav.values() if isinstance(nav, dict) else nav) for uri in _uris(one)]
