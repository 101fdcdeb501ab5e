"""A controller in a process of its own, to be killed or stopped in the middle of its run.

Run with one argument: a JSON object with ``address`` (of :class:`rolecall.targets.ssh.Address`),
``patience``, ``home``, ``memory``, ``folder`` and ``what``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rolecall.jobs import detached
from rolecall.resource import Call
from rolecall.shell import quote
from rolecall.targets.ssh import Address, Patience, SshTarget
from tests.integration.loop.acts import Act, exists
from tests.support import converge


def job(folder: object) -> Act:
    """A detached job that counts its starts, prints, waits for ``go``, and prints again."""
    return Act("job", exists(f"{folder}/made"), detached("build", _work(folder)))


def step(folder: object) -> Act:
    """The same as a step of the run."""
    return Act("step", exists(f"{folder}/made"), _work(folder))


def idle(folder: object) -> Act:
    """A step of the controller's own, during which the host's shell waits for it."""
    sleep = Call(
        lambda target: target.execute(  # type: ignore[attr-defined]
            f"echo start >>{quote(f'{folder}/starts')}; exec sleep 1000 <&- >&- 2>&-"
        ),
        "sleep",
    )
    return Act("idle", exists(f"{folder}/made"), sleep)


def _work(folder: object) -> str:
    return (
        f"echo start >>{quote(f'{folder}/starts')}\necho working\n"
        f"until [ -e {quote(f'{folder}/go')} ]; do sleep 0.05; done\n"
        f"echo ready\n: >{quote(f'{folder}/made')}"
    )


WHAT = {"job": job, "step": step, "idle": idle}


def start(
    address: Address, home: Path, memory: Path, folder: object, what: str = "job"
) -> subprocess.Popen[bytes]:
    """Start a controller that converges ``what`` at ``address``."""
    said = {
        "address": {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "key_files": address.key_files,
            "known_hosts": [str(path) for path in address.known_hosts],
        },
        "patience": {"keepalive": address.patience.keepalive, "lost": address.patience.lost},
        "home": str(home),
        "memory": str(memory),
        "folder": str(folder),
        "what": what,
    }
    return subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(said)],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.DEVNULL,
    )


def main(text: str) -> None:
    """Converge what ``text`` says."""
    said = json.loads(text)
    address = said["address"]
    address["known_hosts"] = tuple(map(Path, address["known_hosts"]))
    target = SshTarget("node", Address(**address, patience=Patience(**said["patience"])))
    converge(
        [WHAT[said["what"]](said["folder"])],
        Path(said["home"]),
        target=target,
        memory=Path(said["memory"]),
    )


if __name__ == "__main__":
    main(sys.argv[1])
