"""A real API server for the tests of this folder, and a namespace of it for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.kubernetes import cluster as rig
from tests.rig.kubernetes import node as nodes


@pytest.fixture(scope="session")
def cluster() -> Iterator[rig.Cluster]:
    """A control plane on loopback, without nodes; ``controllers()`` adds what acts on objects."""
    with rig.cluster() as made:
        yield made


@pytest.fixture
def namespace(cluster: rig.Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="session")
def node() -> Iterator[nodes.Node]:
    """A cluster of its own, ``node.cluster``, whose one node runs pods; needs root."""
    with nodes.node() as made:
        yield made
