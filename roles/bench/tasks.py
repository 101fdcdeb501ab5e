"""The task ``bench``."""

from __future__ import annotations

from collections.abc import Sequence

import invoke
from invoke.exceptions import Exit

from rolecall.cli.flags import from_arguments
from rolecall.cli.program import RolecallTask
from rolecall.cli.project import Project, reported
from rolecall.cli.tasks import task
from rolecall.errors import ConfigError

_HELP = {
    "concurrency": "Clients that ask at the same time, each again once it is answered: 1,4,16.",
    "rate": "Instead: requests a second that arrive by chance, however long answers take: 2,8.",
    "input": "Tokens of each prompt.",
    "output": "Tokens of each answer.",
    "requests": "Requests of each level. 0: four for each client, at least 20.",
    "duration": "Seconds during which requests of a level begin, instead of a number of them.",
    "warm_up": "Requests in front of each level that do not count; -1: one for each client.",
    "seed": "Of prompts and arrivals: the same seed asks the same.",
    "api": "triton (generate_stream of the ensemble) or openai (/v1/completions).",
    "against": "Compare with an earlier test: last, its id, or its file.",
    "plot": "Draw throughput and latencies to this file, .svg or .png.",
    "json": "The result as one line of JSON.",
}


def bench_task(project: Project) -> RolecallTask:
    """``bench``."""

    @task(
        help=_HELP,
        examples={
            "": "1, 4 and 16 clients, 128 tokens in and out",
            "--rate 0.5,1,2 --duration 60": "arrivals by chance, a minute each",
            "--concurrency 8 --against last": "compare with the test before",
            "--api openai --hosts gpu-1 --plot gpu-1.svg": "the OpenAI API of a host, drawn",
        },
        ends={
            1: "a request failed, or a host could not be asked",
            130: "interrupted; what was measured is kept",
        },
    )
    def bench(
        _: invoke.Context,
        concurrency: str = "1,4,16",
        rate: str = "",
        input: int = 128,  # noqa: A002
        output: int = 128,
        requests: int = 0,
        duration: str = "",
        warm_up: int = -1,
        seed: int = 0,
        api: str = "triton",
        against: str = "",
        plot: str = "",
        json: bool = False,
        hosts: str = "",
        inventory: str = "",
        set: Sequence[str] = (),  # noqa: A002
    ) -> None:
        """Measure what is served, under load, as its clients see it."""
        from roles.bench.run import Wanted
        from roles.bench.run import bench as run
        from roles.bench.workload import Workload, levels

        with reported(project.state, json=json):
            if api not in ("triton", "openai"):
                raise ConfigError(f"--api {api!r} is neither triton nor openai")
            if min(input, output) < 1 or requests < 0 or warm_up < -1:
                raise ConfigError("--input and --output are at least 1, --requests at least 0")
            workload = Workload(
                levels(concurrency, rate),
                input,
                output,
                requests,
                _seconds(duration),
                warm_up,
                seed,
                "openai" if api == "openai" else "triton",
            )
            status = run(project, from_arguments(locals()), workload, Wanted(against, plot, json))
        if status:
            raise Exit(code=status)

    return bench


def _seconds(text: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ConfigError(f"--duration {text!r} is no number of seconds, such as 60")
    return value
