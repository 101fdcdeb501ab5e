"""What keeps pods from being ready, in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.cluster.diagnosis.creation import creation_trouble
from rolecall.cluster.diagnosis.pods import pod_report, unready
from rolecall.cluster.diagnosis.trouble import LogsOf, Trouble
from rolecall.cluster.diagnosis.volumes import claim_trouble
from tests.unit.cluster.states import claim, condition, ended, event, pod, ready_pod, waiting


def only_trouble(thing: Any, *events: Any, holders: Any = ()) -> Trouble:
    report = pod_report(thing, events, holders)
    assert len(report.troubles) == 1, report
    return report.troubles[0]


# Images


@pytest.mark.parametrize(
    ("words", "means", "hint", "hope"),
    [
        (
            'failed to resolve reference "registry.example/triton:1": registry.example/triton:1: '
            "not found",
            "the registry has no such image",
            "check the image's name and tag",
            "little",
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server "
            "message: insufficient_scope: authorization failed",
            "does not let this cluster have it",
            "pull secret",
            "little",
        ),
        (
            "unexpected status from HEAD request to https://registry.example/v2/: 403 Forbidden",
            "does not let this cluster have it",
            "pull secret",
            "little",
        ),
        (
            "dial tcp: lookup registry.example on 10.0.0.2:53: no such host",
            "the node cannot reach the registry",
            "proxy, mirror",
            "some",
        ),
        (
            "unexpected status code 429 Too Many Requests - Server message: toomanyrequests",
            "too many requests",
            "mirror",
            "some",
        ),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "does not trust the registry's certificate",
            "certificate authority",
            "little",
        ),
        (
            "no match for platform in manifest: not found",
            "for other processors only",
            "nodes' processor",
            "none",
        ),
        ("write /var/lib/x: no space left on device", "the node's disk is full", "free", "some"),
    ],
)
def test_an_image_that_cannot_be_pulled_is_explained_in_the_registrys_words(
    words: str, means: str, hint: str, hope: str
) -> None:
    message = (
        'Back-off pulling image "registry.example/triton:1": ErrImagePull: rpc error: code = '
        f"Unknown desc = {words}"
    )
    trouble = only_trouble(pod(container=waiting("ImagePullBackOff", message)))
    assert means in trouble.what
    assert f"({words})" in trouble.what
    assert "registry.example/triton:1 of container triton" in trouble.what
    assert hint in trouble.hint
    assert (trouble.case, trouble.hope) == ("image", hope)


def test_an_older_kubelet_leaves_the_registrys_words_to_the_event() -> None:
    thing = pod(container=waiting("ImagePullBackOff", 'Back-off pulling image "x"'))
    said = event(thing, "Failed", 'Failed to pull image "x": x: not found', container="triton")
    assert "the registry has no such image (x: not found)" in only_trouble(thing, said).what


def test_a_name_that_is_none_will_never_be_pulled() -> None:
    message = 'Failed to apply default image tag "UPPER": couldn\'t parse image name "UPPER"'
    trouble = only_trouble(pod(container=waiting("InvalidImageName", message)))
    assert (trouble.hope, "this is no name of an image" in trouble.what) == ("none", True)


def test_an_image_on_its_way_is_no_trouble() -> None:
    thing = pod(container=waiting("ContainerCreating"))
    report = pod_report(thing, [event(thing, "Pulling", "Pulling image", container="triton")])
    assert report.troubles == ()
    assert report.line == (
        "pod llm-2-a on node-1: container triton waits for its image registry.example/triton:1, "
        "which is being pulled"
    )


# Containers that end


def crashing(code: int, reason: str, restarts: int, message: str = "") -> Any:
    return pod(
        phase="Running",
        container=waiting(
            "CrashLoopBackOff",
            "back-off 20s restarting failed container=triton pod=llm-2-a_models(uid)",
            restartCount=restarts,
            lastState=ended(code, reason, message),
        ),
    )


def test_a_container_that_ends_every_time_is_given_up_after_three_restarts() -> None:
    assert only_trouble(crashing(1, "Error", 1)).hope == "full"
    trouble = only_trouble(crashing(1, "Error", 3))
    assert trouble.hope == "none"
    assert trouble.what == ("container triton ended with status 1; it has been started 4 times")
    assert trouble.logs_of == LogsOf("llm-2-a", "triton", previous=True)


def test_out_of_memory_names_the_limit_and_is_given_up_sooner() -> None:
    trouble = only_trouble(crashing(137, "OOMKilled", 2))
    assert "used more memory than its limit of 64Gi (OOMKilled)" in trouble.what
    assert "more memory in its limits" in trouble.hint
    assert (trouble.case, trouble.hope) == ("out of memory", "none")


def test_the_message_that_a_container_left_is_shown() -> None:
    assert only_trouble(crashing(1, "Error", 3, "no model at /data")).what.endswith(
        ": no model at /data"
    )


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(127, "its command is not there"), (137, "it was killed (SIGKILL)"), (139, "SIGSEGV")],
)
def test_a_status_says_what_it_means(code: int, meaning: str) -> None:
    assert meaning in only_trouble(crashing(code, "Error", 3)).what


def test_a_container_that_ended_once_and_runs_again_may_have_been_unlucky() -> None:
    running = {"state": {"running": {}}, "lastState": ended(1), "restartCount": 1}
    assert only_trouble(pod(phase="Running", container=running)).hope == "full"


def test_a_container_that_once_failed_and_is_ready_now_is_no_trouble() -> None:
    running = {"ready": True, "state": {"running": {}}, "lastState": ended(1), "restartCount": 5}
    assert pod_report(pod(phase="Running", container=running), []).troubles == ()


def test_a_container_that_runs_again_may_have_been_mended_however_often_it_had_failed() -> None:
    running = {"state": {"running": {}}, "lastState": ended(1), "restartCount": 9}
    report = pod_report(pod(phase="Running", container=running), [])
    assert [trouble.hope for trouble in report.troubles] == ["full"]
    assert "runs, and is not ready yet; before, container triton ended with status 1" in report.line


def test_what_backs_off_names_the_command_that_tries_again_at_once() -> None:
    assert "kubectl delete pod llm-2-a" in only_trouble(crashing(1, "Error", 3)).hint
    backs_off = pod(container=waiting("ImagePullBackOff", "x: not found"))
    assert "kubectl delete pod llm-2-a" in only_trouble(backs_off).hint


# Probes


UNREADY = {"state": {"running": {}}, "ready": False}
ANSWER = "Startup probe failed: HTTP probe failed with statuscode: 503"


def test_a_probe_that_does_not_pass_yet_is_told_with_its_answer() -> None:
    thing = pod(phase="Running", container=UNREADY)
    report = pod_report(thing, [event(thing, "Unhealthy", ANSWER, container="triton")])
    assert report.line == (
        "pod llm-2-a on node-1: container triton runs; its startup probe (GET /v2/health/ready on "
        "port 8000) says: HTTP probe failed with statuscode: 503"
    )
    assert report.troubles[0].hope == "full"  # it may still be loading
    assert report.troubles[0].logs_of == LogsOf("llm-2-a", "triton")


def test_a_container_killed_for_its_probe_says_how_long_it_was_given() -> None:
    thing = crashing(143, "Error", 3)
    events = [
        event(thing, "Unhealthy", ANSWER, at=1, container="triton"),
        event(
            thing,
            "Killing",
            "Container triton failed startup probe, will be restarted",
            at=2,
            container="triton",
        ),
    ]
    trouble = only_trouble(thing, *events)
    assert "startup probe (GET /v2/health/ready on port 8000) did not pass within 300 s: " in (
        trouble.what
    )
    assert "statuscode: 503" in trouble.what
    assert "failureThreshold" in trouble.hint
    assert (trouble.case, trouble.hope) == ("probe", "none")


def test_knatives_proxy_waits_for_the_users_container_whose_lines_are_shown() -> None:
    thing = pod(phase="Running", container={**UNREADY, "name": "queue-proxy"})
    thing["spec"]["containers"] = [{"name": "queue-proxy", "readinessProbe": {}}]
    words = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    trouble = only_trouble(thing, event(thing, "Unhealthy", words, container="queue-proxy"))
    assert trouble.logs_of == LogsOf("llm-2-a", "user-container")
    assert unready(thing) == trouble.logs_of


def test_events_of_another_container_are_not_this_ones() -> None:
    thing = pod(phase="Running", container=UNREADY)
    report = pod_report(thing, [event(thing, "Unhealthy", ANSWER, container="proxy")])
    assert report.line.endswith("container triton runs, and is not ready yet")


# Configuration


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('secret "hub" not found', "make the secret hub in this namespace"),
        ('configmap "llm-config" not found', "make the configmap llm-config in this namespace"),
        ("couldn't find key token in Secret models/hub", "add the key token to the secret"),
        ('container\'s runAsUser breaks non-root policy (pod: "x")', "runAsUser"),
        (
            'container has runAsNonRoot and image will run as root (pod: "x", container: triton)',
            "runAsUser",
        ),
    ],
)
def test_a_container_that_cannot_be_made_names_what_is_missing(message: str, hint: str) -> None:
    trouble = only_trouble(pod(container=waiting("CreateContainerConfigError", message)))
    assert message in trouble.what
    assert hint in trouble.hint
    assert (trouble.case, trouble.hope) == ("configuration", "little")


def test_a_command_that_the_image_does_not_have_is_named() -> None:
    message = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        'runc create failed: unable to start container process: exec: "./inv": stat ./inv: no such '
        "file or directory: unknown"
    )
    trouble = only_trouble(pod(container=waiting("RunContainerError", message)))
    assert trouble.hint == "the image has no ./inv: check its command and the image"


# Scheduling


def unschedulable(message: str) -> Any:
    return pod(node="", conditions=[condition("PodScheduled", "False", "Unschedulable", message)])


def test_a_pod_that_no_node_takes_says_which_resource_and_how_much() -> None:
    trouble = only_trouble(
        unschedulable(
            "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient "
            "nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes are available: 3 "
            "Preemption is not helpful for scheduling."
        )
    )
    assert trouble.what == (
        "no node has enough nvidia.com/gpu free; the pod asks for nvidia.com/gpu 1 (0/3 nodes are "
        "available: 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient nvidia.com/gpu)"
    )
    assert "or tolerate the taint gpu=yes" in trouble.hint
    assert trouble.hope == "some"


def test_old_pods_that_hold_the_gpu_are_named() -> None:
    thing = unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: x")
    trouble = only_trouble(thing, holders=["pod llm-1-a"])
    assert trouble.hint.startswith("pod llm-1-a of the same workload may hold it")
    assert "maxSurge 0" in trouble.hint


def test_it_is_worth_waiting_while_the_autoscaler_adds_a_node() -> None:
    thing = unschedulable("0/1 nodes are available: 1 Insufficient cpu. preemption: x")
    trouble = only_trouble(thing, event(thing, "TriggeredScaleUp", "pod triggered scale-up"))
    assert trouble.hope == "full"
    refused = event(
        thing, "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size"
    )
    assert "max node group size" in only_trouble(thing, refused).hint


@pytest.mark.parametrize(
    ("message", "means", "hint"),
    [
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. "
            "preemption: x",
            "no node has the labels that are asked for",
            "node selector",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}. x",
            "by the taint dedicated=gpu",
            "tolerate the taint dedicated=gpu",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "llm" not found. preemption: x',
            "the volume claim llm does not exist",
            "make the claim llm",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
            "preemption: x",
            "its volume is not there yet",
            "claim",
        ),
        ("no nodes available to schedule pods", "the cluster has no node", "add a node"),
        ("something new", "no node takes the pod (something new)", "kubectl describe"),
    ],
)
def test_the_schedulers_words_are_translated(message: str, means: str, hint: str) -> None:
    trouble = only_trouble(unschedulable(message))
    assert means in trouble.what
    assert hint in trouble.hint


def test_a_pod_in_a_queue_is_waited_for() -> None:
    gated = condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked")
    assert only_trouble(pod(node="", conditions=[gated])).hope == "full"


# Pods that a node turned out


def test_an_evicted_pod_says_what_the_node_ran_short_of() -> None:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
    trouble = only_trouble(pod(phase="Failed", reason="Evicted", message=message))
    assert trouble.what.startswith("the pod was evicted on node-1 (Evicted: The node was low on")
    assert "larger node" in trouble.hint


def test_a_device_plugin_that_refuses_is_named() -> None:
    message = "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu"
    trouble = only_trouble(pod(phase="Failed", reason="UnexpectedAdmissionError", message=message))
    assert "device plugin" in trouble.hint


# Pods that may not be made


@pytest.mark.parametrize(
    ("message", "what", "hint", "case"),
    [
        (
            'pods "llm-2-a" is forbidden: exceeded quota: gpus, requested: '
            "requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=2, limited: "
            "requests.nvidia.com/gpu=2",
            "the quota gpus of the namespace is used up (requested: requests.nvidia.com/gpu=1",
            "kubectl describe quota gpus",
            "quota",
        ),
        (
            'pods "llm-2-a" is forbidden: failed quota: all: must specify limits.cpu for: triton',
            "the quota all wants every pod to say limits.cpu for: triton",
            "set these",
            "quota",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "the namespace allows only pods of the level restricted:latest",
            "keep to what it names",
            "policy",
        ),
        (
            'pods "x" is forbidden: error looking up service account models/llm: serviceaccount '
            '"llm" not found',
            "there is no service account llm",
            "kubectl create serviceaccount llm",
            "policy",
        ),
        (
            'pods "x" is forbidden: maximum memory usage per Container is 4Gi, but limit is 64Gi',
            "the limit range of the namespace forbids it: maximum memory usage",
            "limitrange",
            "quota",
        ),
    ],
)
def test_a_pod_that_may_not_be_made_says_who_forbids_it(
    message: str, what: str, hint: str, case: str
) -> None:
    trouble = creation_trouble(message)
    assert what in trouble.what
    assert hint in trouble.hint
    assert trouble.case == case


# Volumes


def test_a_claim_without_a_storage_class_says_so() -> None:
    words = "no persistent volumes available for this claim and no storage class is set"
    thing = claim("Pending", storage_class=None)
    trouble = claim_trouble("llm", thing, [event(thing, "FailedBinding", words)])
    assert trouble is not None
    assert "names no storage class, the cluster has no default one" in trouble.what
    assert "kubectl get storageclass" in trouble.hint


def test_a_storage_class_that_does_not_exist_is_named() -> None:
    thing = claim("Pending")
    words = 'storageclass.storage.k8s.io "fast" not found'
    trouble = claim_trouble("llm", thing, [event(thing, "ProvisioningFailed", words)])
    assert trouble is not None
    assert trouble.what == "the claim llm has no volume: there is no storage class fast"


def test_a_claim_that_waits_for_its_first_pod_is_no_trouble() -> None:
    thing = claim("Pending")
    words = "waiting for first consumer to be created before binding"
    assert claim_trouble("llm", thing, [event(thing, "WaitForFirstConsumer", words)]) is None
    assert claim_trouble("llm", claim(), []) is None


def test_a_claim_that_is_missing_or_lost_says_so() -> None:
    gone, lost = claim_trouble("llm", None, []), claim_trouble("llm", claim("Lost"), [])
    assert gone is not None
    assert lost is not None
    assert gone.what == "the volume claim llm does not exist"
    assert lost.hope == "none"


@pytest.mark.parametrize(
    ("reason", "message", "what", "hint"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "config" : configmap "llm-config" not found',
            "the configmap llm-config, which the pod mounts, does not exist",
            "make the configmap llm-config",
        ),
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) llm-1-a',
            "a volume cannot be mounted: Multi-Attach error",
            "ReadWriteMany",
        ),
    ],
)
def test_a_volume_that_cannot_be_mounted_is_explained(
    reason: str, message: str, what: str, hint: str
) -> None:
    thing = pod(container=waiting("ContainerCreating"))
    trouble = only_trouble(thing, event(thing, reason, message))
    assert what in trouble.what
    assert hint in trouble.hint
    assert "ready" in pod_report(ready_pod(), [event(thing, reason, message)]).line


def test_an_earlier_mount_that_failed_is_forgotten_once_the_container_has_started() -> None:
    thing = pod(phase="Running", container=UNREADY)
    events = [event(thing, "FailedMount", "timed out", at=1), event(thing, "Started", "", at=2)]
    assert pod_report(thing, events).troubles == ()


def test_the_container_that_is_waited_for_is_the_one_whose_lines_tell() -> None:
    assert unready(pod(phase="Running", container=UNREADY)) == LogsOf("llm-2-a", "triton")
    assert unready(crashing(1, "Error", 1)) == LogsOf("llm-2-a", "triton", previous=True)
    assert unready(ready_pod()) is None
