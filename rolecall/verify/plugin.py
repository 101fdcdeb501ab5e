"""The pytest plugin behind ``verify``: every check is run on each host that it is meant for.

Fixtures for checks: ``host`` (testinfra), ``described`` (facts and settings, as roles see them),
``as_declared`` (resources, with the probes of a deploy), ``target`` (the way there, for a
forwarded port), ``get`` (HTTP over it) and, on a cluster, ``cluster`` (its objects).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testinfra.host import Host as TestinfraHost

from rolecall.errors import RolecallError
from rolecall.role import Host
from rolecall.targets import Target
from rolecall.verify.checks import AsDeclared
from rolecall.verify.chosen import Chosen, Machine
from rolecall.verify.cluster import ClusterView
from rolecall.verify.told import explained, is_explained, unreadable

if TYPE_CHECKING:
    import httpx

#: What is verified, in a process of pytest.
CHOSEN = pytest.StashKey[Chosen]()

#: Under which name workers are told it.
_TOLD = "rolecall_chosen"

_FIXTURES = frozenset({"host", "described", "as_declared", "target", "get", "cluster"})


class Given:
    """Gives pytest what is verified; where there are workers, them too."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen

    def pytest_configure(self, config: pytest.Config) -> None:
        """In this process."""
        config.stash[CHOSEN] = self._chosen

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """In a worker: over its own pipe, since there may be a password."""
        node.workerinput[_TOLD] = json.dumps(self._chosen.packed())

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """All checks of a host in one worker."""
        from rolecall.verify.by_host import ByHost

        return ByHost(config, log, self._chosen.names())


def pytest_configure(config: pytest.Config) -> None:
    """In a worker, take up what it is told."""
    told = getattr(config, "workerinput", {}).get(_TOLD)
    if told:
        config.stash[CHOSEN] = Chosen.unpacked(json.loads(told))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each check on every host that it is meant for."""
    wanted = _FIXTURES & set(metafunc.fixturenames)
    if wanted:
        path = Path(metafunc.module.__file__ or "")
        names = _meant(metafunc.config.stash[CHOSEN], path, on_cluster="cluster" in wanted)
        metafunc.parametrize("machine_name", names, ids=names, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> pytest.CollectReport | None:
    """A file of checks that cannot be read is told with its line, unless --tb asks for more."""
    if not isinstance(collector, pytest.Module) or collector.config.getoption("tbstyle") != "auto":
        return None
    try:
        collector.obj  # noqa: B018 - this imports the file, and is remembered
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except pytest.skip.Exception as reason:
        why = (str(collector.path), 1, str(reason))
        return pytest.CollectReport(collector.nodeid, "skipped", why, [])
    except BaseException as error:  # SystemExit: a script, which would end pytest
        text = unreadable(error.__cause__ or error, collector)
        return pytest.CollectReport(collector.nodeid, "failed", text, [])
    return None


def _meant(chosen: Chosen, path: Path, *, on_cluster: bool) -> list[str]:
    for role in chosen.roles:
        if path == chosen.root / "roles" / role.name / "verify.py":
            return chosen.names(role.on)
    return chosen.names("cluster" if on_cluster else None)


class Machines:
    """The hosts that have been connected to; each is tried once."""

    def __init__(self, chosen: Chosen, stack: ExitStack) -> None:
        self._chosen = chosen
        self._stack = stack
        self._open: dict[str, Machine] = {}
        self._silent: set[str] = set()

    def get(self, name: str) -> Machine:
        """The host of that name.

        Raises:
            RolecallError: it cannot be reached. Checks after that are skipped.
        """
        if name in self._silent:
            pytest.skip(f"{name} could not be asked")
        if name not in self._open:
            try:
                self._open[name] = self._stack.enter_context(self._chosen.open(name))
            except RolecallError:
                self._silent.add(name)
                raise
        return self._open[name]


@pytest.fixture(scope="session")
def machines(request: pytest.FixtureRequest) -> Iterator[Machines]:
    """Every host that has been asked so far."""
    with ExitStack() as stack:
        yield Machines(request.config.stash[CHOSEN], stack)


@pytest.fixture
def machine(machine_name: str, machines: Machines) -> Machine:
    """The host of a check, connected to."""
    return machines.get(machine_name)


@pytest.fixture
def host(machine: Machine) -> TestinfraHost:
    """Testinfra on the host; on a cluster, in a container of a serving pod."""
    return TestinfraHost(machine.backend)


@pytest.fixture
def described(machine: Machine) -> Host:
    """The host as roles see it: its facts, its settings, paths below Rolecall's folder."""
    return machine.described


@pytest.fixture
def as_declared(machine: Machine) -> AsDeclared:
    """Resources as a deploy sees them: a call asserts that it would change nothing."""
    return AsDeclared(machine)


@pytest.fixture
def target(machine: Machine) -> Target:
    """The way to the host: ``target.forward(port)`` leads to a port of it."""
    return machine.target


@pytest.fixture
def get(machine: Machine) -> Callable[[int, str], httpx.Response]:
    """``get(port, path)``: what a port of the host's loopback answers; or of a serving pod."""
    import httpx

    def asked(port: int, path: str = "/") -> httpx.Response:
        with machine.forward(port) as (address, local):
            return httpx.get(f"http://{address}:{local}{path}", timeout=30)

    return asked


@pytest.fixture
def cluster(machine: Machine) -> ClusterView:
    """What is in the cluster's namespace."""
    if machine.cluster is None:
        pytest.skip(f"{machine.target.name} is no cluster")
    return machine.cluster


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """What does not hold is told in the words of its check, unless --tb asks for more."""
    outcome: Any = yield
    report = outcome.get_result()
    error = call.excinfo.value if call.excinfo else None
    plainly = item.config.getoption("tbstyle") == "auto"
    if report.failed and plainly and error and is_explained(error):
        report.longrepr = explained(error, item)
