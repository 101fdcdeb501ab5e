"""Where things lie in a bundle: what the roles ask when they deploy from one.

Each answers with an empty string where the host has a network to take things from.
"""

from __future__ import annotations

import posixpath
import re

from rolecall.api import Artifact, Host
from roles.bundle.needs import plain, short
from roles.bundle.settings import Bundle

#: The list of pieces, and the digests of all files.
PIECES, SUMS, MANIFEST = "pieces", "SHA256SUMS", "manifest.json"


def packages_folder(release: str, arch: str) -> str:
    """The flat repository of a release such as ``debian-12``."""
    return f"packages/{plain(release)}-{arch}"


def pack_file(repository: str, commit: str) -> str:
    """The pack of a commit."""
    name = re.sub(r"\.git$", "", repository.rstrip("/")).rpartition("/")[2]
    return f"git/{plain(name)}-{commit}.pack"


def image_file(reference: str, arch: str) -> str:
    """The archive of an image."""
    return f"images/{plain(reference.rpartition('/')[2])}-{short(reference)}-{arch}.tar"


def model_folder(artifact: Artifact) -> str:
    """The files of a model."""
    return f"models/{artifact.title}-{artifact.digest}"


def path(host: Host) -> str:
    """The bundle on ``host``; empty where it has a network."""
    for settings in host.all_settings.values():
        if isinstance(settings, Bundle):
            return settings.path
    return ""


def wheels(host: Host) -> str:
    """The directory with the wheels."""
    return _inside(host, "wheels")


def packages(host: Host) -> str:
    """The flat repository of Debian packages for ``host``."""
    facts = host.facts
    return _inside(host, packages_folder(f"{facts.os_id}-{facts.os_version}", facts.arch))


def pack(host: Host, repository: str, commit: str) -> str:
    """The pack of a commit."""
    return _inside(host, pack_file(repository, commit))


def image(host: Host, reference: str) -> str:
    """The archive of an image."""
    return _inside(host, image_file(reference, host.facts.arch))


def model(host: Host, artifact: Artifact) -> str:
    """The directory with a model's files."""
    return _inside(host, model_folder(artifact))


def _inside(host: Host, name: str) -> str:
    bundle = path(host)
    return posixpath.join(bundle, name) if bundle else ""
