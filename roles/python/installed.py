"""What is in a Python environment, found out by its own interpreter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall.resources.python_packages import pins

# The sizes are those of RECORD (PyPA, "Recording installed projects"); what is compiled
# is written anew where its source seems newer.
_ASK = r"""
import importlib.metadata, json, os, platform, re, sys
packages, damaged = {}, []
for found in importlib.metadata.distributions():
    name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
    packages.setdefault(name, []).append(found.version)
    for file in found.files or ():
        path = str(found.locate_file(file))
        if path.endswith(".pyc"):
            continue
        try:
            size = os.stat(path).st_size
        except OSError:
            damaged.append("%s: %s is missing" % (name, file))
            continue
        if file.size is not None and file.size != size:
            damaged.append("%s: %s has %d bytes, and had %d" % (name, file, size, file.size))
release = "%d.%d" % sys.version_info[:2]
print(json.dumps({"packages": packages, "damaged": damaged, "prefix": sys.prefix, "markers": {
    "implementation_name": sys.implementation.name,
    "implementation_version": platform.python_version(),
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": release,
    "sys_platform": sys.platform,
}}))
"""


@dataclass(frozen=True)
class Environment:
    """An environment.

    Attributes:
        error: why its interpreter does not work; empty where it does.
        packages: the versions that are installed of each package; more than one is a mistake.
        damaged: files that are not as they were installed, a line each.
        markers: what environment markers are evaluated with.
    """

    path: str
    error: str = ""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    markers: Mapping[str, str] = field(default_factory=dict)

    def other_versions(self, lock: str) -> Iterator[str]:
        """What of a lock is not there, or in another version, a line each."""
        from packaging.markers import Marker

        wanted: dict[str, str] = {}
        for pin in pins(lock):
            if not pin.marker or Marker(pin.marker).evaluate(dict(self.markers)):
                wanted[pin.name] = pin.version
        for name, version in wanted.items():
            there = self.packages.get(name, ())
            if [_plain(one) for one in there] != [_plain(version)]:
                is_ = " and ".join(there) or "not there"
                yield f"{name} is {is_}, and should be {version}"


def environment_of(host: Any, path: str) -> Environment:
    """Ask the interpreter of the environment at ``path``."""
    asked = host.run("%s -I -c %s", f"{path}/bin/python", _ASK)
    if asked.rc != 0:
        said = asked.stderr.strip().splitlines() or [f"python ends with status {asked.rc}"]
        return Environment(path, error=said[-1])
    found = json.loads(asked.stdout)
    return Environment(
        path,
        "" if found["prefix"] == path else f"its prefix is {found['prefix']}",
        {name: tuple(versions) for name, versions in found["packages"].items()},
        tuple(found["damaged"]),
        found["markers"],
    )


def _plain(version: str) -> str:
    return version.lower().replace("-", "_")
