"""Real runs of the loop to report on: two hosts of this machine, which share one lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field, SecretStr

from rolecall.events import Message, Remain, RunDone, Stream
from rolecall.facts import FactsCache
from rolecall.inventory import load_inventory
from rolecall.jobs import detached
from rolecall.output.runlog import RunLog
from rolecall.resource import Resource, Skip
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.role import Host
from rolecall.rollout import Rollout
from rolecall.run import HostPlan, Options, new_run_id, run_hosts
from rolecall.settings import Override, RunnerSettings, Settings, resolve
from rolecall.targets.local import LocalTarget
from tests.integration.loop.acts import Act, exists

HOSTS = ("gpu-1", "gpu-2")

#: Given to the run in every way in which a secret can be given.
PLANTED = {
    "typed": "hf_PLANTED-typed-4711",
    "by reference": "PLANTED-by-reference-0815",
    "in a file": "PLANTED-in-a-file-1234",
    "in an address": "PLANTED-password-9876",
}

_FETCH = """
for done in 1 2 3 4 5 6 7 8; do
  printf '::progress {"label": "downloading", "done": %s, "total": 8000000, "unit": "B"}\\n' \\
    "${done}000000"
  sleep 0.15
done
echo "verified 8 MB with token @TOKEN@"
"""

_BUILD = """
echo 'layers: 24'
for done in 0 4 9 13 18 24; do
  printf '::progress {"label": "building", "done": %s, "total": 24, "unit": "layers"}\\n' "$done"
  sleep 0.3
done
echo 'engine written'
"""

_START = """
echo 'starting on port 8000'
echo "I0101 loading model with key @REFERENCE@"
echo 'E0101 failed to bind: Address already in use' >&2
exit 3
"""

CONFIG = "name: ensemble\nmax_batch_size: {batch}\ninstances: 1\nqueue: 500 us\nlog: info\n"


class Model(Settings):
    """Settings of a role in these runs."""

    source: str = "hf://example/tiny"
    token: SecretStr | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    mirror: str = ""
    max_batch_size: int = 8


def declared(folder: Path, batch: int, failing: Sequence[str]) -> list[tuple[str, Resource | Skip]]:
    """What is converged: a file that differs, two jobs, and a service that may not start."""
    fetched, built, up = (folder / name for name in ("fetched", "built", "up"))
    token, reference = PLANTED["typed"], PLANTED["by reference"]
    fetch = detached(f"model-{folder.name}", _FETCH.replace("@TOKEN@", token) + f": >'{fetched}'")
    build = detached(f"engine-{folder.name}", f"{_BUILD}: >'{built}'")
    start = _START.replace("@REFERENCE@", reference) if failing else f": >'{up}'"
    secret = replace(
        File(str(folder / "repo/key"), f"{PLANTED['in a file']}\n", mode="600"), secret=True
    )
    narrow = {"reading": frozenset({str(folder)}), "writing": frozenset({str(folder)})}
    return [
        ("system", Skip("package:none", "no package is asked for")),
        ("system", Directory(str(folder))),
        ("system", Directory(str(folder / "repo"))),
        ("model", Act("weights", exists(fetched), fetch, **narrow)),  # type: ignore[arg-type]
        ("engine", Act("engine", exists(built), build, **narrow)),  # type: ignore[arg-type]
        ("repo", File(str(folder / "repo/config.yaml"), CONFIG.format(batch=batch))),
        ("repo", secret),
        ("server", Act("server", exists(up), start, **narrow)),  # type: ignore[arg-type]
        ("server", File(str(folder / "repo/ready"), "yes\n")),
    ]


def _inventory(folder: Path, hosts: Sequence[str]) -> Path:
    place = folder / "inventory"
    (place / "group_vars").mkdir(parents=True, exist_ok=True)
    (place / "hosts.ini").write_text("".join(f"{host}\n" for host in hosts))
    typed, reference = folder / "typed", folder / "reference"
    typed.write_text(PLANTED["typed"])
    reference.write_text(PLANTED["by reference"])
    (place / "group_vars/all.yaml").write_text(
        f"""model:
  token: !file {typed}
  environment: {{KEY: !file {reference}}}
  mirror: https://me:{PLANTED["in an address"]}@hub.example/simple
"""
    )
    return place


def run(
    folder: Path,
    *,
    batch: int = 8,
    failing: Sequence[str] = (),
    check: bool = False,
    hosts: Sequence[str] = HOSTS,
) -> Path:
    """Converge both hosts and return the log of the run. ``failing`` hosts cannot start."""
    inventory = load_inventory(_inventory(folder, hosts))
    overrides = [
        Override(("rolecall", "home"), str(folder / "home")),
        Override(("model", "max_batch_size"), batch),
    ]
    types: dict[str, type[Settings]] = {"rolecall": RunnerSettings, "model": Model}
    plans: list[HostPlan] = []
    for host in hosts:
        resolved = resolve(types, inventory.layers(host), overrides)
        settings = {role: one.settings for role, one in resolved.items()}
        plans.append(HostPlan(LocalTarget(host), settings, resolved=resolved))
    run_id, began = new_run_id(), time.monotonic()
    log = RunLog(folder / "runs", run_id)
    stream = Stream([log])

    def what(host: Host) -> list[tuple[str, Resource | Skip]]:
        return declared(folder / host.name, batch, [name for name in failing if name == host.name])

    options = Options("deploy", check=check, diff=True, lock_wait=120, command="./inv deploy")
    cache = FactsCache(folder / "facts")
    run_hosts(plans, what, options, stream, cache, run_id, Rollout())
    if failing:
        stream.emit(Remain("", tuple(failing), "./inv deploy --hosts @failed"))
    stream.emit(Message("", f"the key is {PLANTED['by reference']}", "info"))
    stream.emit(RunDone("", "finished", time.monotonic() - began))
    stream.finish()
    return log.path
