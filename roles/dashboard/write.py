"""``./inv dashboard``: write the files, those that differ."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.errors import RolecallError
from roles.dashboard.grafana import dashboard
from roles.dashboard.rules import rules
from roles.dashboard.scrape import Scraped, scrape_config, scraped_hosts


def write_dashboard(project: Project, flags: Flags, folder: Path) -> None:
    """Write all files into ``folder``, and say what became of each and what to know.

    Raises:
        ConfigError: the inventory or a setting is wrong.
        RolecallError: a file cannot be written.
    """
    hosts = scraped_hosts(project, flags)
    for name, text in files(hosts).items():
        print(f"{_write(folder / name, text):<8} {folder / name}")
    for host in hosts:
        if host.note:
            print(f"{host.host}: {host.note}")


def files(hosts: Sequence[Scraped]) -> dict[str, str]:
    """The text of each file; the same hosts give the same bytes."""
    notes = "".join(f"# {host.host}: {host.note}\n" for host in hosts if host.note)
    return {
        "prometheus.yml": f"{_MADE}{notes}{_yaml(scrape_config(hosts))}",
        "rules.yml": f"{_MADE}{_yaml(rules())}",
        "grafana.json": json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n",
    }


_MADE = "# Made by ./inv dashboard, which writes it anew.\n"


def _yaml(data: object) -> str:
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return text


def _write(path: Path, text: str) -> str:
    """``ok`` where the file has that text already, else ``changed``."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return "ok"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except (OSError, UnicodeDecodeError) as error:
        raise RolecallError(f"{path} cannot be written: {error}", "name another --out") from error
    return "changed"
