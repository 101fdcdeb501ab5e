"""``./fab``: fabric's command line in front of the same tasks.

``fab -H a,b TASK`` is ``inv TASK --hosts a,b`` with fabric's way to log in (``-i``, ``-S``, the
password prompts, ssh_config). The hosts are run together, by Rolecall, rather than the task once
for each. Tasks that know nothing of Rolecall, and ``fab -H a,b -- COMMAND``, get fabric's own
``Connection`` to each host: found in the inventory, and with its key verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fabric
import invoke
from fabric.main import Fab
from fabric.tasks import ConnectionCall
from invoke.exceptions import Exit

from rolecall import __version__
from rolecall.cli.program import RolecallProgram, RolecallTask
from rolecall.errors import ConfigError, RolecallError
from rolecall.startup import run, whole_streams


class VerifiedCall(ConnectionCall):  # type: ignore[misc]
    """A call on one host, with a connection whose host key was verified."""

    def make_context(self, config: Any) -> Any:
        """An open connection; on this machine itself, invoke's context."""
        from rolecall.cli.reach import verified_connection

        given = self.init_kwargs
        return verified_connection(given["host"], given["root"], config)


class HostsExecutor(fabric.Executor):  # type: ignore[misc]
    """Hands the hosts of ``-H`` to a task that chooses hosts itself; others run once for each."""

    def execute(self, *tasks: Any) -> Any:
        """Fabric's execution; what is wrong with a host is said as everywhere else."""
        try:
            return super().execute(*tasks)
        except RolecallError as error:
            from rolecall.output.errors import present

            present(error)
            raise Exit(code=error.exit_code) from error

    def expand_calls(self, calls: Sequence[Any], apply_hosts: bool = True) -> list[Any]:
        """Fabric's calls, with one call for all hosts where the task takes ``hosts``."""
        hosts = self.core[0].args.hosts.value
        expanded: list[Any] = []
        for given in calls:
            call = invoke.Call(task=given) if isinstance(given, invoke.Task) else given
            if isinstance(call.task, RolecallTask) and not takes_hosts(call.task):
                expanded += invoke.Executor.expand_calls(self, [call])
            elif apply_hosts and hosts and takes_hosts(call.task):
                if call.kwargs.get("hosts"):
                    raise Exit("error: hosts were given twice: by -H and by --hosts", code=2)
                call.kwargs["hosts"] = hosts
                expanded += invoke.Executor.expand_calls(self, [call])
            else:
                expanded += super().expand_calls([call], apply_hosts)
        if apply_hosts and not calls:  # fab -H a,b -- COMMAND
            expanded += super().expand_calls([], apply_hosts)
        return expanded

    def normalize_hosts(self, hosts: Sequence[Any] | None) -> list[dict[str, Any]]:
        """One mapping for each host that ``-H``, or a task of fabric's own, names.

        Raises:
            ConfigError: a host is given with more than its address.
        """
        from rolecall.cli.reach import hosts_named

        root = Path(self.core[0].args["search-root"].value or ".")
        names = [_as_text(host) for host in hosts or [] if host]
        return [{"host": name, "root": root} for name in hosts_named(names, root)]

    def parameterize(self, call: Any, connection_init_kwargs: dict[str, Any]) -> Any:
        """The call on one host."""
        return call.clone(into=VerifiedCall, with_={"init_kwargs": connection_init_kwargs})


def _as_text(host: str | Mapping[str, Any]) -> str:
    """``user@host:port`` of what ``@fabric.task(hosts=…)`` may be given."""
    if isinstance(host, str):
        return host.strip()
    if unknown := set(host) - {"host", "user", "port"}:
        raise ConfigError(
            f"a task names a host with {', '.join(sorted(unknown))}",
            "give host, user and port alone, and the rest in the inventory or in ssh_config",
        )
    user = f"{host['user']}@" if host.get("user") else ""
    return f"{user}{host['host']}" + (f":{host['port']}" if host.get("port") else "")


def takes_hosts(task: invoke.Task) -> bool:  # type: ignore[type-arg]
    """Whether a task of ours has an option ``--hosts``."""
    return isinstance(task, RolecallTask) and "hosts" in task.argspec(task.body).parameters


class FabProgram(RolecallProgram, Fab):  # type: ignore[misc]
    """``./fab``: fabric's options, Rolecall's manners."""

    def no_tasks_given(self) -> None:
        """Without a task, say which there are; ``fab -H a,b -- COMMAND`` needs none."""
        if not self._remainder_only:
            super().no_tasks_given()


program = FabProgram(
    version=__version__,
    name="Rolecall",
    binary="fab",
    binary_names=["fab"],
    executor_class=HostsExecutor,
    config_class=fabric.Config,
)

if __name__ == "__main__":
    whole_streams()
    run(program)
