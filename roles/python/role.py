"""The environments: the one that serves, and the tools, each with pinned, hashed wheels."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rolecall.api import (
    Directory,
    Host,
    PythonPackages,
    Resource,
    Skip,
    Venv,
    free_space,
    role,
)
from roles.bundle import places
from roles.bundle.needs import Need, Wheels
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.settings import Repo
from roles.server.settings import Server

_LOCKS = Path(__file__).parent / "locks"

#: MiB that the environment of each lock takes, with the wheels while they are unpacked.
_ROOM = {"cpu": 1200, "triton": 500, "vllm": 20000, "tools": 400, "front": 120}

#: Of each lock, the first release of Python that its wheels are not made for.
_BELOW = {"cpu": "3.13", "triton": "3.13", "vllm": "3.13", "tools": "3.15", "front": "3.15"}


def lock_text(settings: Python) -> str:
    """The serving environment's lock file: every package pinned, with hashes."""
    return lock_of(settings.lock)


def lock_of(name: str) -> str:
    """The text of a lock file, by the name of its environment; empty for ``none``."""
    return "" if name == "none" else (_LOCKS / f"{name}.txt").read_text()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lock_digest(host: Host) -> str:
    """A short digest of the lock file: the tool versions, as an input of artifacts."""
    return _digest(lock_text(host.settings(Python)))


def directory(host: Host) -> str:
    """Where the environments are on ``host``."""
    return host.settings(Python).directory or host.path("python")


def environment(host: Host) -> str:
    """The path of the serving environment on ``host``."""
    return f"{directory(host)}/{host.settings(Python).lock}"


def interpreter(host: Host) -> str:
    """The serving environment's own Python."""
    return f"{environment(host)}/bin/python"


def engine_interpreter(host: Host) -> str:
    """The Python of the engine's own process; empty where it has none."""
    settings = host.settings(Python)
    if settings.engine_interpreter or settings.engine_lock == "none":
        return settings.engine_interpreter
    return f"{directory(host)}/{settings.engine_lock}/bin/python"


def engine_digest(host: Host) -> str:
    """A short digest of the engine's environment, as an input of artifacts."""
    settings = host.settings(Python)
    return _digest(settings.engine_interpreter or lock_of(settings.engine_lock))


def needs_tools(host: Host) -> bool:
    """Whether anything that is set needs the environment of the tools."""
    fetches = host.settings(Model).kind != "pypi"
    return fetches or host.settings(Repo).kind in {"upstream", "llmapi"}


def tools_environment(host: Host) -> str:
    """The path of the tools on ``host``."""
    return f"{directory(host)}/tools"


def tools_python(host: Host) -> str:
    """The tools' own Python: it has the hubs' clients, tokenizers and Triton's protobufs."""
    return f"{tools_environment(host)}/bin/python"


def tools_digest(host: Host) -> str:
    """A short digest of the tools' versions, as an input of artifacts that depend on them."""
    return _digest(lock_of("tools"))


def needs_front(host: Host) -> bool:
    """Whether the OpenAI API is served by our own front."""
    return any(isinstance(one, Server) and one.has_front for one in host.all_settings.values())


def front_python(host: Host) -> str:
    """The Python of the OpenAI front's environment."""
    return f"{directory(host)}/front/bin/python"


def front_digest() -> str:
    """A short digest of the OpenAI front's environment."""
    return _digest(lock_of("front"))


def _needed(variable: str, what: str) -> str:
    return f"""
[ -x "${variable}" ] || {{
  echo "error: there is no {what}: ${variable} does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv python the environment alone"
  exit 1
}}
"""


#: Shell text at the start of a build that runs ``$PYTHON``: says so where there is none.
NEEDED = _needed("PYTHON", "serving environment")

#: The same for a build that runs the tools' Python as ``$TOOLS``.
TOOLS_NEEDED = _needed("TOOLS", "environment of the tools")


def environments(host: Host) -> dict[str, str]:
    """The paths of the environments that the settings need, by the names of their locks."""
    settings = host.settings(Python)
    paths: dict[str, str] = {}
    if settings.lock != "none":
        paths[settings.lock] = environment(host)
    if settings.engine_lock != "none" and not settings.engine_interpreter:
        paths[settings.engine_lock] = f"{directory(host)}/{settings.engine_lock}"
    if needs_tools(host):
        paths["tools"] = tools_environment(host)
    if needs_front(host):
        paths["front"] = f"{directory(host)}/front"
    return paths


def bundle_needs(host: Host) -> Iterator[Need]:
    """The wheels of every environment."""
    for name in environments(host):
        below = _BELOW[name]
        yield Wheels(name, lock_of(name), _release(host, below), host.facts.arch, below)


def _release(host: Host, below: str) -> str:
    """The release of Python that an environment will have; empty where only the host can say."""
    major, minor = host.facts.python_release
    first = host.settings(Python).interpreter.split(":")[0]
    if first != "python3" or not 10 <= minor < int(below.split(".")[1]):
        return ""
    return f"{major}.{minor}"


@role(Python)
def python(host: Host, settings: Python) -> Iterator[Resource | Skip]:
    """Make the environments that the settings need."""
    paths = environments(host)
    if not paths:
        yield Skip("venv:none", "what serves comes from elsewhere, and nothing needs the tools")
        return
    for name, path in paths.items():
        purpose = "environment" if name == settings.lock else f"environment {name}"
        marker = f"{path}/pyvenv.cfg"
        yield free_space(purpose, host.facts.state_dir, _ROOM[name], unless_exists=marker)
    yield Directory(directory(host))
    for name, path in paths.items():
        yield Venv(path, settings.interpreter, minimum="3.10", below=_BELOW[name])
        yield PythonPackages(path, lock_of(name), find_links=places.wheels(host))
