"""The role of the benchmark."""

from collections.abc import Iterator
from pathlib import Path

from rolecall.api import Directory, File, Host, Resource, Settings, Symlink, Template, role
from roles.state.wanted import DIRECTORIES, FILES, LINKS, TEMPLATES

UNIT = Path(__file__).with_name("unit.conf.j2")


class State(Settings):
    """Where the tree is made."""

    root: str
    """An existing directory."""


@role(State)
def state(host: Host, settings: State) -> Iterator[Resource]:
    """A tree of directories, files, rendered files and links."""
    root = settings.root
    for item in DIRECTORIES:
        yield Directory(f"{root}/{item['path']}", mode=item["mode"])
    for item in FILES:
        yield File(f"{root}/{item['path']}", item["content"], mode=item["mode"])
    for item in TEMPLATES:
        variables = {"instance": item["instance"], "listen": item["listen"]}
        yield Template(f"{root}/{item['path']}", UNIT, variables, mode=item["mode"])
    for item in LINKS:
        yield Symlink(f"{root}/{item['path']}", item["target"])
