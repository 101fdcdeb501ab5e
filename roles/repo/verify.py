"""What has to hold of the model repository and the backends."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from rolecall.api import Host
from rolecall.verify.checks import AsDeclared
from roles.repo.model_config import problem
from roles.repo.role import backends, repository
from roles.repo.settings import Repo

_CONFIGS = "find %s/ -mindepth 2 -maxdepth 2 -name config.pbtxt"

# As Python's string.Template has them, which upstream fills its templates with.
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


def test_every_model_configuration_can_be_read(host: Any, described: Host) -> None:
    """Each config.pbtxt is parsed as a ModelConfig, as Triton does."""
    others = described.settings(Repo).kind != "inflight_batcher_llm"
    for path, text in _configurations(host, described).items():
        wrong = problem(text, further=others)
        assert not wrong, f"{path}: {wrong}\nnext: ./inv repo makes it anew"


def test_nothing_is_left_unfilled(host: Any, described: Host) -> None:
    """No ``${placeholder}``, but for those of upstream's templates that mean a default."""
    meant: set[str] = set()
    if about := repository(described).description:
        meant = set(json.loads(host.run("cat %s", about).stdout or "{}").get("unfilled", ()))
    for path, text in _configurations(host, described).items():
        left = sorted(set(_PLACEHOLDER.findall(_COMMENT.sub("", text))) - meant)
        assert not left, (
            f"{path} is not filled: there is still ${{{left[0]}}}\n"
            "next: ./inv repo makes it anew; with repo.kind upstream, see repo.upstream.parameters"
        )


def test_the_repository_is_as_made(described: Host, as_declared: AsDeclared) -> None:
    """Every file, by its digest."""
    as_declared(repository(described).made_by)


def test_the_backends_are_whole(described: Host, as_declared: AsDeclared) -> None:
    """Every file, by its digest."""
    own = backends(described)
    if own is None:
        pytest.skip("the runtime brings its own backends")
    as_declared(own)


def _configurations(host: Any, described: Host) -> dict[str, str]:
    """Every config.pbtxt, by its path."""
    path = repository(described).path
    found = host.run(_CONFIGS, path).stdout.split("\n")[:-1]
    assert found, f"there is no model in {path}\nnext: ./inv repo makes it"
    return {name: host.run("cat %s", name).stdout for name in sorted(found)}
