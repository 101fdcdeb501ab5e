"""Inventories to compare on: groups, hosts, ranges and variables, written as INI or as YAML."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

GROUPS = ("web", "db", "eu", "us", "g-1", "zone.a")
NAMES = ("a", "b1", "b2", "host-1.example.org", "10.0.0.1", "2001:db8::1", "ü", "n_x")
ENTRIES = (
    *NAMES,
    "b[1:3]",
    "n[01:05:2].x",
    "m-[a:c]",
    "[2001:db8::1]:22",
    "b1:2222",
    "p[0:1][x:y]",
)
KEYS = ("k", "size", "ansible_port", "nested", "other_key", "K")

texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.dates(),
    st.sampled_from(["yes", "8", "0x1f", "{{ x }}", "null", "1e3", "#", "a: b", "- c", "'q'", " "]),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
variables = st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
#: What stands behind a = in INI, as it is typed.
raw_values = st.one_of(
    st.sampled_from(
        [
            *("1", "-2", "1.50", "True", "true", "None", "[1, 'a']", "{'a': [1]}", "'8'", "a b"),
            *("08", "0x10", "", "a=b", "x # y", "1 # y", "(1, 2)", "[1,", "{{ x }}", "a;b", "1_0"),
            '"q"',
        ]
    ),
    st.from_regex(r"[ -~]{0,8}", fullmatch=True).filter(lambda text: "\\" not in text),
)
raw_variables = st.dictionaries(st.sampled_from(KEYS), raw_values, max_size=3)


@dataclass
class Files:
    """The files of one inventory; ``source`` is what ``-i`` names, below the folder."""

    source: str
    texts: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        for name, text in self.texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder / self.source


def dump(value: Any) -> str:
    # Nothing, written {}, is to Ansible a host of that name.
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True) if value else ""


@st.composite
def priorities(draw: st.DrawFn, known: dict[str, Any]) -> dict[str, Any]:
    if draw(st.integers(0, 4)) == 0:
        known = {**known, "ansible_group_priority": draw(st.integers(-2, 12))}
    return known


@st.composite
def yaml_groups(draw: st.DrawFn, below: int = 0, depth: int = 0) -> dict[str, Any]:
    """Groups that have only later ones for children, so that no group is its own child."""
    result: dict[str, Any] = {}
    names = GROUPS[below:]
    if depth == 0:
        names = ("all", "ungrouped", *names)
    for name in draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) if names else ():
        body: dict[str, Any] = {}
        for key in draw(st.permutations(["hosts", "vars", "children"])):
            if key == "hosts":
                entries = draw(st.lists(st.sampled_from(ENTRIES), max_size=4, unique=True))
                body[key] = {entry: draw(st.none() | variables) for entry in entries}
            elif key == "vars" and draw(st.booleans()):
                body[key] = draw(priorities(draw(variables)))
            elif key == "children" and depth < 3 and name != "ungrouped":
                after = GROUPS.index(name) + 1 if name in GROUPS else 0
                body[key] = draw(yaml_groups(after, depth + 1))
        result[name] = body if draw(st.integers(0, 9)) else None
    return result


@st.composite
def ini_text(draw: st.DrawFn) -> str:
    lines = [_host_line(draw) for _ in range(draw(st.integers(0, 2)))]
    declared = draw(st.lists(st.sampled_from(GROUPS), min_size=1, unique=True))
    sections: list[list[str]] = []
    for name in declared:
        sections.append([f"[{name}]", *(_host_line(draw) for _ in range(draw(st.integers(0, 3))))])
        after = [other for other in declared if GROUPS.index(other) > GROUPS.index(name)]
        if after and draw(st.booleans()):
            children = draw(st.lists(st.sampled_from(after), min_size=1, max_size=3))
            sections.append([f"[{name}:children]", *children])
        if draw(st.booleans()):
            set_to = draw(priorities(draw(raw_variables)))
            sections.append([f"[{name}:vars]", *(f"{key} = {set_to[key]}" for key in set_to)])
    if draw(st.booleans()):
        set_to = draw(raw_variables)
        sections.append(["[all:vars]", *(f"{key}={set_to[key]}" for key in set_to)])
    for section in draw(st.permutations(sections)):
        lines += ["", *section]
    return "\n".join(lines) + "\n"


def _host_line(draw: st.DrawFn) -> str:
    words = [draw(st.sampled_from(ENTRIES))]
    for key, value in draw(raw_variables).items():
        quoted = shlex.quote(f"{key}={value}") if draw(st.booleans()) else f"{key}={value!r}"
        words.append(quoted)
    comment = draw(st.sampled_from(["", "  # why", " #"]))
    return " ".join(words) + comment


@st.composite
def variable_files(draw: st.DrawFn) -> dict[str, str]:
    files: dict[str, str] = {}
    for folder, names in (("group_vars", ("all", "ungrouped", *GROUPS)), ("host_vars", NAMES)):
        for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
            form = draw(st.sampled_from(["{}", "{}.yml", "{}.yaml", "{}/x.yml", "{}/sub/x"]))
            files[f"{folder}/{form.format(name)}"] = dump(draw(variables))
            if draw(st.booleans()):  # beside or inside it, a second one
                second = draw(st.sampled_from(["{}.yml", "{}.yaml", "{}/y.yml"]))
                if "/" in form or (form != "{}" and "/" not in second):
                    files.setdefault(f"{folder}/{second.format(name)}", dump(draw(variables)))
    return files


@st.composite
def inventories(draw: st.DrawFn) -> Files:
    """One file, INI or YAML, or a folder of several; with group_vars and host_vars."""
    files = draw(variable_files())
    form = draw(st.sampled_from(["ini", "yaml", "folder"]))
    if form == "ini":
        return Files("hosts", {**files, "hosts": draw(ini_text())})
    if form == "yaml":
        return Files("hosts.yml", {**files, "hosts.yml": dump(draw(yaml_groups()))})
    files["01-hosts"] = draw(ini_text())
    files["02.yaml"] = dump(draw(yaml_groups()))
    files["sub/03.ini"] = draw(ini_text())
    return Files(".", files)


_simple = st.sampled_from(
    [
        *(*GROUPS, *NAMES, "all", "ungrouped", "localhost", "m-a", "n01.x"),
        *("*", "b*", "?1", "w*", "*.org", "[ab]*", "*[!0-9]"),
        *("~b\\d", "~.*[0-9]$", "~(web|db)$", "~^g"),
    ]
)
_subscripts = st.sampled_from(["[0]", "[-1]", "[1]", "[0:1]", "[1:]", "[2:2]", "[9]", "[1:9]"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(_simple)
        if not name.startswith("~") and draw(st.integers(0, 2)) == 0:
            name += draw(_subscripts)
        parts.append(draw(st.sampled_from(["", "", "&", "!"])) + name)
    if any(":" in part.partition("[")[0] for part in parts):
        return ",".join([*parts, ""])  # without a comma, Ansible splits !2001:db8::1
    return draw(st.sampled_from([":", ","])).join(parts)
