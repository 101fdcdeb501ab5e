"""The ids that end and fill a sequence, read from the host that serves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolecall.facts import Facts
from rolecall.resource import Observed
from rolecall.role import Host
from rolecall.targets.local import LocalTarget
from roles.server import talk
from roles.server.client import Sampling


@dataclass(frozen=True)
class Described:
    """As much of a repository as matters here."""

    description: str


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"end_id": 2, "pad_id": 0, "kind": "upstream"}, (2, 0)),
        ({"kind": "upstream"}, (None, None)),
        (None, (None, None)),
    ],
)
def test_they_come_from_the_repositorys_description(
    said: dict[str, object] | None,
    expected: tuple[int | None, int | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "it's/repository.json"
    path.parent.mkdir()
    if said is not None:
        path.write_text(json.dumps(said))
    monkeypatch.setattr(talk, "repository", lambda _: Described(str(path)))
    host = Host("localhost", Facts.parse(Observed.parse(f"state_dir={tmp_path}")), {})
    found = talk.asked_anew(LocalTarget("localhost"), host, Sampling(5))
    assert (found.end_id, found.pad_id) == expected
    assert found.max_tokens == 5
