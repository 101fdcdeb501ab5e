#!/usr/bin/env python3
"""Makes a Triton model repository from upstream's own files, on the host.

    fill.py upstream --source FOLDER --output EMPTY --parameters JSON --engine DIR --tokenizer DIR
    fill.py llmapi --source FOLDER --output EMPTY --model-yaml TEXT --decoupled true|false
        --tokenizer DIR

The source is only read. What is made is ``models/``, the repository, and ``repository.json``,
which says what a client has to know: the ids that end and fill a sequence, whether the models are
decoupled, which parameters keep the backend's default. A failure that the user can do something
about is ``error: ...`` and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import engine_limits
import model_config
import placeholders
from errors import FillError
from token_ids import token_ids

#: Parameters that are directories as the server sees them.
DIRECTORIES = ("engine_dir", "tokenizer_dir")


def copied(source: Path, output: Path) -> list[str]:
    """Copy each model of ``source`` to ``output``; returns their names.

    Raises:
        FillError: there is none.
    """
    names = sorted(path.parent.name for path in source.glob("*/config.pbtxt"))
    if not names:
        raise FillError(
            f"{source} has no model: no folder in it has a config.pbtxt",
            "see repo.upstream.folder or repo.llmapi.folder, and the commit",
        )
    for name in names:
        shutil.copytree(source / name, output / name, ignore=shutil.ignore_patterns(".*"))
        (output / name / "1").mkdir(exist_ok=True)
    return names


def check_directories(values: Mapping[str, Any]) -> None:
    """Directories are absolute: others are looked for below tritonserver's own."""
    for name in DIRECTORIES:
        value = str(values.get(name, "/"))
        if not posixpath.isabs(value):
            raise FillError(
                f"{name} {value!r} is relative: it would be looked for below the directory that "
                "tritonserver happens to be started in",
                "leave it out, or give an absolute path",
            )


def upstream(options: argparse.Namespace) -> None:
    """Fill the templates of tensorrtllm_backend."""
    asked: dict[str, Any] = json.loads(options.parameters)
    exactly = bool(asked["exactly"])
    models = options.output / "models"
    names = copied(options.source, models)
    templates = {name: (models / name / "config.pbtxt").read_text() for name in names}
    found = {name: placeholders.parse(text) for name, text in templates.items()}
    known = set().union(*(placeholders.names(items) for items in found.values()))
    placeholders.refuse_unknown(asked["given"], known)
    must = set().union(*(placeholders.hard(items) for items in found.values()))
    values = {
        **{name: value for name, value in asked["defaults"].items() if name in must},
        **{name: value for name, value in asked["derived"].items() if name in known},
        **asked["given"],
    }
    if not exactly:
        check_directories(values)
    left: set[str] = set()
    for name, text in templates.items():
        filled, unfilled = placeholders.fill(text, values, name)
        (models / name / "config.pbtxt").write_text(filled)
        left |= unfilled
    configs = {name: model_config.read(models / name / "config.pbtxt") for name in names}
    if exactly:
        print("as published: the repository is not compared with the engine")
    else:
        engine_limits.check(configs, options.engine)
    write_description(
        options,
        {
            "kind": "upstream",
            "models": names,
            "decoupled": bool(configs["tensorrt_llm"].model_transaction_policy.decoupled),
            "filled": values,
            "unfilled": sorted(left),
        },
    )


def llmapi(options: argparse.Namespace) -> None:
    """Copy the model of the LLM API, with our model.yaml and a transaction policy.

    model.yaml's own ``decoupled`` reaches Triton only through the model's auto_complete_config,
    which is not called under --disable-auto-complete-config; the two have to agree.
    """
    models = options.output / "models"
    names = copied(options.source, models)
    decoupled = options.decoupled == "true"
    for name in names:
        path = models / name / "config.pbtxt"
        config = model_config.read(path)
        if not config.HasField("model_transaction_policy"):
            text = path.read_text().rstrip("\n")
            path.write_text(f"{text}\nmodel_transaction_policy {{ decoupled: {decoupled} }}\n")
        elif config.model_transaction_policy.decoupled != decoupled:
            raise FillError(f"{name}/config.pbtxt sets its own model_transaction_policy")
        model_config.read(path)
        (models / name / "1" / "model.yaml").write_text(options.model_yaml)
    write_description(options, {"kind": "llmapi", "models": names, "decoupled": decoupled})


def write_description(options: argparse.Namespace, said: Mapping[str, Any]) -> None:
    """Write repository.json."""
    ids = token_ids(options.tokenizer)
    if not ids:
        print(f"note: {options.tokenizer} does not say which token ends a sequence")
    path = options.output / "repository.json"
    path.write_text(json.dumps({**said, **ids}, indent=1) + "\n")


def main() -> int:
    """Parse the arguments and fill."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, function in (("upstream", upstream), ("llmapi", llmapi)):
        command = kinds.add_parser(kind)
        command.set_defaults(function=function)
        for name in ("--source", "--output", "--tokenizer"):
            command.add_argument(name, type=Path, required=True)
    kinds.choices["upstream"].add_argument("--parameters", required=True)
    kinds.choices["upstream"].add_argument("--engine", type=Path, required=True)
    kinds.choices["llmapi"].add_argument("--model-yaml", required=True)
    kinds.choices["llmapi"].add_argument("--decoupled", choices=("true", "false"), required=True)
    options = parser.parse_args()
    try:
        options.function(options)
    except FillError as error:
        print(f"error: {error}")
        if error.hint:
            print(f"  next: {error.hint}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
