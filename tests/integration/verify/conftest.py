"""The real API server of tests/integration/cluster, for the checks of clusters."""

from tests.integration.cluster.conftest import cluster, namespace, node

__all__ = ["cluster", "namespace", "node"]
