"""Fixtures of the integration tests: real servers, shared by a whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import Deployment, failure, free_ports, outcomes
from tests.integration.serving import rig
from tests.integration.serving.openai_rig import FrontDeployment
from tests.rig import machines


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> rig.Workshop:
    """Environment, model, engine and backends; kept in ROLECALL_SERVING_DIR if that is set."""
    kept = os.environ.get("ROLECALL_SERVING_DIR")
    return rig.prepare(Path(kept) if kept else tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="session")
def serving(
    workshop: rig.Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[rig.Serving]:
    """A server in decoupled mode: everything works on it, streaming too."""
    directory = tmp_path_factory.mktemp("decoupled")
    with rig.serve(workshop, directory, decoupled_mode=True) as running:
        yield running


@pytest.fixture(scope="session")
def published(
    workshop: rig.Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[rig.Serving]:
    """A server with the published recipe's values, not decoupled."""
    with rig.serve(workshop, tmp_path_factory.mktemp("published")) as running:
        yield running


@pytest.fixture(scope="session")
def machine_rig() -> Iterator[machines.Rig]:
    """Systemd machines in network namespaces, for whoever wants one; needs root."""
    with machines.rig() as made:
        yield made


@pytest.fixture(scope="session")
def machine(machine_rig: machines.Rig) -> machines.Machine:
    """A machine for tests that leave it running."""
    return machine_rig.machine()


@pytest.fixture(scope="module")
def openai_front(deployed: Deployment) -> Iterator[FrontDeployment]:
    """The shared deployment with ``server.openai: true``; without it again for other modules."""
    found = FrontDeployment(deployed, free_ports(1)[0])
    done = found.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    yield found
    done = deployed.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert outcomes(done)["service:openai"] in ("changed", "ok")  # a test may have removed it
    assert not found.directory.exists()
