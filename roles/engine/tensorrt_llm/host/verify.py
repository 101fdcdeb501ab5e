"""Runs in the runtime: is its TensorRT-LLM the expected one, and is what was built whole?

``verify.py release VERSION`` before anything heavy, ``verify.py engine FOLDER WORLD_SIZE`` after
it. Reads metadata only: importing tensorrt_llm takes half a minute and a GPU. Standard library
only, on any Python from 3.8.
"""

import json
import os
import sys
from importlib import metadata


def fail(message: str, hint: str) -> int:
    """Say what is wrong and what to do; the exit status."""
    print(f"error: {message}\n  next: {hint}")
    return 1


def installed() -> str:
    """The version of the runtime's TensorRT-LLM; empty where it has none."""
    try:
        return metadata.version("tensorrt_llm")
    except metadata.PackageNotFoundError:
        return ""


def release(expected: str) -> int:
    """The runtime has the TensorRT-LLM whose flags are used."""
    found = installed()
    if not found:
        return fail(
            "the runtime has no TensorRT-LLM",
            "use an image whose tag has trtllm in it (tensorrtllm_backend issue 231)",
        )
    if found != expected:
        return fail(
            f"the runtime has TensorRT-LLM {found}; the flags are those of {expected}",
            f"set engine.tensorrt_llm.version to {found}, or runtime.triton to the release that "
            f"has {expected}",
        )
    return 0


def engine(folder: str, world_size: int) -> int:
    """The engine's config.json is of this TensorRT-LLM, and for this many GPUs."""
    path = os.path.join(folder, "config.json")
    try:
        with open(path) as file:
            config = json.load(file)
        version = str(config["version"])
        mapping = config["pretrained_config"]["mapping"]
        config["build_config"]["max_batch_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return fail(
            f"{path} is no engine's: {type(error).__name__} {error}",
            "the engine was built by a TensorRT-LLM older than 0.6, or the build was cut off",
        )
    found = installed()
    if found and version != found:
        return fail(
            f"the engine was built by TensorRT-LLM {version}; the runtime that is to load it has "
            f"{found}, which refuses it ('Version tag does not match')",
            "build with the trtllm-build of the serving image (tensorrtllm_backend issues 190, "
            "194, 299; TensorRT-LLM issue 1695)",
        )
    ranks = int(mapping.get("world_size", mapping["tp_size"] * mapping["pp_size"]))
    if ranks != world_size:
        return fail(
            f"the engine is for {ranks} GPUs, tp_size times pp_size is {world_size}",
            "set engine.tensorrt_llm.tp_size and pp_size, and leave the flags out",
        )
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "release":
        sys.exit(release(sys.argv[2]))
    sys.exit(engine(sys.argv[2], int(sys.argv[3])))
