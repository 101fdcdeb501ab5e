"""``./inv image``: what would be built, building it, and bringing it to a registry."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rolecall.api import ConfigError
from rolecall.cli.flags import Flags
from rolecall.cli.project import Project
from roles.images import context
from roles.images.engine import Engine
from roles.images.recipe import Recipe, inventory_folder, read

#: Hexadecimal digits of the digest that are an image's tag.
_TAG = 16


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for; empty is the recipe's own."""

    recipe: str = "cpu"
    base: str = ""
    engine: str = ""
    wheels: str = ""
    network: str = ""
    push: str = ""
    build: bool = False

    def __post_init__(self) -> None:
        if self.push and not re.fullmatch(r"\w[\w.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+", self.push):
            raise ConfigError(
                f"--push {self.push!r} is not of the form REGISTRY/NAME",
                "such as registry.example:5000/team/rolecall-cpu; the tag is the content's",
            )


@dataclass(frozen=True)
class Image:
    """An image that is named after its content."""

    recipe: Recipe
    files: context.Context
    content: str

    @property
    def tag(self) -> str:
        """The start of the content's digest."""
        return self.content[:_TAG]

    @property
    def reference(self) -> str:
        """Its name here."""
        return f"localhost/rolecall-{self.recipe.name}:{self.tag}"


def image_of(project: Project, wanted: Wanted, flags: Flags) -> Image:
    """The image that the files and settings of this moment make.

    Raises:
        ConfigError: the recipe, an option or a file is wrong.
    """
    recipe = read(project, wanted.recipe, flags, wanted.base, wanted.engine)
    files = context.context(project.root, inventory_folder(project, flags), recipe)
    return Image(recipe, files, context.digest(files, recipe))


def run(project: Project, wanted: Wanted, flags: Flags) -> None:
    """Do what is asked; without ``build`` and ``push``, say what there is.

    Raises:
        RolecallError: it failed.
    """
    image = image_of(project, wanted, flags)
    engine = Engine(image.recipe.engine, image.recipe.client)
    is_there = engine.content(image.reference) == image.content
    if wanted.build:
        if is_there:
            print(f"ok       {image.reference} is there, and of the same content")
        else:
            _build(project, image, engine, wanted)
            print(f"changed  {image.reference}")
    elif wanted.push and not is_there:
        raise ConfigError(
            f"there is no {image.reference} to push",
            "build it first, or with the same command: --build --push",
        )
    elif not wanted.push:
        _show(image, engine, is_there=is_there)
    name = image.reference
    if wanted.push:
        name = f"{wanted.push}:{image.tag}"
        engine.push(image.reference, name)
        print(f"pushed   {name}")
    if wanted.build or wanted.push:
        print(f"next: {_next(image, name)}")


def _build(project: Project, image: Image, engine: Engine, wanted: Wanted) -> None:
    wheels = Path(wanted.wheels).expanduser() if wanted.wheels else None
    if wheels and not any(wheels.glob("*.whl")):
        raise ConfigError(
            f"--wheels: there are no wheels in {wheels}",
            "name the directory that holds them, such as wheels/ of a bundle",
        )
    project.state.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="image-", dir=project.state))
    try:
        context.write(image.files, folder, wheels)
        network = wanted.network or ("none" if wheels else "")
        arguments = context.arguments(image.recipe)
        engine.build(folder, image.reference, arguments, image.content, network)
    finally:
        shutil.rmtree(folder)


def _show(image: Image, engine: Engine, *, is_there: bool) -> None:
    size = sum(len(file.content) for file in image.files.values())
    print(f"{image.reference}: {'there' if is_there else 'not built'}")
    print(f"  from docker/{image.recipe.folder}, {len(image.files)} files, {size >> 10} KiB")
    print(f"  on {image.recipe.base}")
    if image.recipe.environments:
        print(f"  environments: {', '.join(image.recipe.environments)}")
    if image.recipe.packages:
        print(f"  packages: {image.recipe.packages}")
    if not is_there:
        print(f"next: ./inv image --build --recipe {image.recipe.name}  (with {engine.client})")


def _next(image: Image, name: str) -> str:
    if image.recipe.folder == "gpu":
        return f"./inv deploy --set runtime.image={name}"
    return f"{image.recipe.client} run -v rolecall:/data -p 8000:8000 {name}"
