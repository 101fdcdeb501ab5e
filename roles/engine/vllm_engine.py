"""The engine of a GPU without TensorRT-LLM: a checkpoint, and what vLLM is to serve of it."""

import json
from collections.abc import Iterator
from pathlib import Path

from rolecall.api import Artifact, ConfigError, Host, Resource, Tree, folder_files, free_space
from roles.engine.settings import Engine
from roles.engine.vllm_settings import VERSION
from roles.model import role as models
from roles.model.settings import Model
from roles.python.role import NEEDED, engine_digest, engine_interpreter, interpreter, lock_digest

_HERE = Path(__file__).parent
#: What this builder shares with that of OpenVINO: reading a GGUF.
_SHARED = ("errors.py", "gguf_source.py", "progress.py", "tokenizer_files.py")
_BUILD = f"""{NEEDED}
model=$USES_MODEL
[ -z "$FILE" ] || model=$model/$FILE
[ -e "$model" ] || {{
  echo "error: the model is not there: $model does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv model fetches the model alone"
  exit 1
}}
"$PYTHON" -B "$BUILDER/build.py" --model "$model" --output "$OUT" \
  --python "$ENGINE_PYTHON" --arguments "$ARGUMENTS" $FLAGS
"""

#: MiB that a build takes where a package's GGUF is converted; a checkpoint is only linked to.
_ROOM = 600


def builder(host: Host) -> Tree:
    """The program that builds, as it lies on the host."""
    shared = [file for file in folder_files(_HERE / "openvino", "*.py") if file[0] in _SHARED]
    own = folder_files(_HERE / "vllm", "*.py")
    return Tree("engine-builder", host.path("artifacts"), (*own, *shared))


def artifact(host: Host) -> Artifact:
    """The engine of ``host``: checkpoint, tokenizer, chat template and config.json.

    Raises:
        ConfigError: a setting asks for what vLLM does not do.
    """
    settings = host.settings(Engine)
    if settings.max_beam_width > 1:
        raise ConfigError(
            f"engine.max_beam_width: {settings.max_beam_width} is not possible with kind vllm",
            "leave it at 1, or choose another engine.kind",
        )
    if not engine_interpreter(host):
        raise ConfigError(
            "engine.kind vllm needs a Python that has vLLM",
            "set python.engine_lock to vllm, or python.engine_interpreter to one that has it",
        )
    flags = {
        "version": VERSION,
        "max-batch-size": str(settings.max_batch_size),
        "max-seq-len": str(settings.max_seq_len),
        "max-num-tokens": str(settings.max_num_tokens),
    }
    model = host.settings(Model)
    arguments = json.dumps(settings.vllm.arguments(), sort_keys=True)
    return Artifact(
        "engine",
        host.path("artifacts"),
        inputs=(
            *flags.items(),
            ("arguments", arguments),
            ("builder", builder(host).digest),
            ("environment", lock_digest(host)),
            ("engine-environment", engine_digest(host)),
        ),
        uses=(models.artifact(host),),
        variables=(
            ("PYTHON", interpreter(host)),
            ("ENGINE_PYTHON", engine_interpreter(host)),
            ("BUILDER", builder(host).path),
            ("FILE", model.file if model.kind == "pypi" else ""),
            ("ARGUMENTS", arguments),
            ("FLAGS", " ".join(f"--{name} {value}" for name, value in flags.items())),
        ),
        build=_BUILD,
    )


def resources(host: Host) -> Iterator[Resource]:
    """What the role declares for this kind."""
    built = artifact(host)
    yield free_space("engine", host.facts.state_dir, _ROOM, unless_exists=built.path)
    yield builder(host)
    yield built
