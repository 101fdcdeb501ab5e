"""Checkpoint and engine, as artifacts: made inside the runtime, from a model and settings."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from rolecall.api import (
    Artifact,
    ConfigError,
    Directory,
    GitCheckout,
    Host,
    Resource,
    Tree,
    folder_files,
    free_space,
    quote,
    words,
)
from roles.bundle import places
from roles.engine.settings import Engine
from roles.engine.tensorrt_llm import diagnose
from roles.engine.tensorrt_llm.command import Command, build_command, checkpoint_command
from roles.engine.tensorrt_llm.settings import TensorrtLlm
from roles.engine.tensorrt_llm.tables import Table, table
from roles.model import role as models
from roles.runtime import role as runtimes
from roles.runtime.settings import Runtime

_HOST = Path(__file__).parent / "host"

#: MiB that checkpoint and engine take at least; role preflight knows better, from the model.
_ROOM = 2000

#: Compute capability from which a GPU computes in FP8 (NVIDIA Ada).
_FP8 = (8, 9)

# How a step is watched is no input of what it makes: another text of it rebuilds nothing.
_BEGIN = 'eval "$IN_RUNTIME"\n. "$STEPS/steps.sh"\n. "$STEPS/diagnose.sh"\n'


def steps(host: Host) -> Tree:
    """What watches, explains and checks the steps, as it lies on the host."""
    explained = ("diagnose.sh", diagnose.script().encode())
    files = (*folder_files(_HOST, "*"), explained)
    return Tree("engine-steps", host.path("artifacts"), files)


def settings_of(host: Host) -> TensorrtLlm:
    """The settings of this kind of engine."""
    return host.settings(Engine).tensorrt_llm


def release(host: Host) -> str:
    """The TensorRT-LLM of the runtime: it builds the engine, and it will serve it."""
    if chosen := settings_of(host).version:
        return chosen
    if host.settings(Runtime).kind == "installed" and host.fact("runtime.tensorrt_llm"):
        return host.fact("runtime.tensorrt_llm")
    return runtimes.row(host).tensorrt_llm


def tables(host: Host) -> tuple[Table, Table]:
    """What is known of the tools: ``trtllm-build``, and the examples' converter."""
    build = table(release(host))
    return build, table(settings_of(host).examples or build.version)


def commands(host: Host) -> tuple[Command, Command]:
    """The commands that make the checkpoint and the engine.

    Raises:
        ConfigError: a setting has no flag in its version.
    """
    settings = settings_of(host)
    build, examples = tables(host)
    try:
        return checkpoint_command(settings, examples), build_command(settings, build)
    except ValueError as error:
        raise ConfigError(
            f"engine.tensorrt_llm: {error}", "./inv settings engine explains each setting"
        ) from error


def sources(host: Host) -> GitCheckout | None:
    """The checkout that the examples come from; None where the runtime has them."""
    settings = settings_of(host)
    if settings.examples_path:
        return None
    commit = settings.commit or tables(host)[1].commit
    path = host.path("sources", f"TensorRT-LLM-{commit[:12]}-examples")
    pack = places.pack(host, settings.repository, commit)
    return GitCheckout(path, settings.repository, commit, pack=pack, folders=("examples",))


def checkpoint(host: Host) -> Artifact:
    """The model in TensorRT-LLM's own form: config.json and a file for each rank."""
    settings, command = settings_of(host), commands(host)[0]
    checkout = sources(host)
    examples = f"{checkout.path}/examples" if checkout else settings.examples_path
    program = posixpath.join(examples, command.program)
    arguments = words(command.words)
    return Artifact(
        "checkpoint",
        host.path("artifacts"),
        inputs=(
            ("command", f"{command.program} {arguments}"),
            ("examples", checkout.commit if checkout else settings.examples_path),
            ("runtime", runtimes.version(host)),
        ),
        uses=(models.artifact(host),),
        variables=(*_variables(host), ("PROGRAM", program)),
        build=f"""{_BEGIN}
[ -d "$USES_MODEL" ] || {{
  echo "error: the model is not there: $USES_MODEL does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv model fetches the model alone"
  exit 1
}}
in_runtime python3 "$STEPS/verify.py" release "$RELEASE"
rc_step checkpoint {settings.world_size} {quote(command.done)} \\
  python3 "$PROGRAM" --model_dir "$USES_MODEL" --output_dir "$OUT" {arguments}
rc_ranks {settings.world_size} safetensors
""",
    )


def artifact(host: Host) -> Artifact:
    """The engine: config.json and a file for each rank, for this kind of GPU."""
    settings, command = settings_of(host), commands(host)[1]
    arguments = words(command.words)
    return Artifact(
        "engine",
        host.path("artifacts"),
        inputs=(
            ("command", f"trtllm-build {arguments}".strip()),
            ("runtime", runtimes.version(host)),
            ("tensorrt_llm", release(host)),
            ("compute_capability", host.fact("gpu.compute_capability") or "unknown"),
        ),
        uses=(checkpoint(host),),
        variables=_variables(host),
        build=f"""{_BEGIN}
[ -r "$USES_CHECKPOINT/config.json" ] || {{
  echo "error: the checkpoint is not there: $USES_CHECKPOINT/config.json does not exist"
  echo "  next: ./inv engine makes it"
  exit 1
}}
in_runtime python3 "$STEPS/verify.py" release "$RELEASE"
rc_step engine {settings.world_size} {quote(command.done)} \\
  trtllm-build --checkpoint_dir "$USES_CHECKPOINT" --output_dir "$OUT" {arguments}
rc_ranks {settings.world_size} engine
in_runtime python3 "$STEPS/verify.py" engine "$OUT" {settings.world_size}
""",
    )


def _variables(host: Host) -> tuple[tuple[str, str], ...]:
    quantized = posixpath.dirname(settings_of(host).quantized_checkpoint)
    mounts = (quantized,) if quantized else ()
    return (
        ("IN_RUNTIME", runtimes.in_runtime(host, mounts)),
        ("STEPS", steps(host).path),
        ("RELEASE", release(host)),
    )


def _check_gpu(host: Host, settings: TensorrtLlm) -> None:
    capability = host.fact("gpu.compute_capability")
    if "fp8" not in {settings.quantization, settings.kv_cache_dtype} or not capability:
        return
    if tuple(int(part) for part in capability.split(".")) < _FP8:
        raise ConfigError(
            f"engine.tensorrt_llm: FP8 needs GPUs of compute capability 8.9 or newer; those of "
            f"{host.name} have {capability}",
            "set quantization and kv_cache_dtype to int8, int4_awq or auto",
        )


def resources(host: Host) -> Iterator[Resource]:
    """What the role declares for this kind.

    Raises:
        ConfigError: the settings do not go with the pinned version or with the GPUs.
    """
    settings = settings_of(host)
    _check_gpu(host, settings)
    built = artifact(host)
    yield free_space("engine", host.facts.state_dir, _ROOM, unless_exists=built.path)
    if checkout := sources(host):
        yield Directory(host.path("sources"))
        yield checkout
    yield steps(host)
    yield checkpoint(host)
    yield built
