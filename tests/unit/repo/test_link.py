"""Where ``repo.link`` leads."""

from __future__ import annotations

import pytest

from rolecall.errors import ConfigError
from rolecall.resource import Observed, Refuse, Script
from roles.repo.link import RepositoryLink, target
from roles.repo.settings import Repo

REPOSITORY = "/workspace/rolecall/artifacts/repo/0123"


def test_on_one_volume_the_link_is_relative_so_that_it_holds_wherever_that_is_mounted() -> None:
    assert target("/workspace/inflight_batcher_llm", REPOSITORY) == "rolecall/artifacts/repo/0123"
    assert target("/workspace/a/b", REPOSITORY) == "../rolecall/artifacts/repo/0123"


def test_elsewhere_it_is_absolute() -> None:
    assert target("/models", REPOSITORY) == REPOSITORY
    assert target("/srv/models", REPOSITORY) == REPOSITORY


def test_what_is_no_link_is_left_alone() -> None:
    link = RepositoryLink("/models", REPOSITORY)
    refused = link.apply(Observed.parse("type=directory"))
    assert isinstance(refused, Refuse)
    assert "repo.link: /models is there already, and it is a directory" in refused.reason
    for there in ("type=absent", "type=symlink\ntarget=/elsewhere"):
        assert isinstance(link.apply(Observed.parse(there)), Script)


def test_a_path_that_depends_on_where_one_stands_is_no_setting() -> None:
    for path in ("/models", "~/models", ""):
        assert Repo(link=path).link == path
    with pytest.raises((ValueError, ConfigError), match="not an absolute path"):
        Repo(link="models")
