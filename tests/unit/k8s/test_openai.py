"""The OpenAI API on a cluster: a container beside Triton's, and the ways that lead to it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rolecall.api import ClusterReady, Skip
from rolecall.errors import ConfigError
from roles.k8s.access import address, openai_address
from roles.k8s.manifests import Manifests, manifests
from roles.k8s.render import rendered
from roles.k8s.role import k8s
from roles.k8s.warning import warning
from tests.unit.k8s.clusters import IMAGE, cluster, one

CPU = ("cpu", "kubernetes")
ON = "server.openai=true"
KEYED = (ON, "server.api_key=!env WORD")
INGRESS = "k8s.ingress={host: llm.example, port: openai}"
INGRESS_FROM = "k8s.network_policy.namespaces=[ingress]"


def made(*sets: str, word: str = "sk-top-secret", groups: tuple[str, ...] = CPU) -> Manifests:
    return manifests(cluster(groups, *sets, env={"WORD": word}))


def pod(*sets: str, word: str = "sk-top-secret") -> Any:
    return one(made(*sets, word=word).workload, "Deployment")["spec"]["template"]


def containers(*sets: str) -> dict[str, Any]:
    return {one["name"]: one for one in pod(*sets)["spec"]["containers"]}


def test_without_the_setting_nothing_is_different() -> None:
    text = json.dumps(list(made().all()))
    assert "openai" not in text and "default-container" not in text


def test_it_is_a_container_of_the_same_image_that_may_no_more_than_the_first() -> None:
    both = containers(ON)
    assert list(both) == ["triton", "openai"]  # the first is the one that is meant
    triton, openai = both["triton"], both["openai"]
    assert openai["image"] == triton["image"] == IMAGE
    assert openai["securityContext"] == triton["securityContext"]
    assert openai["args"] == [
        "./inv",
        "serve",
        "--openai",
        "--inventory",
        "/etc/rolecall/inventory",
    ]
    assert triton == containers()["triton"]
    annotations = pod(ON)["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "triton"


def test_it_reads_the_volume_and_writes_nothing_of_others() -> None:
    mounts = {mount["mountPath"]: mount for mount in containers(ON)["openai"]["volumeMounts"]}
    assert mounts["/data"]["readOnly"] is True
    assert set(mounts) == {"/data", "/etc/rolecall/inventory", "/tmp"}
    volumes = {volume["name"] for volume in pod(ON)["spec"]["volumes"]}
    assert mounts["/tmp"]["name"] in volumes and mounts["/tmp"]["name"] != "tmp"


def test_that_triton_is_not_ready_takes_requests_away_and_restarts_nothing() -> None:
    found = containers(ON, "server.openai_port=9100")["openai"]
    paths = {
        kind: found[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "readiness", "liveness")
    }
    assert paths == {
        "startup": "/health/live",
        "readiness": "/health",
        "liveness": "/health/live",
    }
    assert found["ports"] == [{"name": "openai", "containerPort": 9100}]
    assert found["lifecycle"] == containers(ON)["triton"]["lifecycle"]
    assert "lifecycle" not in containers(ON, "k8s.rolling.drain=0")["openai"]


def test_it_asks_for_little_and_for_what_is_set() -> None:
    assert containers(ON)["openai"]["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "256Mi"},
    }
    more = containers(ON, "k8s.openai.resources={cpu: 2, memory_request: 1Gi}")["openai"]
    assert more["resources"] == {"limits": {"cpu": "2"}, "requests": {"memory": "1Gi"}}


def test_it_changes_nothing_of_what_is_prepared() -> None:
    assert made().prepare == made(*KEYED).prepare
    assert made().prepare_digest == made(*KEYED).prepare_digest


def test_the_key_is_in_a_secret_and_another_key_rolls_the_pods() -> None:
    found = made(*KEYED)
    (secret,) = found.secrets
    data = secret["data"]["ROLECALL_SERVER_API_KEY"]
    assert base64.b64decode(data) == b"sk-top-secret"
    rest = json.dumps([thing for thing in found.all() if thing["kind"] != "Secret"])
    assert "sk-top-secret" not in rest and data not in rest
    one_, same, other = (pod(*KEYED, word=word) for word in ("sk-1", "sk-1", "sk-2"))
    assert one_ == same
    differing = {
        name
        for name, value in one_["metadata"]["annotations"].items()
        if other["metadata"]["annotations"][name] != value
    }
    assert differing == {"rolecall.dev/api-key"}
    assert one_["spec"] == other["spec"]


def test_files_hold_neither_the_key_nor_what_it_could_be_guessed_from() -> None:
    text = json.dumps(rendered(made(*KEYED, word="unread")))
    assert "rolecall.dev/api-key" not in text
    assert "--from-file=ROLECALL_SERVER_API_KEY=FILE" in text
    assert "--openai" in text


def test_the_service_has_its_port() -> None:
    ports = one(made(ON, "server.openai_port=9100").others, "Service")["spec"]["ports"]
    assert [(port["name"], port["port"], port["targetPort"]) for port in ports] == [
        ("http", 8000, "http"),
        ("grpc", 8001, "grpc"),
        ("openai", 9100, "openai"),
    ]


def test_an_ingress_and_a_route_can_lead_to_it() -> None:
    gateway = "k8s.gateway={name: public, hostnames: [llm.example], port: openai}"
    found = made(ON, INGRESS, gateway, INGRESS_FROM).others
    (rule,) = one(found, "Ingress")["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["port"] == {"name": "openai"}
    (rule,) = one(found, "HTTPRoute")["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "llm", "port": 9000}]


@pytest.mark.parametrize(
    "way", [INGRESS, "k8s.gateway={name: public, hostnames: [llm.example], port: openai}"]
)
def test_a_way_to_nothing_is_refused(way: str) -> None:
    with pytest.raises(ConfigError, match=r"port is openai, and server\.openai is not set"):
        made(way, INGRESS_FROM)


def allowed(*sets: str) -> list[tuple[int, list[str]]]:
    """Of each rule, how many may come in, and at which ports."""
    rules = one(made(*sets).others, "NetworkPolicy")["spec"]["ingress"]
    return [(len(rule["from"]), [port["port"] for port in rule["ports"]]) for rule in rules]


def test_who_comes_through_a_way_to_it_reaches_nothing_else() -> None:
    metrics = (1, ["metrics"])
    triton = ["http", "grpc"]
    assert allowed(ON) == [(1, [*triton, "openai"]), metrics]
    assert allowed(ON, INGRESS, INGRESS_FROM) == [
        (1, [*triton, "openai"]),
        (1, ["openai"]),
        metrics,
    ]
    both = "k8s.gateway={name: public, hostnames: [llm.example]}"
    assert allowed(ON, INGRESS, both, INGRESS_FROM) == [(2, [*triton, "openai"]), metrics]


def test_its_address_is_where_the_way_leads() -> None:
    host = cluster(CPU, ON)
    assert openai_address(host, {}) == "http://llm.demo.svc:9000/v1"
    host = cluster(CPU, ON, INGRESS, INGRESS_FROM)
    assert openai_address(host, {}) == "http://llm.example/v1"
    assert address(host, {}) == ""  # Triton itself is not behind it
    host = cluster(CPU, ON, "k8s.service.type=LoadBalancer", INGRESS_FROM)
    found = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    assert openai_address(host, found) == "http://192.0.2.1:9000/v1"


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ((ON,), ""),
        ((INGRESS, ON, INGRESS_FROM), "asks for no key: set server.api_key"),
        ((INGRESS, *KEYED, INGRESS_FROM), ""),
        (("k8s.ingress.host=llm.example", *KEYED, INGRESS_FROM), "leads to Triton itself"),
        (("k8s.service.type=LoadBalancer", *KEYED, INGRESS_FROM), "leads to Triton itself"),
        (("k8s.service.type=LoadBalancer", INGRESS_FROM), ""),
    ],
)
def test_it_is_told_who_can_ask_without_a_key(sets: tuple[str, ...], said: str) -> None:
    host = cluster(CPU, *sets, env={"WORD": "sk-top-secret"})
    assert said in warning(host) and bool(said) == bool(warning(host))
    noted = [one.reason for one in k8s.resources(host) if isinstance(one, Skip)]
    assert len(noted) == bool(said) and all(said in reason for reason in noted)
    assert any(isinstance(one, ClusterReady) for one in k8s.resources(host))


def test_tritons_own_needs_no_second_container() -> None:
    sets = (ON, "server.openai_kind=triton")
    found = one(made(*sets, groups=("gpu_engine", "kubernetes")).workload, "Deployment")
    (only,) = found["spec"]["template"]["spec"]["containers"]
    assert {"name": "openai", "containerPort": 9000} in only["ports"]
    with pytest.raises(ConfigError, match="does not bring it"):
        made(*sets)


@pytest.mark.parametrize("exactly", ["true", "false"])
def test_a_service_of_t9k_has_no_place_for_it(exactly: str) -> None:
    with pytest.raises(ConfigError, match="a service of T9k has one port"):
        made(ON, f"k8s.published_exactly={exactly}", groups=("t9k", "t9k_published"))
