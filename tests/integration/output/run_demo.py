"""A real run of a few resources: FOLDER, MODE and VARIANT come as arguments."""

from __future__ import annotations

import sys
from pathlib import Path

from rolecall.events import Message, Stream
from rolecall.facts import FactsCache
from rolecall.output import Mode, listeners, pipe_closed
from rolecall.resource import Resource, Skip
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.role import Host
from rolecall.run import HostPlan, Options, new_run_id, run_hosts
from rolecall.settings import RunnerSettings
from rolecall.targets.local import LocalTarget

WORK = r"""
for i in 1 2 3 4 5 6; do
  printf '::progress {"label": "weights", "done": %s, "total": 6, "unit": "layers"}\n' $i
  sleep 0.15
done
printf '\033]0;EVIL\007 done \033[31mred\n'
"""


def resources(folder: Path, variant: str) -> list[tuple[str, Resource | Skip]]:
    made = folder / "made"
    declared: list[tuple[str, Resource | Skip]] = [
        ("system", Directory(str(folder / "tree"))),
        *(("system", File(str(folder / f"tree/f{i}"), f"{i}\n")) for i in range(5)),
        ("engine", Command("build", f"{WORK}\ntouch '{made}'", creates=str(made))),
        ("repo", File(str(folder / "config"), "batch 8\n" if variant == "plan" else "batch 4\n")),
    ]
    if variant == "fail":
        failing = Command("serve", "echo port in use >&2; exit 3", creates=str(folder / "none"))
        declared.append(("server", failing))
    return declared


def main(folder: Path, mode: Mode, variant: str) -> int:
    run, check = new_run_id(), variant == "plan"
    stream = Stream(listeners(mode, 0, folder / "runs", run))
    plan = HostPlan(LocalTarget(), {"rolecall": RunnerSettings(home=str(folder / "home"))})

    def what(host: Host) -> list[tuple[str, Resource | Skip]]:
        return resources(folder, variant)

    options = Options("deploy", check=check, diff=check)
    try:
        try:
            run_hosts([plan], what, options, stream, FactsCache(folder / "facts"), run)
            stream.emit(Message("", "Try: ./inv chat", "good"))
        finally:
            stream.finish()
    except BrokenPipeError:
        return pipe_closed()
    except KeyboardInterrupt:
        return 130
    return int(stream.recap.failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))  # type: ignore[arg-type]
