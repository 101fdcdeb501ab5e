"""The engine of a machine without a GPU, as an artifact: OpenVINO IR made from a GGUF."""

from collections.abc import Iterator
from pathlib import Path

from rolecall.api import Artifact, Host, Resource, Tree, folder_files, free_space
from roles.engine.settings import Engine
from roles.model import role as models
from roles.model.settings import Model
from roles.python.role import NEEDED, interpreter, lock_digest

_BUILDER = Path(__file__).parent / "openvino"
_BUILD = f"""{NEEDED}
[ -e "$USES_MODEL/$FILE" ] || {{
  echo "error: the model is not there: $USES_MODEL/$FILE does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv model fetches the model alone"
  exit 1
}}
"$PYTHON" -B "$BUILDER/build.py" --gguf "$USES_MODEL/$FILE" --output "$OUT" $FLAGS
"""

#: MiB that a build takes beyond the model: two intermediate copies and the engine itself.
_ROOM = 1000


def builder(host: Host) -> Tree:
    """The program that builds, as it lies on the host."""
    return Tree("engine-builder", host.path("artifacts"), folder_files(_BUILDER, "*.py"))


def artifact(host: Host) -> Artifact:
    """The engine of ``host``: OpenVINO IR, tokenizer, chat template and config.json."""
    settings = host.settings(Engine)
    flags = {
        "quantization": settings.quantization,
        "arithmetic": settings.arithmetic,
        "max-batch-size": str(settings.max_batch_size),
        "max-seq-len": str(settings.max_seq_len),
        "max-num-tokens": str(settings.max_num_tokens),
        "max-beam-width": str(settings.max_beam_width),
    }
    return Artifact(
        "engine",
        host.path("artifacts"),
        inputs=(
            *flags.items(),
            ("builder", builder(host).digest),
            ("environment", lock_digest(host)),
            ("arch", host.facts.arch),
        ),
        uses=(models.artifact(host),),
        variables=(
            ("PYTHON", interpreter(host)),
            ("BUILDER", builder(host).path),
            ("FILE", host.settings(Model).file),
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
