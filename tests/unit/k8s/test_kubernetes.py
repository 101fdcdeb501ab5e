"""Flavour kubernetes: what the settings come to, object by object."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rolecall.errors import ConfigError
from roles.k8s.manifests import Manifests, manifests
from tests.unit.k8s.clusters import IMAGE, cluster, kinds, one

GPU = ("gpu", "kubernetes")


def made(*sets: str, groups: tuple[str, ...] = ("cpu", "kubernetes"), **more: Any) -> Manifests:
    return manifests(cluster(groups, *sets, **more))


def deployment(*sets: str, groups: tuple[str, ...] = ("cpu", "kubernetes"), **more: Any) -> Any:
    return one(made(*sets, groups=groups, **more).workload, "Deployment")


def pod(thing: Any) -> Any:
    return thing["spec"]["template"]["spec"]


def container(thing: Any) -> Any:
    (only,) = pod(thing)["containers"]
    return only


def test_no_more_is_made_than_is_asked_for() -> None:
    assert kinds([*made().all()]) == [
        "ConfigMap",
        "ConfigMap",
        "Deployment",
        "Job",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Service",
        "ServiceAccount",
    ]


def test_whatever_can_be_made_is() -> None:
    everything = made(
        "k8s.replicas=2",
        "k8s.autoscale={enabled: true, min: 2}",
        "k8s.ingress.host=llm.example",
        "k8s.gateway={name: public, hostnames: [llm.example]}",
        "k8s.network_policy.namespaces=[ingress]",
        "k8s.service_monitor.enabled=true",
        "k8s.registry={username: me, password: !env WORD}",
        "model.source=hf://a/b",
        "model.token=!env WORD",
        env={"WORD": "top-secret"},
    )
    found = kinds([*everything.all()])
    assert {"Ingress", "HTTPRoute", "ServiceMonitor", "HorizontalPodAutoscaler"} < set(found)
    assert {"PodDisruptionBudget", "Secret"} < set(found)
    assert (found.count("Secret"), found.count("Service")) == (2, 2)


def test_every_object_says_whose_it_is() -> None:
    for thing in made(
        "k8s.labels={team: nlp}", "k8s.annotations={owner: me}", "k8s.name=chat"
    ).all():
        assert thing["metadata"]["namespace"] == "demo"
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "chat"
        assert labels["app.kubernetes.io/managed-by"] == "rolecall"
        assert labels["app.kubernetes.io/component"]
        assert labels["team"] == "nlp"
        assert thing["metadata"]["annotations"]["owner"] == "me"
        assert thing["metadata"]["name"].startswith("chat")


def test_where_no_namespace_is_known_none_is_said() -> None:
    assert all("namespace" not in thing["metadata"] for thing in made(namespace="").all())


def test_an_image_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"k8s\.image is not set") as refused:
        made("k8s.image=''", "k8s.prepare.by=none")
    assert "./inv image --build" in refused.value.hint


def test_the_pods_find_their_selectors() -> None:
    everything = made("k8s.replicas=2", "k8s.service_monitor.enabled=true")
    thing = one(everything.workload, "Deployment")
    labels = thing["spec"]["template"]["metadata"]["labels"].items()
    for other in everything.others:
        spec = other.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        if other["kind"] in {"Service", "NetworkPolicy", "PodDisruptionBudget"}:
            assert selector.get("matchLabels", selector).items() <= labels
    assert thing["spec"]["selector"]["matchLabels"].items() <= labels
    job = everything.prepare
    assert job is not None
    filling = job["spec"]["template"]["metadata"]["labels"]
    assert not thing["spec"]["selector"]["matchLabels"].items() <= filling.items()


def test_a_pod_serves_from_the_volume_with_the_inventory_of_its_config_map() -> None:
    everything = made()
    serving = container(one(everything.workload, "Deployment"))
    assert serving["image"] == IMAGE
    assert serving["args"] == ["./inv", "serve", "--inventory", "/etc/rolecall/inventory"]
    mounts = {mount["mountPath"]: mount["name"] for mount in serving["volumeMounts"]}
    assert mounts == {
        "/data": "data",
        "/etc/rolecall/inventory": "inventory",
        "/tmp": "tmp",
        "/dev/shm": "shm",
    }
    volumes = {one["name"]: one for one in pod(one(everything.workload, "Deployment"))["volumes"]}
    assert everything.config is not None
    source = volumes["inventory"]["configMap"]
    assert source["name"] == everything.config["metadata"]["name"]
    assert {item["key"] for item in source["items"]} == set(everything.config["data"])
    assert {item["path"] for item in source["items"]} == {"hosts.yaml", "group_vars/all.yaml"}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "llm-data"
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}


def test_memory_for_dev_shm_can_be_sized_and_left_out() -> None:
    sized = pod(deployment("k8s.shm_size=512Mi"))["volumes"][-1]
    assert sized["emptyDir"]["sizeLimit"] == "512Mi"
    assert "shm" not in json.dumps(deployment("k8s.shm=false"))


def test_the_job_makes_all_that_the_pods_look_through() -> None:
    everything = made("k8s.prepare.retries=4", "k8s.prepare.deadline=60")
    job = everything.prepare
    assert job is not None
    assert container(job)["args"][:3] == ["./inv", "serve", "--prepare"]
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (4, 60)
    assert pod(job)["restartPolicy"] == "Never"
    assert job["metadata"]["name"] == f"llm-prepare-{everything.prepare_digest[:10]}"


def test_a_job_without_the_pods_gpus_leaves_it_to_them_to_size_the_model() -> None:
    job = made(groups=GPU).prepare
    assert job is not None
    args = container(job)["args"]
    assert args[1::3] == ["python", "runtime", "model", "engine", "repo"]
    assert args[2::3] == ["--inventory"] * 5
    assert set(args[3::3]) == {"/etc/rolecall/inventory"}
    job = made("k8s.prepare.gpus=1", groups=GPU).prepare
    assert job is not None and "--prepare" in container(job)["args"]


@pytest.mark.parametrize("by", ["notebook", "none"])
def test_without_a_job_there_is_none_of_it(by: str) -> None:
    everything = made(f"k8s.prepare.by={by}")
    assert (everything.prepare, everything.prepare_config) == (None, None)


def test_a_setting_of_the_server_rolls_the_pods_and_prepares_nothing() -> None:
    before, after = made(), made("server.stop_timeout=33")
    assert before.prepare == after.prepare
    assert before.prepare_config == after.prepare_config
    assert before.prepare_digest == after.prepare_digest
    assert pod(before.workload[0])["volumes"] != pod(after.workload[0])["volumes"]


@pytest.mark.parametrize(
    "setting", ["engine.quantization=f16", "model.parallel=3", "k8s.image=other:2"]
)
def test_what_is_prepared_is_known_by_image_and_settings(setting: str) -> None:
    before, after = made(), made(setting)
    assert before.prepare_digest != after.prepare_digest
    assert before.prepare is not None and after.prepare is not None
    assert before.prepare["metadata"]["name"] != after.prepare["metadata"]["name"]
    noted = after.workload[0]["spec"]["template"]["metadata"]["annotations"]
    assert noted["rolecall.dev/prepared"] == after.prepare_digest


@pytest.mark.parametrize(
    "setting",
    [
        "k8s.replicas=3",
        "k8s.resources.memory=9Gi",
        "k8s.prepare.retries=0",
        "k8s.volume.size=1Ti",
        "preflight.accept='does not fit'",
    ],
)
def test_sizes_prepare_nothing_anew(setting: str) -> None:
    assert made().prepare_digest == made(setting).prepare_digest


def test_config_maps_are_immutable_and_named_by_content() -> None:
    before, after = made(), made("server.stop_timeout=33")
    assert before.config is not None and after.config is not None
    assert before.config["immutable"] is True
    assert before.config["metadata"]["name"] != after.config["metadata"]["name"]
    assert made().config == before.config


def test_a_secret_goes_into_a_secret_and_nowhere_else() -> None:
    groups = ("gpu", "kubernetes")
    env = {"TOKEN": "hf_top", "WORD": "pass-word"}
    everything = made(
        "model.token=!env TOKEN",
        "k8s.registry={username: me, password: !env WORD}",
        groups=groups,
        env=env,
    )
    values, registry = everything.secrets
    assert base64.b64decode(values["data"]["ROLECALL_MODEL_TOKEN"]) == b"hf_top"
    login = json.loads(base64.b64decode(registry["data"][".dockerconfigjson"]))["auths"]
    assert login["registry.example"]["password"] == "pass-word"
    assert base64.b64decode(login["registry.example"]["auth"]) == b"me:pass-word"
    rest = json.dumps([thing for thing in everything.all() if thing["kind"] != "Secret"])
    for word in ("hf_top", "pass-word"):
        assert word not in rest
        assert base64.b64encode(word.encode()).decode() not in rest
        assert word not in repr(everything)
    for thing in (everything.prepare, *everything.workload):
        (variable,) = [one for one in container(thing)["env"] if "valueFrom" in one]
        assert variable["valueFrom"]["secretKeyRef"] == {
            "name": "llm-secrets",
            "key": "ROLECALL_MODEL_TOKEN",
        }
        assert {"name": "llm-registry"} in pod(thing)["imagePullSecrets"]


def test_another_token_changes_nothing_but_the_secret() -> None:
    one_, other = (
        made("model.token=!env TOKEN", groups=GPU, env={"TOKEN": token}) for token in ("a", "b")
    )
    assert one_.secrets != other.secrets
    assert one_.prepare_digest == other.prepare_digest
    assert one_.workload == other.workload


def test_pods_without_a_gpu_ask_for_none() -> None:
    wanted = container(deployment())["resources"]
    assert wanted == {"limits": {"memory": "4Gi"}, "requests": {"cpu": "1", "memory": "4Gi"}}


def test_pods_have_as_many_gpus_as_the_model_is_split_over() -> None:
    everything = made("repo.llmapi.tensor_parallel_size=4", groups=GPU)
    limits = container(everything.workload[0])["resources"]["limits"]
    assert limits == {"cpu": "4", "memory": "64Gi", "nvidia.com/gpu": "4"}
    assert everything.prepare is not None
    assert "nvidia.com/gpu" not in container(everything.prepare)["resources"]["limits"]


def test_an_engine_is_built_on_the_gpu_it_is_for() -> None:
    everything = made(
        "k8s.gpu.resource=nvidia.com/mig-3g.40gb",
        "k8s.prepare.resources.memory=128Gi",
        groups=("gpu_engine", "kubernetes"),
    )
    assert everything.prepare is not None
    wanted = container(everything.prepare)["resources"]["limits"]
    assert wanted == {"cpu": "4", "memory": "128Gi", "nvidia.com/mig-3g.40gb": "1"}
    none = made("k8s.prepare.gpus=0", groups=("gpu_engine", "kubernetes")).prepare
    assert none is not None
    assert "nvidia.com/gpu" not in container(none)["resources"]["limits"]


def test_pods_go_where_the_settings_say() -> None:
    spec = pod(
        deployment(
            "k8s.scheduling.node_selector={gpu: l40s}",
            "k8s.scheduling.tolerations=[{key: dedicated, operator: Exists}]",
            "k8s.scheduling.priority_class=high",
            "k8s.scheduling.runtime_class=nvidia",
            "k8s.service_account=mine",
        )
    )
    assert spec["nodeSelector"] == {"gpu": "l40s"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("high", "nvidia")
    assert spec["serviceAccountName"] == "mine"
    assert "ServiceAccount" not in kinds(made("k8s.service_account=mine").others)


def test_pods_that_share_a_volume_of_one_node_share_the_node() -> None:
    everything = made("k8s.scheduling.affinity={nodeAffinity: {a: 1}, podAffinity: {b: 2}}")
    for thing in (everything.prepare, everything.workload[0]):
        assert thing is not None
        rule = "requiredDuringSchedulingIgnoredDuringExecution"
        (term,) = pod(thing)["affinity"]["podAffinity"][rule]
        labels = thing["spec"]["template"]["metadata"]["labels"]
        assert term["labelSelector"]["matchLabels"].items() <= labels.items()
    assert pod(everything.workload[0])["affinity"]["nodeAffinity"] == {"a": 1}
    assert pod(everything.workload[0])["affinity"]["podAffinity"]["b"] == 2


@pytest.mark.parametrize("setting", ["access_modes=[ReadWriteMany]", "one_node=false"])
def test_pods_of_several_nodes_need_not(setting: str) -> None:
    assert "affinity" not in pod(deployment(f"k8s.volume.{setting}"))


def test_nothing_may_do_more_than_it_has_to() -> None:
    everything = made()
    for thing in (everything.prepare, everything.workload[0]):
        spec = pod(thing)
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert spec["automountServiceAccountToken"] is False
        assert container(thing)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_the_platform_may_choose_the_user() -> None:
    chosen = pod(deployment("k8s.security={user: null, group: null}"))["securityContext"]
    assert chosen == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("groups", "sets", "rolling"),
    [
        (("cpu", "kubernetes"), [], (1, 0)),
        (("cpu", "kubernetes"), ["k8s.rolling.surge=never"], (0, 1)),
        (GPU, [], (0, 1)),
        (GPU, ["k8s.replicas=2"], (1, 1)),
        (GPU, ["k8s.rolling.surge=always"], (1, 0)),
        (GPU, ["k8s.autoscale={enabled: true, min: 1}"], (0, 1)),
        (GPU, ["k8s.autoscale={enabled: true, min: 2}"], (1, 1)),
        (
            ("cpu", "kubernetes"),
            ["k8s.volume.access_modes=[ReadWriteOncePod]", "k8s.prepare.by=none"],
            (0, 1),
        ),
    ],
)
def test_a_rollout_never_waits_for_what_an_old_pod_holds(
    groups: tuple[str, ...], sets: list[str], rolling: tuple[int, int]
) -> None:
    strategy = deployment(*sets, groups=groups)["spec"]["strategy"]["rollingUpdate"]
    assert (strategy["maxSurge"], strategy["maxUnavailable"]) == rolling


def test_a_pod_that_goes_serves_on_until_nobody_asks_it() -> None:
    thing = deployment("k8s.rolling.drain=7", "server.stop_timeout=20")
    assert container(thing)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert pod(thing)["terminationGracePeriodSeconds"] > 7 + 20
    assert "lifecycle" not in container(deployment("k8s.rolling.drain=0"))


@pytest.mark.parametrize(
    ("sets", "seconds"),
    [
        (["server.ready_timeout=600"], 660),
        (["k8s.probes.startup=47"], 50),
        (["server.ready_timeout=600", "k8s.prepare={by: none, deadline: 1000}"], 1660),
    ],
)
def test_a_pod_is_given_the_time_its_models_need(sets: list[str], seconds: int) -> None:
    thing = deployment(*sets)
    probe = container(thing)["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == seconds
    assert thing["spec"]["progressDeadlineSeconds"] > seconds


def test_probes_ask_what_triton_answers() -> None:
    thing = container(deployment("server.http_port=9000"))
    assert thing["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": "http"}
    assert thing["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": "http"}
    assert {"name": "http", "containerPort": 9000} in thing["ports"]


def test_the_service_has_the_servers_ports() -> None:
    service = one(made("server.http_port=9000").others, "Service")["spec"]
    assert [(port["name"], port["port"]) for port in service["ports"]] == [
        ("http", 9000),
        ("grpc", 8001),
    ]
    plain = one(made("k8s.service.grpc=false").others, "Service")["spec"]
    assert [port["name"] for port in plain["ports"]] == ["http"]


def test_an_ingress_leads_to_the_service() -> None:
    ingress = one(
        made(
            "k8s.ingress={host: llm.example, class_name: nginx, tls_secret: cert}",
            "k8s.ingress.annotations={nginx.ingress.kubernetes.io/proxy-read-timeout: '600'}",
            "k8s.network_policy.namespaces=[ingress-nginx]",
        ).others,
        "Ingress",
    )
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["llm.example"], "secretName": "cert"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "llm.example"
    assert rule["http"]["paths"][0]["backend"]["service"] == {
        "name": "llm",
        "port": {"name": "http"},
    }
    assert ingress["metadata"]["annotations"]


def test_a_route_leads_from_its_gateway_to_the_service() -> None:
    route = one(
        made(
            "k8s.gateway={name: public, namespace: infra, hostnames: [llm.example]}",
            "k8s.network_policy.namespaces=[infra]",
        ).others,
        "HTTPRoute",
    )["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "infra"}]
    assert route["hostnames"] == ["llm.example"]
    assert route["rules"][0]["backendRefs"] == [{"name": "llm", "port": 8000}]


def test_the_network_policy_lets_in_who_is_named() -> None:
    policy = one(
        made(
            "k8s.network_policy={namespaces: [ingress], cidrs: [10.0.0.0/8], deny_egress: true}",
        ).others,
        "NetworkPolicy",
    )["spec"]
    requests, metrics = policy["ingress"]
    assert requests["from"] == [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}},
    ]
    assert [port["port"] for port in requests["ports"]] == ["http", "grpc"]
    assert [port["port"] for port in metrics["ports"]] == ["metrics"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy
    without = made("k8s.network_policy.enabled=false", "k8s.service.type=NodePort")
    assert "NetworkPolicy" not in kinds(without.others)


@pytest.mark.parametrize(
    ("groups", "metric"),
    [
        (
            ("cpu", "kubernetes"),
            {
                "name": "nv_trt_llm_request_metrics",
                "selector": {"matchLabels": {"request_type": "waiting"}},
            },
        ),
        (GPU, {"name": "nv_inference_pending_request_count"}),
    ],
)
def test_the_queue_decides_how_many_pods_there_are(
    groups: tuple[str, ...], metric: dict[str, Any]
) -> None:
    everything = made("k8s.autoscale={enabled: true, max: 3}", groups=groups)
    scaler = one(everything.others, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 3)
    assert scaler["metrics"][0]["pods"]["metric"] == metric
    assert "replicas" not in everything.workload[0]["spec"]


def test_another_metric_has_its_own_labels() -> None:
    scaler = one(
        made("k8s.autoscale={enabled: true, metric: queue, selector: {a: b}}").others,
        "HorizontalPodAutoscaler",
    )
    metric = scaler["spec"]["metrics"][0]["pods"]["metric"]
    assert metric == {"name": "queue", "selector": {"matchLabels": {"a": "b"}}}


@pytest.mark.parametrize(
    ("sets", "there"),
    [
        ([], False),
        (["k8s.replicas=2"], True),
        (["k8s.replicas=2", "k8s.pdb=false"], False),
        (["k8s.autoscale={enabled: true, min: 2}"], True),
        (["k8s.replicas=2", "k8s.autoscale={enabled: true, min: 1}"], False),
    ],
)
def test_an_eviction_may_take_one_of_several_pods(sets: list[str], there: bool) -> None:
    assert ("PodDisruptionBudget" in kinds(made(*sets).others)) is there


def test_metrics_are_offered_to_who_reads_them() -> None:
    others = made("k8s.service_monitor={enabled: true, labels: {release: prometheus}}").others
    monitor = one(others, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (service,) = [thing for thing in others if thing["metadata"]["name"] == "llm-metrics"]
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    assert selector <= service["metadata"]["labels"].items()
    (main,) = [thing for thing in others if thing["kind"] == "Service" and thing is not service]
    assert not selector <= main["metadata"]["labels"].items()


def test_a_claim_of_somebody_else_is_used_and_not_made() -> None:
    everything = made("k8s.volume={claim: shared, existing: true}")
    assert (everything.volume, everything.claim) == (None, "shared")
    data = pod(everything.workload[0])["volumes"][0]
    assert data["persistentVolumeClaim"]["claimName"] == "shared"


def test_the_volume_is_as_large_as_asked() -> None:
    volume = made(
        "k8s.volume={size: 2Ti, storage_class: fast, access_modes: [ReadWriteMany]}"
    ).volume
    assert volume is not None
    assert volume["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "2Ti"}},
        "storageClassName": "fast",
    }


def test_variables_reach_every_container() -> None:
    everything = made("k8s.env={HTTPS_PROXY: http://proxy.example}")
    for thing in (everything.prepare, everything.workload[0]):
        assert {"name": "HTTPS_PROXY", "value": "http://proxy.example"} in container(thing)["env"]


def test_the_same_settings_give_the_same_objects() -> None:
    first, second = made(groups=GPU), made(groups=GPU)
    assert [*first.all()] == [*second.all()]


def test_manifests_are_plain_data() -> None:
    for groups in (("cpu", "kubernetes"), GPU, ("gpu_engine", "kubernetes")):
        things = [*made(groups=groups).all()]
        assert json.loads(json.dumps(things)) == things
