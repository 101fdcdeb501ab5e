"""Waiting for real pods: what a real kubelet and containerd say, and the logs that they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.follow import follow_job
from rolecall.cluster.objects import Ref
from rolecall.cluster.rollout import rollout_of
from rolecall.cluster.waiting import wait
from rolecall.errors import RolecallError
from tests.integration.cluster.space import Space, space
from tests.rig.kubernetes.node import IMAGE, Node


@pytest.fixture
def here(node: Node, tmp_path: Path) -> Iterator[Space]:
    with space(node.cluster, tmp_path / "cache") as made:
        yield made


def deployment(here: Space, volumes: Any = (), **container: Any) -> dict[str, Any]:
    pod = {"name": "pod", "image": IMAGE, "args": ["serve", "8080"], **container}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [pod], "volumes": list(volumes)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "llm", "namespace": here.namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "llm"}},
            "template": {"metadata": {"labels": {"app": "llm"}}, "spec": spec},
        },
    }


def test_a_rollout_ends_when_its_pod_answers(here: Space) -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    made = deployment(here, readinessProbe=probe)
    here.api.apply(made)
    wait(here.target, rollout_of(made), timeout=60)
    assert here.said[0] == "Deployment/llm: 0 of 1 replicas ready"
    assert "Deployment/llm: 1 of 1 replicas ready" in here.said
    assert here.said[-1].endswith("on node: ready")


SECRET = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}


@pytest.mark.parametrize(
    ("container", "volumes", "words", "hint"),
    [
        (
            {"image": "127.0.0.1:1/nothing:1"},
            (),
            "cannot be pulled: the node cannot reach the registry",
            "the node's way to the registry",
        ),
        ({"image": "UPPER/x"}, (), "this is no name of an image", "correct the image's name"),
        (
            {"image": "localhost/none:1", "imagePullPolicy": "Never"},
            (),
            "the node does not have it",
            "load the image",
        ),
        ({"env": [SECRET]}, (), 'cannot be made: secret "hub" not found', "make the secret hub"),
        ({"command": ["/none"]}, (), 'exec: "/none"', "the image has no /none"),
        (
            {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
            (),
            "cannot be made: container's runAsUser breaks non-root policy",
            "runAsUser a number other than 0",
        ),
        (
            {"volumeMounts": [{"name": "c", "mountPath": "/c"}]},
            [{"name": "c", "configMap": {"name": "gone"}}],
            "the configmap gone, which the pod mounts, does not exist",
            "make the configmap gone",
        ),
    ],
)
def test_what_the_kubelet_cannot_do_is_explained(
    here: Space, container: Any, volumes: Any, words: str, hint: str
) -> None:
    made = deployment(here, volumes, **container)
    here.api.apply(made)
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=60, patience=2)
    assert words in error.value.message
    assert hint in error.value.hint


def test_a_container_that_its_probe_has_killed_thrice_is_given_up_with_its_lines(
    here: Space,
) -> None:
    probe = {"httpGet": {"path": "/x", "port": 9999}, "periodSeconds": 1, "failureThreshold": 2}
    made = deployment(here, startupProbe=probe)
    here.api.apply(made)
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=120)
    message = error.value.message
    assert "its startup probe (GET /x on port 9999) did not pass within 2 s: Get" in message
    assert "connection refused; it has been started 4 times" in message
    assert message.endswith("  serving on 8080")


def test_a_container_that_ends_again_and_again_is_given_up_with_its_lines(here: Space) -> None:
    # Without a probe, a container counts as ready for as long as it takes to end.
    probe = {"httpGet": {"path": "/", "port": 8080}}
    made = deployment(here, args=["serve", "nonsense"], readinessProbe=probe)
    here.api.apply(made)
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=120)
    assert "container pod ended with status 1; it has been started 4 times" in error.value.message
    assert "  serving on nonsense\n  listen tcp" in error.value.message


def test_a_jobs_lines_are_told_and_its_end_is_explained(here: Space) -> None:
    pod = deployment(here, args=["serve", "nonsense"])["spec"]["template"]["spec"]
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "prepare", "namespace": here.namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": {**pod, "restartPolicy": "Never"}}},
    }
    here.api.apply(made)
    with pytest.raises(RolecallError) as error:
        follow_job(here.target, Ref.of(made), timeout=60)
    assert "serving on nonsense" in here.said
    assert error.value.message.startswith(
        "Job/prepare failed: container pod ended with status 1 (BackoffLimitExceeded"
    )
    assert "listen tcp: lookup tcp/nonsense: unknown port" in error.value.message
