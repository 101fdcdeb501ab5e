"""What has to hold of what the serving software runs in."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.api import Host
from rolecall.verify.checks import AsDeclared
from roles.python.role import interpreter
from roles.python.settings import Python
from roles.runtime.role import client, image, runtime, tritonserver
from roles.runtime.settings import Runtime

#: Where nvidia-pytriton 0.7.0 keeps the server's program.
_WHERE = "import importlib.util as u; print(u.find_spec('pytriton').submodule_search_locations[0])"


def test_triton_is_there(host: Any, described: Host) -> None:
    """The program, or the image that it is in."""
    settings = described.settings(Runtime)
    if settings.kind == "container":
        found = host.run("%s image inspect %s", client(described), image(described))
        assert found.rc == 0, (
            f"image {image(described)} is not here: {found.stderr.strip()[-200:]}\n"
            "next: ./inv runtime pulls or loads it"
        )
        return
    path = tritonserver(described)
    if settings.kind == "environment":
        if described.settings(Python).lock == "none":
            pytest.skip("python.lock is none: there is no serving environment")
        said = host.run("%s -I -c %s", interpreter(described), _WHERE)
        path = f"{said.stdout.strip()}/tritonserver/bin/tritonserver"
    there = host.run("test -x %s", path)
    assert there.rc == 0, f"there is no tritonserver at {path}\nnext: ./inv python puts it there"


def test_the_runtime_is_as_declared(described: Host, as_declared: AsDeclared) -> None:
    """Container engine, GPUs in containers, image, scripts: nothing that a deploy would change."""
    wanted = runtime.resources(described)
    if not wanted:
        pytest.skip("the serving environment is the runtime")
    as_declared(*wanted)
