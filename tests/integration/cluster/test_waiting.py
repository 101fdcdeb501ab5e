"""Waiting for a rollout and a job, against a real API server, its scheduler and controllers.

What only a kubelet can do is done by its double, which writes what a kubelet writes.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rolecall.cluster.api import Api
from rolecall.cluster.errors import refused
from rolecall.cluster.follow import follow_job
from rolecall.cluster.objects import Found, Question, Ref
from rolecall.cluster.rollout import rollout_of
from rolecall.cluster.waiting import wait
from rolecall.errors import RolecallError
from rolecall.resource import Call, Observed
from rolecall.resources.cluster_ready import ClusterReady
from tests.doubles.kubelet import Kubelet
from tests.integration.cluster.space import Space, relayed, space, waiting
from tests.rig.kubernetes.cluster import CONTEXT, Cluster
from tests.unit.cluster import states

IMAGE = states.IMAGE
READY = {"ready": True, "started": True, "state": {"running": {}}}


@pytest.fixture
def here(cluster: Cluster, tmp_path: Path) -> Iterator[Space]:
    with space(cluster, tmp_path / "cache") as made:
        yield made


@pytest.fixture
def node(here: Space, cluster: Cluster) -> Iterator[Kubelet]:
    name = f"double-{uuid.uuid4().hex[:8]}"
    pair = cluster.plane.issuer.issue(name, hosts=["127.0.0.1"])
    with Kubelet(here.client, name, pair, **{"nvidia.com/gpu": "1"}) as made:
        yield made


def deployment(here: Space, node: Kubelet | None = None, **spec: Any) -> dict[str, Any]:
    made = copy.deepcopy(states.DEPLOYMENT)
    made["metadata"]["namespace"] = here.namespace
    pod = made["spec"]["template"]["spec"]
    pod |= {"terminationGracePeriodSeconds": 1, **(node.place if node else {})}
    container = pod["containers"][0]
    container["resources"] = {"limits": {"memory": "1Gi", "cpu": "1"}}
    pod.pop("volumes")
    made["spec"] |= spec
    return made


def container(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"]["template"]["spec"]["containers"][0]
    return found


def gives_up(here: Space, made: dict[str, Any], patience: float = 1.0) -> RolecallError:
    here.api.apply(made)
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=40, patience=patience)
    return error.value


# What scheduler, controllers and admission say themselves


def test_a_gpu_that_no_node_has_is_named_with_what_was_asked(here: Space, node: Kubelet) -> None:
    made = deployment(here, node)
    container(made)["resources"]["limits"]["nvidia.com/gpu"] = 2
    error = gives_up(here, made)
    assert "no node has enough nvidia.com/gpu free; the pod asks for nvidia.com/gpu 2" in (
        error.message
    )
    assert "free nvidia.com/gpu on a node" in error.hint
    assert here.heard("Deployment/llm: 0 of 1 replicas ready")
    assert here.heard("waits for a node: no node has enough nvidia.com/gpu")


def test_an_update_that_needs_the_gpu_of_the_old_pod_says_who_holds_it(
    here: Space, node: Kubelet
) -> None:
    made = deployment(here, node, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    container(made)["resources"]["limits"]["nvidia.com/gpu"] = 1
    here.api.apply(made)
    old = node.pod(here.namespace)
    node.says(here.namespace, old, READY, phase="Running")
    wait(here.target, rollout_of(made), timeout=30)
    changed = copy.deepcopy(made)
    container(changed)["args"] = ["other"]
    error = gives_up(here, changed)
    assert f"pod {old} of the same workload may hold it" in error.hint
    assert "maxSurge 0" in error.hint


def test_a_node_selector_that_matches_nothing_says_so(here: Space) -> None:
    made = deployment(here)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"gpu": "none-such"}
    message = gives_up(here, made).message
    assert "node affinity/selector" in message or "the cluster has no node" in message


def test_a_quota_that_is_used_up_is_named(here: Space) -> None:
    here.core.create_namespaced_resource_quota(
        here.namespace, {"metadata": {"name": "small"}, "spec": {"hard": {"limits.cpu": "100m"}}}
    )
    error = gives_up(here, deployment(here))
    assert "no pod can be made: the quota small of the namespace is used up" in error.message
    assert "kubectl describe quota small" in error.hint


def test_a_policy_that_forbids_the_pod_is_quoted(here: Space) -> None:
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    here.core.patch_namespace(here.namespace, {"metadata": {"labels": level}})
    message = gives_up(here, deployment(here)).message
    assert "the namespace allows only pods of the level restricted" in message
    assert "runAsNonRoot" in message


def test_a_missing_service_account_is_named(here: Space) -> None:
    made = deployment(here)
    made["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    error = gives_up(here, made)
    assert "there is no service account nobody" in error.message
    assert error.hint == "make it: kubectl create serviceaccount nobody"


@pytest.mark.parametrize(
    ("storage_class", "words"),
    [
        (None, "it names no storage class, the cluster has no default one"),
        ("none-such", "there is no storage class none-such"),
    ],
)
def test_a_claim_without_a_volume_says_why(
    here: Space, node: Kubelet, storage_class: str | None, words: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "llm", "namespace": here.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **({"storageClassName": storage_class} if storage_class else {}),
        },
    }
    here.api.apply(claim)
    made = deployment(here, node)
    made["spec"]["template"]["spec"]["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "llm"}}
    ]
    error = gives_up(here, made, patience=20.0)  # its controller looks every 15 s
    assert f"the claim llm has no volume: {words}" in error.message
    assert "kubectl get storageclass" in error.hint


def test_a_claim_that_does_not_exist_is_named(here: Space, node: Kubelet) -> None:
    made = deployment(here, node)
    made["spec"]["template"]["spec"]["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "gone"}}
    ]
    assert "the volume claim gone does not exist" in gives_up(here, made).message


def test_a_rollout_without_progress_is_over_at_its_own_deadline(here: Space, node: Kubelet) -> None:
    made = deployment(here, node, progressDeadlineSeconds=3)
    here.api.apply(made)
    node.says(here.namespace, node.pod(here.namespace), {"state": {"running": {}}}, phase="Running")
    with pytest.raises(RolecallError, match="nothing has come forward for 3 s") as error:
        wait(here.target, rollout_of(made), timeout=40, patience=1)
    assert "progressDeadlineSeconds" in error.value.hint


# What a kubelet says


def test_a_rollout_is_told_step_by_step_and_ends_when_it_is_ready(
    here: Space, node: Kubelet
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    ready = ClusterReady(made, timeout=40)
    look = ready.look()
    observed = look.answer(here.api.read(look.questions))
    assert observed.get("ready") in ("no", "0 of 1 replicas ready")
    assert here.api.missing(ready.rights(observed)) == []
    apply = ready.apply(observed)
    assert isinstance(apply, Call)
    with waiting(lambda: apply.run(here.target)) as waits:  # type: ignore[arg-type]
        pod = node.pod(here.namespace)
        node.says(here.namespace, pod, states.waiting("ContainerCreating"))
        here.heard(f"pod {pod} on {node.name}: container triton is being made")
        node.reports(here.namespace, pod, "Pulling", f'Pulling image "{IMAGE}"', container="triton")
        here.heard(f"waits for its image {IMAGE}, which is being pulled")
        node.says(here.namespace, pod, {"state": {"running": {}}}, phase="Running")
        node.reports(here.namespace, pod, "Started", "Started", container="triton")
        words = "Startup probe failed: HTTP probe failed with statuscode: 503"
        node.reports(here.namespace, pod, "Unhealthy", words, container="triton")
        here.heard(
            "its startup probe (GET /v2/health/ready on port 8000) says: HTTP probe failed with "
            "statuscode: 503"
        )
        node.says(here.namespace, pod, READY, phase="Running")
    assert waits.error is None
    assert look.answer(here.api.read(look.questions)).get("ready") == "yes"
    assert here.told[0][1:] == (0, 1)
    assert here.told[-1][1:] == (1, 1)
    assert len(here.said) == len(set(here.said))  # nothing twice


def test_a_changed_deployment_is_not_ready_until_its_new_pods_are(
    here: Space, node: Kubelet
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    node.says(here.namespace, old := node.pod(here.namespace), READY, phase="Running")
    wait(here.target, rollout_of(made), timeout=30)
    changed = copy.deepcopy(made)
    container(changed)["args"] = ["other"]
    here.api.apply(changed)
    rollout = rollout_of(changed)
    assert not rollout.is_ready(here.api.read(rollout.glance))
    with waiting(lambda: wait(here.target, rollout, timeout=30)) as waits:
        node.says(here.namespace, node.pod(here.namespace, beside=(old,)), READY, phase="Running")
    assert waits.error is None


def test_an_image_that_the_registry_does_not_have_ends_the_waiting_in_its_words(
    here: Space, node: Kubelet
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    words = f'failed to resolve reference "{IMAGE}": {IMAGE}: not found'
    back_off = f'Back-off pulling image "{IMAGE}": ErrImagePull: {words}'
    with waiting(lambda: wait(here.target, rollout_of(made), timeout=40, patience=3)) as waits:
        pod = node.pod(here.namespace)
        for _ in range(2):
            node.says(here.namespace, pod, states.waiting("ErrImagePull", words))
            time.sleep(0.8)
            node.says(here.namespace, pod, states.waiting("ImagePullBackOff", back_off))
            time.sleep(0.8)
        error = waits.failed()
    assert error.message == (
        f"Deployment/llm does not become ready: the image {IMAGE} of container triton cannot be "
        f"pulled: the registry has no such image ({words})"
    )
    assert "tag" in error.hint


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (states.ended(1), "container triton ended with status 1; it has been started 4 times"),
        (states.ended(137, "OOMKilled"), "used more memory than its limit of 1Gi (OOMKilled)"),
    ],
)
def test_a_container_that_ends_again_and_again_is_shown_with_its_last_lines(
    here: Space, node: Kubelet, ended: Any, words: str
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    pod = node.pod(here.namespace)
    log = node.log(pod, previous=True)
    log.lines += ["loading the model", "no engine at /data/engines"]
    last = {"terminated": {**ended["terminated"], "containerID": "containerd://1"}}
    crashed = states.waiting("CrashLoopBackOff", "back-off", restartCount=3, lastState=last)
    node.says(here.namespace, pod, crashed, phase="Running")
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=40)
    assert words in error.value.message
    assert error.value.message.endswith(
        f"the last lines of container triton in pod {pod}:\n"
        "  loading the model\n"
        "  no engine at /data/engines"
    )


def test_the_rights_that_it_names_are_enough_and_a_missing_one_is_said(
    here: Space, node: Kubelet, cluster: Cluster, tmp_path: Path
) -> None:
    def rule(group: str, resource: str, verb: str) -> dict[str, Any]:
        return {"apiGroups": [group], "resources": [resource], "verbs": [verb]}

    rules = [
        rule("apps", "deployments", "get"),
        rule("apps", "replicasets", "list"),
        rule("", "pods", "list"),
        rule("", "pods/log", "get"),
        rule("", "events", "list"),
    ]
    waiter = cluster.user("waiter", rules, here.namespace)
    blind = cluster.user("blind", rules[:-1], here.namespace)
    made = deployment(here, node)
    here.api.apply(made)
    ready = ClusterReady(made, timeout=40)
    rights = ready.rights(Observed.of({}))
    lacking = Api("blind", str(blind), here.namespace, tmp_path / "blind")
    assert list(map(str, lacking.missing(rights))) == [f"list event in namespace {here.namespace}"]
    api = Api("waiter", str(waiter), here.namespace, tmp_path / "waiter")
    assert api.missing(rights) == []
    pod = node.pod(here.namespace)
    node.log(pod, previous=True).lines.append("the last words")
    last = {"terminated": {**states.ended(1)["terminated"], "containerID": "containerd://1"}}
    crashed = states.waiting("CrashLoopBackOff", restartCount=3, lastState=last)
    node.says(here.namespace, pod, crashed, phase="Running")
    with pytest.raises(RolecallError, match="the last words"):
        wait(replace(here.target, api=api), rollout_of(made), timeout=40)


def test_too_long_says_where_it_is_and_what_it_was_doing(here: Space, node: Kubelet) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    pod = node.pod(here.namespace)
    node.log(pod).lines += ["shard 3 of 9"]
    running = {"state": {"running": {}}, "containerID": "containerd://1"}
    node.says(here.namespace, pod, running, phase="Running")
    words = "Readiness probe failed: connection refused"
    node.reports(here.namespace, pod, "Unhealthy", words, container="triton")
    with pytest.raises(RolecallError) as error:
        wait(here.target, rollout_of(made), timeout=2)
    assert "Deployment/llm is not ready after 2 s: 0 of 1 replicas ready" in error.value.message
    assert "readiness probe (GET /v2/health/ready on port 8000) says: connection" in (
        error.value.message
    )
    assert error.value.message.endswith("  shard 3 of 9")


def test_an_interrupt_ends_the_waiting_and_not_the_rollout(here: Space, node: Kubelet) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    with waiting(lambda: wait(here.target, rollout_of(made), timeout=60)) as waits:
        here.heard("0 of 1 replicas ready")
        began = time.monotonic()
        here.stop.set()
        error = waits.failed()
    assert time.monotonic() - began < 2
    assert error.message == "interrupted"
    node.says(here.namespace, node.pod(here.namespace), READY, phase="Running")
    here.stop.clear()
    wait(here.target, rollout_of(made), timeout=30)


def test_an_api_server_that_is_away_for_a_while_is_waited_for(
    here: Space, node: Kubelet, cluster: Cluster, tmp_path: Path
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    with relayed(cluster, tmp_path) as (relay, kubeconfig):
        api = Api(CONTEXT, str(kubeconfig), here.namespace, tmp_path / "relayed")
        target = replace(here.target, api=api)
        with waiting(lambda: wait(target, rollout_of(made), timeout=60)) as waits:
            here.heard("0 of 1 replicas ready")
            relay.cut()
            here.heard("waiting for the cluster's API: ")
            node.says(here.namespace, node.pod(here.namespace), READY, phase="Running")
            relay.heal()
        assert waits.error is None
    assert here.heard("1 of 1 replicas ready")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_api_server_that_cannot_say_for_a_while_is_waited_for(
    here: Space, node: Kubelet, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    made = deployment(here, node)
    here.api.apply(made)
    read, troubled = here.api.read, threading.Event()

    def in_trouble(questions: Sequence[Question]) -> list[Found]:
        if troubled.is_set():
            raise refused(status, {"message": "leader changed"}, "get", Ref.of(made))
        return read(questions)

    monkeypatch.setattr(here.api, "read", in_trouble)
    with waiting(lambda: wait(here.target, rollout_of(made), timeout=60)) as waits:
        here.heard("0 of 1 replicas ready")
        troubled.set()
        here.heard("waiting for the cluster's API: the cluster cannot get Deployment/llm")
        node.says(here.namespace, node.pod(here.namespace), READY, phase="Running")
        troubled.clear()
    assert waits.error is None
    assert here.heard("1 of 1 replicas ready")


# Jobs


def job(here: Space, node: Kubelet, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "llm-prepare", "namespace": here.namespace},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    **node.place,
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "triton",
                            "image": IMAGE,
                            "resources": {"limits": {"memory": "1Gi"}},
                        }
                    ],
                }
            },
            **spec,
        },
    }


RUNNING = {"ready": True, "state": {"running": {}}, "containerID": "containerd://1"}


def ended(code: int, reason: str = "Completed") -> dict[str, Any]:
    state = states.ended(code, reason)
    state["terminated"]["containerID"] = "containerd://1"
    return {"state": state, "containerID": "containerd://1"}


def test_a_jobs_lines_are_told_as_they_come_until_it_is_done(here: Space, node: Kubelet) -> None:
    made = job(here, node)
    here.api.apply(made)
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as follows:
        pod = node.pod(here.namespace)
        log = node.log(pod)
        node.says(here.namespace, pod, states.waiting("ContainerCreating"))
        here.heard("is being made")
        log.lines += ["fetching the model", '::progress {"done": 1, "total": 9, "label": "x"}']
        node.says(here.namespace, pod, RUNNING, phase="Running")
        here.heard("fetching the model")
        log.lines.append("building the engine")
        here.heard("building the engine")
        log.lines.append("done")
        log.over.set()
        node.says(here.namespace, pod, ended(0), phase="Succeeded")
    assert follows.error is None
    printed = [line for line in here.said if not line.startswith("pod ")]
    assert [line for line in printed if "no pod yet" not in line] == [
        "fetching the model",
        '::progress {"done": 1, "total": 9, "label": "x"}',
        "building the engine",
        "done",
    ]


def test_a_job_that_runs_already_is_followed_from_where_it_is(here: Space, node: Kubelet) -> None:
    made = job(here, node)
    here.api.apply(made)
    pod = node.pod(here.namespace)
    log = node.log(pod)
    log.lines += [f"line {number}" for number in range(100)]
    node.says(here.namespace, pod, RUNNING, phase="Running")
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as first:
        here.heard("line 99")
        here.stop.set()
        assert first.failed().message == "interrupted"
    assert "line 90" in here.said
    assert "line 89" not in here.said
    here.stop.clear()
    here.said.clear()
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as again:
        here.heard("line 99")
        log.lines.append("the end")
        log.over.set()
        here.heard("the end")
        node.says(here.namespace, pod, ended(0), phase="Succeeded")
    assert again.error is None


def test_a_failed_job_is_told_with_its_last_lines_and_why(here: Space, node: Kubelet) -> None:
    made = job(here, node)
    here.api.apply(made)
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as follows:
        pod = node.pod(here.namespace)
        log = node.log(pod)
        log.lines += ["converting", "loading 13 GB"]
        node.says(here.namespace, pod, RUNNING, phase="Running")
        here.heard("loading 13 GB")
        log.over.set()
        node.says(here.namespace, pod, ended(137, "OOMKilled"), phase="Failed")
        error = follows.failed()
    assert error.message.startswith(
        "Job/llm-prepare failed: container triton was killed: it used more memory than its limit "
        "of 1Gi (OOMKilled) (BackoffLimitExceeded: Job has reached the specified backoff limit)"
    )
    assert error.message.endswith("  converting\n  loading 13 GB")
    assert "more memory" in error.hint


def test_a_job_that_tries_again_is_followed_in_its_next_pod(here: Space, node: Kubelet) -> None:
    made = job(here, node, backoffLimit=1)
    here.api.apply(made)
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=60)) as follows:
        first = node.pod(here.namespace)
        node.log(first).lines.append("the first try")
        node.log(first).over.set()
        node.says(here.namespace, first, ended(1, "Error"), phase="Failed")
        here.heard("the first try")
        here.heard(f"pod {first} on {node.name}: container triton ended with status 1")
        second = node.pod(here.namespace, beside=(first,), timeout=40)
        node.log(second).lines.append("the second try")
        node.log(second).over.set()
        node.says(here.namespace, second, ended(0), phase="Succeeded")
    assert follows.error is None
    assert here.said.index("the first try") < here.said.index("the second try")


def test_a_job_that_ran_longer_than_it_may_shows_what_it_said_last(
    here: Space, node: Kubelet
) -> None:
    made = job(here, node, activeDeadlineSeconds=3)
    here.api.apply(made)
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as follows:
        pod = node.pod(here.namespace)
        node.log(pod).lines.append("still converting")
        node.says(here.namespace, pod, RUNNING, phase="Running")
        here.heard("still converting")
        error = follows.failed()
    assert "DeadlineExceeded" in error.message
    assert error.message.endswith("  still converting")
    assert "activeDeadlineSeconds" in error.hint


def test_a_log_that_breaks_off_is_taken_up_where_it_was(here: Space, node: Kubelet) -> None:
    made = job(here, node)
    here.api.apply(made)
    with waiting(lambda: follow_job(here.target, Ref.of(made), timeout=40)) as follows:
        pod = node.pod(here.namespace)
        log = node.log(pod)
        log.lines += ["one", "two"]
        node.says(here.namespace, pod, RUNNING, phase="Running")
        here.heard("two")
        log.over.set()  # the stream ends, the container does not
        log.lines.append("three")
        here.heard("three")
        node.says(here.namespace, pod, ended(0), phase="Succeeded")
    assert follows.error is None
    assert [line for line in here.said if line in ("one", "two", "three")] == [
        *("one", "two", "three")
    ]
