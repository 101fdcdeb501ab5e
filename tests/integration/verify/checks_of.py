"""The checks of role k8s, run here: which hold, and what the others say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from rolecall.cluster.target import ClusterTarget
from rolecall.errors import RolecallError
from rolecall.role import Host
from rolecall.verify.cluster import ClusterView
from roles.k8s import verify

#: Those that look at objects alone.
OF_OBJECTS = (
    "test_the_volume_is_bound_and_big_enough",
    "test_every_object_is_there_and_as_declared",
    "test_every_replica_is_of_this_deploy_and_ready",
    "test_every_pod_runs_the_declared_image",
    "test_no_pod_fails_or_was_started_again_lately",
    "test_the_service_leads_to_every_pod_that_is_ready",
    "test_the_platform_says_that_the_service_is_ready",
    "test_the_pods_are_of_the_present_runtime",
)


def failing(
    target: ClusterTarget, described: Host, names: tuple[str, ...] = OF_OBJECTS, **given: Any
) -> dict[str, str]:
    """Of these checks the ones that do not hold, and what each says."""
    fixtures = {"target": target, "described": described, "cluster": ClusterView(target), **given}
    said: dict[str, str] = {}
    for name in names:
        check: Callable[..., None] = getattr(verify, name)
        try:
            check(**{wanted: fixtures[wanted] for wanted in inspect.signature(check).parameters})
        except pytest.skip.Exception:
            continue
        except (AssertionError, RolecallError) as error:
            said[name.removeprefix("test_")] = str(error)
    return said
