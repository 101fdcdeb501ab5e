"""The bundle of the benchmark; ``node`` and ``repo`` are bundlewrap's."""

import importlib.util
from pathlib import Path

_path = Path(repo.path) / "bundles" / "state" / "wanted.py"  # noqa: F821
_spec = importlib.util.spec_from_file_location("wanted", _path)
wanted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wanted)

root = node.metadata.get("root")  # noqa: F821

directories = {
    f"{root}/{item['path']}": {"mode": item["mode"], "owner": None, "group": None}
    for item in wanted.DIRECTORIES
}

files = {
    f"{root}/{item['path']}": {
        "content": item["content"],
        "mode": item["mode"],
        "owner": None,
        "group": None,
    }
    for item in wanted.FILES
} | {
    f"{root}/{item['path']}": {
        "source": "unit.conf",
        "content_type": "mako",
        "context": {"instance": item["instance"], "listen": item["listen"]},
        "mode": item["mode"],
        "owner": None,
        "group": None,
    }
    for item in wanted.TEMPLATES
}

symlinks = {
    f"{root}/{item['path']}": {"target": item["target"], "owner": None, "group": None}
    for item in wanted.LINKS
}
