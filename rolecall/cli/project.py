"""A project: its roles, its inventory, and the tasks that every project has.

Heavy modules are imported inside functions: ``./inv --list`` pays for none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rolecall.cli.flags import Flags, choose_roles
from rolecall.errors import ConfigError, RolecallError

if TYPE_CHECKING:
    from rolecall.events import Stream
    from rolecall.facts import FactsCache
    from rolecall.inventory import Inventory
    from rolecall.role import Role
    from rolecall.run import Declare, HostPlan, HostResult, Opened
    from rolecall.session import Session
    from rolecall.settings import Resolved, Settings

#: Called after a run in which nothing failed, for each host: what to tell the user.
After = Callable[["HostResult", "Stream", bool], None]

DEFAULT_HOSTS = "localhost"


@dataclass(frozen=True)
class Project:
    """The folder of a project and the names of its roles in the order of a deploy."""

    root: Path
    roles: tuple[str, ...]

    @property
    def state(self) -> Path:
        """The controller's own records: runs, facts of hosts, logs."""
        return self.root / ".rolecall"

    def inventory(self, flags: Flags) -> Inventory:
        """The inventory that the options name, or the project's own.

        Raises:
            ConfigError: it is missing or wrong.
        """
        from rolecall.inventory import load_inventory

        return load_inventory(Path(flags.inventory) if flags.inventory else self.root / "inventory")

    def load_roles(self, names: Sequence[str] | None = None) -> list[Role[Any]]:
        """Import roles, all or those named."""
        from rolecall.role import Roles

        return Roles(self.root / "roles", self.roles).load(names)

    def setting_types(self) -> dict[str, type[Settings]]:
        """The settings' type of every role, and of the runner itself."""
        from rolecall.settings import RunnerSettings

        types: dict[str, type[Settings]] = {"rolecall": RunnerSettings}
        return types | {role.name: role.settings for role in self.load_roles()}

    def resolved(self, flags: Flags) -> dict[str, dict[str, Resolved]]:
        """The settings of every role on every chosen host, by host and role.

        Raises:
            ConfigError: the inventory, a setting or an option is wrong.
        """
        return self._resolved(*self._chosen(flags), flags)

    def _resolved(
        self, inventory: Inventory, names: Sequence[str], flags: Flags
    ) -> dict[str, dict[str, Resolved]]:
        from rolecall.settings import Override, resolve

        overrides = [Override.parse(text) for text in flags.set]
        types = self.setting_types()
        return {name: resolve(types, inventory.layers(name), overrides) for name in names}

    def _chosen(self, flags: Flags) -> tuple[Inventory, list[str]]:
        """The inventory, with hosts that only ``fab -H`` names, and the chosen hosts' names."""
        inventory = self.inventory(flags)
        if flags.fab_hosts:
            from rolecall.cli.reach import add_unknown

            return add_unknown(inventory, flags.fab_hosts)
        names = inventory.match(flags.hosts or DEFAULT_HOSTS)
        if not names:
            raise ConfigError(f"--hosts {flags.hosts!r} matches no host of the inventory")
        return inventory, names

    def host_plans(self, flags: Flags) -> list[HostPlan]:
        """The chosen hosts, each with a way to reach it and its settings."""
        from rolecall.cli.reach import sudo_password, target
        from rolecall.run import HostPlan

        inventory, names = self._chosen(flags)
        return [
            HostPlan(
                target(inventory, name, flags.login),
                {role: value.settings for role, value in settings.items()},
                sudo_password(inventory, name, flags.login),
            )
            for name, settings in self._resolved(inventory, names, flags).items()
        ]

    def converge(
        self,
        task: str,
        flags: Flags,
        *,
        what: Declare | None = None,
        roles: Sequence[str] | None = None,
        plans: Sequence[HostPlan] | None = None,
        after: After | None = None,
    ) -> int:
        """Converge or predict; returns the exit status.

        ``what`` declares the resources; without it, the chosen of ``roles`` do.
        """
        from rolecall.rollout import Rollout
        from rolecall.run import Options, declare, new_run_id, run_hosts

        rollout = Rollout(
            flags.forks, flags.serial, flags.max_fail if flags.max_fail >= 0 else None, flags.canary
        )
        options = Options(task, flags.check, flags.diff, flags.lock_wait_seconds)
        chosen = choose_roles(roles or self.roles, flags)
        host_plans = self.host_plans(flags) if plans is None else plans
        declared = what or declare(self.load_roles(chosen))
        run_id = new_run_id()
        with self.stream(flags, run_id) as stream:
            results = run_hosts(
                host_plans,
                declared,
                options,
                stream,
                self.facts_cache(),
                run_id,
                rollout,
                gate=(lambda result: after(result, stream, True)) if after else None,
            )
            recap = stream.recap
            if after and not recap.failed and not flags.check:
                for result in results:
                    after(result, stream, bool(recap.of(result.target.name).changed))
        if recap.failed:
            return 1
        return 2 if flags.detailed_exitcode and recap.changed else 0

    def facts_cache(self) -> FactsCache:
        """What the controller remembers of its hosts."""
        from rolecall.facts import FactsCache

        return FactsCache(self.state / "facts")

    @contextmanager
    def stream(self, flags: Flags, run_id: str) -> Iterator[Stream]:
        """The event stream of one run, with the listeners the options ask for."""
        from invoke.exceptions import Exit

        from rolecall.events import Stream
        from rolecall.output import Mode, listeners
        from rolecall.output.errors import present

        mode: Mode = "json" if flags.json else "auto"
        stream = Stream(listeners(mode, int(flags.verbose), self.state / "runs", run_id))
        try:
            yield stream
        except RolecallError as error:
            if not flags.json:
                raise
            present(error, json=True)  # in front of the recap, which is the last line
            raise Exit(code=error.exit_code) from error
        finally:
            stream.finish()

    def look(self, flags: Flags, what: Declare | None = None) -> Iterator[tuple[Session, Opened]]:
        """Open each chosen host for reading, one after the other."""
        from rolecall.run import declare, looking

        declared = what or declare(self.load_roles(choose_roles(self.roles, flags)))
        for plan in self.host_plans(flags):
            with looking(plan, declared, self.facts_cache()) as seen:
                yield seen


@contextmanager
def reported(state: Path, *, json: bool = False) -> Iterator[None]:
    """Turn errors into what the user reads, and into the exit status."""
    from invoke.exceptions import Exit

    try:
        yield
    except RolecallError as error:
        from rolecall.output.errors import present

        present(error, json=json)
        raise Exit(code=error.exit_code) from error
    except KeyboardInterrupt as error:
        hint = "run the same command again: it goes on from the state it finds"
        raise Exit(f"interrupted\n  next: {hint}", code=130) from error
    except BrokenPipeError as error:
        from rolecall.output import pipe_closed

        raise Exit(code=pipe_closed()) from error
    except Exit:
        raise
    except Exception as error:
        from rolecall.output.errors import log_traceback

        log_traceback(error, state / "logs", json=json)
        raise Exit(code=1) from error
