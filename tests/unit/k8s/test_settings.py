"""Settings of a cluster: what is refused before anything is asked, and in which words."""

from __future__ import annotations

import pytest

from rolecall.errors import ConfigError
from roles.k8s.settings import K8s
from roles.k8s.values import binary
from tests.unit.k8s.clusters import settings

OPEN = "k8s.network_policy.enabled=false"


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["k8s.name=Llm"], "'Llm' is no name: up to 40 lower-case letters"),
        (["k8s.name=" + "a" * 41], "is no name"),
        (["k8s.name=1st"], "the first a letter"),
        (["k8s.image=Registry/X:1"], "is no name of a container image"),
        (["k8s.resources.memory=64 GiB"], "'64 GiB' is no amount such as 4, 500m or 64Gi"),
        (["k8s.volume.size="], "no amount"),
        (["k8s.volume.access_modes=[]"], "at least one is needed"),
        (["k8s.volume.access_modes=[ReadWriteOncePod, ReadWriteOnce]"], "goes with no other"),
        (["k8s.registry.username=me"], "username and password belong together"),
        (["k8s.ingress.class_name=nginx"], "an Ingress needs a host name: set ingress.host"),
        (["k8s.ingress.host=LLM_example", OPEN], "no host name in lower case"),
        (["k8s.gateway.name=public", OPEN], "a route needs host names"),
        (["k8s.gateway.hostnames=[llm.example]"], "a route needs a Gateway"),
        (["k8s.ingress.host=llm.example"], "the ingress would reach no pod"),
        (["k8s.service.type=LoadBalancer"], "the service of type LoadBalancer would reach no pod"),
        (["k8s.autoscale.min=3", "k8s.autoscale.max=2"], "autoscale.min (3) is above"),
        (["k8s.labels={app.kubernetes.io/name: x}"], "what Rolecall itself marks its objects with"),
        (["k8s.labels={a: 'b c'}"], "is no label"),
        (["k8s.annotations={bad key!: x}"], "'bad key!' is no key of an annotation"),
        (["k8s.service.annotations={a/b/c: x}"], "'a/b/c' is no key of an annotation"),
        (["k8s.scheduling.affinity={podAffinity: 3}"], "podAffinity: a mapping of terms"),
        (
            [
                "k8s.scheduling.affinity={podAffinity: "
                "{requiredDuringSchedulingIgnoredDuringExecution: {}}}"
            ],
            "a list of terms is needed",
        ),
        (["k8s.t9k.release=Bad Name"], "the name of a release is a DNS label"),
        (["k8s.t9k.runtime=Bad_Name"], "a name in lower case is needed"),
        (["k8s.t9k.args=['--path={{.OTHER}}']"], "nothing fills {{.OTHER}}"),
        (["k8s.t9k.args=['{{.MODEL_REPO_PATH']"], "ends with }}"),
        (["k8s.t9k.model_repo_path=/elsewhere"], "is not below mount_path (/workspace)"),
        (["k8s.flavour=t9k", "k8s.t9k.release=" + "r" * 60], "63 may be: shorten name or"),
        (["k8s.flavour=t9k", "k8s.replicas=3", "k8s.t9k.max_replicas=2"], "is below replicas (3)"),
        (["k8s.env={1A: x}"], "cannot be the name of a variable"),
        (["k8s.network_policy={enabled: false, deny_egress: true}"], "deny_egress needs enabled"),
        (["k8s.security.user=0"], "greater than 0"),
        (["k8s.t9k.mount_path=workspace"], "is no absolute path"),
        (["k8s.replcas=2"], "there is no setting k8s.replcas"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(sets: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match="k8s") as refused:
        settings(["kubernetes"], *sets)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"replicas": 2}, "up to 2 pods cannot share"),
        ({"autoscale": {"enabled": True, "max": 3}}, "up to 3 pods cannot share"),
        ({"rolling": {"surge": "always"}, "prepare": {"by": "none"}}, "takes one"),
        ({}, "the Job would wait for ever"),
    ],
)
def test_a_volume_for_one_pod_is_given_to_no_second(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        K8s.model_validate({"volume": {"access_modes": ["ReadWriteOncePod"]}, **more})


def test_an_amount_may_be_written_as_a_number() -> None:
    found = settings(["kubernetes"], "k8s.resources.cpu=4", "k8s.resources.cpu_request=0.5")["k8s"]
    assert isinstance(found, K8s)
    assert (found.resources.cpu, found.resources.cpu_request) == ("4", "0.5")


@pytest.mark.parametrize(
    ("size", "quantity"), [("2g", "2Gi"), ("512m", "512Mi"), ("64k", "64Ki"), ("100b", "100")]
)
def test_a_container_engines_sizes_are_translated(size: str, quantity: str) -> None:
    assert binary(size) == quantity
    assert binary("1000") == "1000"
