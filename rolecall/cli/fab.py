"""``./fab``: fabric's command line in front of the same tasks.

``fab -H a,b TASK`` is ``inv TASK --hosts a,b`` with fabric's way to log in (``-i``, ``-S``, the
password prompts, ssh_config). The hosts are run together, by Rolecall, rather than the task once
for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fabric
import invoke
from fabric.main import Fab
from invoke.exceptions import Exit

from rolecall import __version__
from rolecall.cli.program import RolecallProgram, RolecallTask


class HostsExecutor(fabric.Executor):  # type: ignore[misc]
    """Hands the hosts of ``-H`` to a task that chooses hosts itself; others run as fabric does."""

    def expand_calls(self, calls: Sequence[Any], apply_hosts: bool = True) -> list[Any]:
        """Fabric's calls, with one call for all hosts where the task takes ``hosts``."""
        hosts = self.core[0].args.hosts.value
        expanded: list[Any] = []
        for given in calls:
            call = invoke.Call(task=given) if isinstance(given, invoke.Task) else given
            if apply_hosts and hosts and takes_hosts(call.task):
                if call.kwargs.get("hosts"):
                    raise Exit("error: hosts were given twice: by -H and by --hosts", code=2)
                call.kwargs["hosts"] = hosts
                expanded += invoke.Executor.expand_calls(self, [call])
            else:
                expanded += super().expand_calls([call], apply_hosts)
        return expanded


def takes_hosts(task: invoke.Task) -> bool:  # type: ignore[type-arg]
    """Whether a task of ours has an option ``--hosts``."""
    return isinstance(task, RolecallTask) and "hosts" in task.argspec(task.body).parameters


class FabProgram(RolecallProgram, Fab):  # type: ignore[misc]
    """``./fab``: fabric's options, Rolecall's manners."""


program = FabProgram(
    version=__version__,
    name="Rolecall",
    binary="fab",
    binary_names=["fab"],
    executor_class=HostsExecutor,
    config_class=fabric.Config,
)

if __name__ == "__main__":
    program.run()
