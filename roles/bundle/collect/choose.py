"""Says which packages of a lock a machine needs, and which wheels it can install.

Runs with a Python that has pip, whose copy of ``packaging`` knows both. Reads JSON on standard
input: ``{"markers": [text, ...], "python": "3.12", "arch": ..., "platforms": [...],
"wheels": [name, ...]}``; answers ``{"meant": [bool, ...], "usable": [bool, ...]}``.
"""

from __future__ import annotations

import json
import sys

try:
    from packaging.markers import Marker
    from packaging.tags import compatible_tags, cpython_tags
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
except ImportError:
    from pip._vendor.packaging.markers import Marker  # type: ignore[assignment]
    from pip._vendor.packaging.tags import (  # type: ignore[assignment]
        compatible_tags,
        cpython_tags,
    )
    from pip._vendor.packaging.utils import (  # type: ignore[assignment]
        InvalidWheelFilename,
        parse_wheel_filename,
    )


def _environments(python: str, arch: str) -> list[dict[str, str]]:
    """Markers' variables there, with the first and the last patch release that there may be."""
    common = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": arch,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }
    return [
        {**common, "python_full_version": full, "implementation_version": full}
        for full in (f"{python}.0", f"{python}.99")
    ]


def main() -> None:
    """Answer the question on standard input."""
    asked = json.load(sys.stdin)
    environments = _environments(asked["python"], asked["arch"])
    version = tuple(int(part) for part in asked["python"].split("."))
    tags = set(cpython_tags(version, platforms=asked["platforms"]))
    interpreter = "cp" + "".join(map(str, version))
    tags.update(compatible_tags(version, interpreter, asked["platforms"]))

    def meant(marker: str) -> bool:
        return not marker or any(Marker(marker).evaluate(each) for each in environments)

    def usable(name: str) -> bool:
        try:
            return bool(parse_wheel_filename(name)[3] & tags)
        except InvalidWheelFilename:
            return False

    answer = {
        "meant": [meant(marker) for marker in asked["markers"]],
        "usable": [usable(name) for name in asked["wheels"]],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
