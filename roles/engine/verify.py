"""What has to hold of the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rolecall.api import Artifact, Host
from rolecall.verify.checks import AsDeclared
from roles.engine.role import artifact
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm.build import release
from roles.python.role import engine_interpreter, interpreter

#: The package whose version an engine's config.json names, by ``engine.kind``.
_BUILDERS = {"openvino": "openvino-genai", "vllm": "vllm"}

_VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def test_the_engine_is_there(host: Any, described: Host) -> None:
    """Built from these settings, for this machine: its path carries a digest of all that."""
    path = _engine(described).path
    assert host.file(f"{path}/config.json").is_file, (
        f"there is no engine of these settings: {path}\nnext: ./inv engine builds it"
    )


def test_every_file_of_the_engine_has_its_digest(described: Host, as_declared: AsDeclared) -> None:
    """Each file is read and compared with the manifest."""
    as_declared(_engine(described))


def test_the_engine_is_of_the_version_that_serves_it(host: Any, described: Host) -> None:
    """The server refuses an engine of another version, with a message that says little."""
    built = _built_with(host, f"{_engine(described).path}/config.json")
    serves = _serving_version(host, described)
    assert _same_release(built, serves), (
        f"the engine was built with version {built}, and {serves} serves it\n"
        "next: ./inv deploy builds it with the version that serves"
    )


def _engine(host: Host) -> Artifact:
    built = artifact(host)
    if built is None:
        pytest.skip("the server loads the model as it is: there is no engine")
    return built


def _built_with(host: Any, path: str) -> str:
    text = host.run("cat %s", path).stdout
    try:
        return str(json.loads(text)["version"])
    except (ValueError, KeyError, TypeError):
        raise AssertionError(
            f"{path} names no version\nnext: ./inv engine builds it anew"
        ) from None


def _serving_version(host: Any, described: Host) -> str:
    kind = described.settings(Engine).kind
    if kind == "tensorrt_llm":
        return release(described)
    python = engine_interpreter(described) if kind == "vllm" else interpreter(described)
    said = host.run("%s -I -c %s %s", python, _VERSION, _BUILDERS[kind])
    assert said.rc == 0, (
        f"{python} has no {_BUILDERS[kind]}: {said.stderr.strip()[-200:]}\n"
        "next: ./inv python installs it"
    )
    return str(said.stdout.strip())


def _same_release(built: str, serves: str) -> bool:
    """Whether one is the other, however many parts each of them tells."""
    ours, theirs = built.split("."), serves.split(".")
    shared = min(len(ours), len(theirs))
    return shared >= 2 and ours[:shared] == theirs[:shared]
