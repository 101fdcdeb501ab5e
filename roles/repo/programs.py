"""The programs that make repositories from upstream's files, as they lie on the host."""

from pathlib import Path

from rolecall.api import Host, Tree, folder_files

_FILL = Path(__file__).parent / "fill"


def programs(host: Host) -> Tree:
    """They run with the tools' Python (roles/python/locks/tools.in)."""
    return Tree("repo-programs", host.path("artifacts"), folder_files(_FILL, "*.py"))
