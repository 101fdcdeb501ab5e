"""What a run costs, counted by the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rolecall.resource import Call, Resource
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from tests.integration.loop.acts import Act, exists
from tests.rig.sshd import Sshd
from tests.support import converge


def fifty(folder: Path) -> Iterator[Resource]:
    yield Directory(str(folder))
    for number in range(49):
        yield File(f"{folder}/file {number}", f"content {number} with 'quotes' and $dollars\n")


def test_a_first_run_of_fifty_resources_takes_one_connection_and_one_channel(
    sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    connections, channels = sshd.connections, sshd.channels
    resources = list(fifty(tmp_path / "made"))
    first = converge(resources, home, target=sshd.target())
    assert set(first.outcomes.values()) == {"changed"}, first.outcomes
    assert first.exchanges == 3  # the facts, all probes, all changes
    assert (sshd.connections - connections, sshd.channels - channels) == (1, 1)


def test_a_run_that_changes_nothing_takes_one_round_trip_over_one_channel(
    sshd: Sshd, tmp_path: Path, home: Path
) -> None:
    resources = list(fifty(tmp_path / "made"))
    converge(resources, home, target=sshd.target())
    connections, channels = sshd.connections, sshd.channels
    again = converge(resources, home, target=sshd.target())
    assert set(again.outcomes.values()) == {"ok"}
    assert again.exchanges == 1
    assert (sshd.connections - connections, sshd.channels - channels) == (1, 1)


def test_an_upload_shares_the_connection_of_its_run(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there"
    source.write_bytes(b"x" * 3_000_000)
    call = Call(lambda target: target.upload(source, str(there), "640"), "upload")
    connections = sshd.connections
    run = converge([Act("upload", exists(there), call)], home, target=sshd.target())
    assert run.outcomes == {"act:upload": "changed"}
    assert there.read_bytes() == source.read_bytes()
    assert sshd.connections - connections == 1
