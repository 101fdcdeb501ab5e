"""The engine: the model, built for this kind of machine by OpenVINO GenAI."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import PositiveInt, model_validator

from rolecall.api import Artifact, Host, Resource, Settings, Tree, folder_files, free_space, role
from roles.model import role as models
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


class Engine(Settings):
    """Settings of the role ``engine``. Each is an input: another value is another engine."""

    quantization: Literal["q8_0", "f16"] = "q8_0"
    """How the weights are held."""

    arithmetic: Literal["exact", "fast"] = "exact"
    """``exact``: an answer does not depend on what else is in the batch. ``fast``: more tokens
    a second."""

    max_batch_size: PositiveInt = 64
    """Sequences in flight at the same time."""

    max_seq_len: PositiveInt = 2560
    """Tokens of a prompt and its answer together."""

    max_num_tokens: PositiveInt = 2560
    """Tokens of all sequences in one forward pass."""

    max_beam_width: PositiveInt = 1
    """Beams that one request may ask for."""

    @model_validator(mode="after")
    def _a_pass_holds_the_batch(self) -> "Engine":
        if self.max_num_tokens < self.max_batch_size:
            raise ValueError(
                f"max_num_tokens ({self.max_num_tokens}) must be at least max_batch_size "
                f"({self.max_batch_size}): every sequence in flight needs one token a pass"
            )
        return self


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
            ("FILE", host.settings(models.Model).file),
            ("FLAGS", " ".join(f"--{name} {value}" for name, value in flags.items())),
        ),
        build=_BUILD,
    )


@role(Engine)
def engine(host: Host, settings: Engine) -> Iterator[Resource]:
    """Build the engine, unless one was built from the same inputs."""
    built = artifact(host)
    yield free_space("engine", host.facts.state_dir, _ROOM, unless_exists=built.path)
    yield builder(host)
    yield built
