"""The OpenAI front as a supervised service beside Triton, and what it is started from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rolecall.api import (
    Absent,
    Directory,
    File,
    Host,
    Resource,
    Service,
    ServiceGone,
    Skip,
    Tree,
    folder_files,
    http_ready,
)
from roles.engine import role as engines
from roles.model import role as models
from roles.python.role import front_digest, front_python
from roles.repo.role import repository
from roles.repo.settings import Repo
from roles.server.address import bracketed
from roles.server.openai.place import base_url, model_name
from roles.server.service import own_url
from roles.server.settings import Server

_PROGRAM = Path(__file__).with_name("front")

#: Seconds that the front is given to leave once its own timeout has passed.
_EXIT_MARGIN = 5


def program(host: Host) -> Tree:
    """The front, as it lies on the host: a folder with the package ``front``."""
    files = tuple((f"front/{name}", data) for name, data in folder_files(_PROGRAM, "*.py"))
    return Tree("openai-front", host.path("artifacts"), files)


def directory(host: Host) -> str:
    """The service's own directory."""
    return host.path("services", "openai")


def key_file(host: Host) -> str:
    """Where the key lies; only the user who deploys can read it."""
    return f"{directory(host)}/api_key"


def tokenizers(host: Host) -> tuple[str, ...]:
    """Directories with the tokenizer, the chat template and the limits of what is served."""
    engine = engines.artifact(host)
    return (*([engine.path] if engine else []), models.artifact(host).path)


def arguments(host: Host, address: str, triton: str, folders: Sequence[str]) -> tuple[str, ...]:
    """What the front is told on its command line, behind ``python -m front``.

    Args:
        host: whose settings hold.
        address: where it listens.
        triton: URL of Triton's HTTP API.
        folders: with the tokenizer.
    """
    settings, repo = host.settings(Server), host.settings(Repo)
    limit = repo.llmapi.max_seq_len if repo.kind == "llmapi" else None
    return (
        f"--address={address}",
        f"--port={settings.openai_port}",
        f"--triton={triton}",
        f"--model-name={model_name(host)}",
        *(f"--tokenizer={folder}" for folder in folders),
        *([f"--max-seq-len={limit}"] if limit else []),
        f"--stop-timeout={settings.stop_timeout}",
    )


def openai_service(host: Host) -> Service:
    """The front on ``host``."""
    settings = host.settings(Server)
    source, key = program(host), [key_file(host)] if settings.api_key else []
    said = arguments(host, settings.address, own_url(host), tokenizers(host))
    return Service(
        "openai",
        command=(
            *(front_python(host), "-B", "-m", "front", *said),
            *(f"--api-key-file={path}" for path in key),
        ),
        directory=directory(host),
        workdir=source.path,
        init=host.facts.init,
        env={"ROLECALL_ENVIRONMENT": front_digest()},
        files=tuple(key),
        listens=(f"{bracketed(settings.address)}:{settings.openai_port}",),
        requires=(front_python(host), source.path, repository(host).path, *key),
        ready=http_ready(f"{base_url(host).removesuffix('/v1')}/health", front_python(host)),
        ready_timeout=60,
        stop_timeout=settings.stop_timeout + _EXIT_MARGIN,
        log_max_bytes=settings.log_max_mib << 20,
        log_keep=settings.log_keep,
    )


def services(host: Host) -> list[Service]:
    """The services beside Triton."""
    return [openai_service(host)] if host.settings(Server).has_front else []


def resources(host: Host) -> Iterator[Resource | Skip]:
    """What role server declares for the OpenAI API; without it, that nothing is left of it."""
    settings = host.settings(Server)
    if not settings.has_front:
        yield ServiceGone("openai", directory(host))
        return
    yield program(host)
    yield Directory(directory(host), mode="700")
    if settings.api_key:
        yield File(key_file(host), f"{settings.api_key.get_secret_value()}\n", secret=True)
    else:
        yield Absent(key_file(host))
    yield openai_service(host)
