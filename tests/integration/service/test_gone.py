"""A service that the settings no longer have."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.resources.service import Service, ServiceGone
from rolecall.testing import converge, settled


def test_it_is_stopped_and_removed_once(tmp_path: Path) -> None:
    home, directory = tmp_path / "home", tmp_path / "sleeper"
    service = Service("sleeper", command=("/bin/sleep", "1000"), directory=str(directory))
    gone = ServiceGone("sleeper", str(directory))
    assert converge([gone], home).outcomes == {gone.id: "ok"}  # it was never there
    converge([service], home)
    pid = int((directory / "running").read_text().split(":")[1])
    assert converge([gone], home, check=True).outcomes == {service.id: "would change"}
    assert Path(f"/proc/{pid}").exists()
    assert converge([gone], home).outcomes == {service.id: "changed"}
    assert not directory.exists() and not Path(f"/proc/{pid}").exists()
    settled([gone], home)


def test_the_supervisor_takes_nothing_of_the_runs_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "sk-planted")
    home, directory = tmp_path / "home", tmp_path / "sleeper"
    converge([Service("sleeper", command=("/bin/sleep", "1000"), directory=str(directory))], home)
    pids = [
        str((directory / "supervisor").readlink()).split(":")[1],
        (directory / "running").read_text().split(":")[1],
    ]
    try:
        for pid in pids:
            assert b"sk-planted" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        converge([ServiceGone("sleeper", str(directory))], home)
