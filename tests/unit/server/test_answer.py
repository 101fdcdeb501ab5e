"""What a deploy ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from rolecall.events import Stream
from rolecall.facts import Facts
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.run import HostResult
from rolecall.targets.local import LocalTarget
from roles.server.tasks import show_answer

PROJECT = Project(Path(__file__).parents[3], ("model", "server"))


@pytest.mark.parametrize("flags", [Flags(skip_tags="server"), Flags(tags="model")])
def test_a_deploy_that_leaves_the_server_out_asks_it_nothing(flags: Flags) -> None:
    # Without settings nothing could be asked: that would be an error.
    host = Host("here", Facts.parse(Observed.of({})), {})
    heard: list[object] = []
    stream = Stream([heard.append])
    show_answer(PROJECT, HostResult(LocalTarget("here"), host), stream, flags, changed=True)
    assert heard == []
