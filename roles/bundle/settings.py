"""Settings of the role ``bundle``."""

import re

from pydantic import field_validator

from rolecall.api import Settings


class Bundle(Settings):
    """Settings of the role ``bundle``: deploying where there is no network."""

    path: str = ""
    """The directory on the host that ``./inv bundle`` made. With it, wheels, models, checkouts,
    Debian packages and images come from there, and nothing is asked of any network."""

    apt_sources: tuple[str, ...] = ()
    """Where ``./inv bundle`` gets Debian packages from, as lines of sources.list. Empty: the
    sources of the machine that collects, if it has the release of the host; else that
    distribution's own archive."""

    client: str = ""
    """The program that ``./inv bundle`` has container images with. Empty: docker, else podman."""

    @field_validator("path")
    @classmethod
    def _path_can_be_said(cls, value: str) -> str:
        # apt and pip both take lists of addresses that blanks separate.
        if value and not re.fullmatch(r"/[^\s\[\]%#]+", value):
            raise ValueError("an absolute path without blanks and without any of [ ] % # is needed")
        return value.rstrip("/")
