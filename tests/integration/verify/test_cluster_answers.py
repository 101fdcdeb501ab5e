"""What the address of a service answers is checked: a real Triton, and a relay that breaks it.

The Service is of a real API server; its load balancer's address, where a cloud would write one,
is the relay's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from rolecall.cluster.run import cluster_host
from rolecall.role import Host
from roles.k8s.access import reached
from roles.k8s.manifests import manifests
from tests.integration.cluster.desk import IMAGE
from tests.integration.cluster.place import Place
from tests.integration.serving.rig import Serving
from tests.integration.verify.checks_of import failing
from tests.integration.verify.relay import Relay, relay
from tests.rig.kubernetes.cluster import Cluster
from tests.unit.k8s.clusters import one, settings

CHECKS = (
    "test_the_address_answers",
    "test_every_model_is_ready",
    "test_the_same_question_has_the_same_answer",
    "test_an_answer_comes_in_pieces",
)


@dataclass
class Answers:
    """A service whose address is a relay's."""

    place: Place
    host: Host
    relay: Relay

    def failing(self, *names: str) -> dict[str, str]:
        """Of the checks, or of those with these names, the ones that do not hold."""
        chosen = tuple(f"test_{name}" for name in names) or CHECKS
        target = self.place.target()
        with reached(target, self.host) as url:
            assert url == f"http://127.0.0.1:{self.relay.port}"
            return failing(target, self.host, chosen, url=url, host=None)


@pytest.fixture(scope="module")
def whole(
    cluster: Cluster, serving: Serving, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    with cluster.namespace() as name, relay(serving.http) as made:
        known = settings(
            ("cpu", "kubernetes"),
            f"k8s.image={IMAGE}",
            "k8s.service.type=LoadBalancer",
            "k8s.network_policy.enabled=false",
            f"server.http_port={made.port}",
        )
        host = cluster_host("cluster", name, known)
        place = Place(cluster, name, tmp_path_factory.mktemp("answers"))
        place.api().apply(one(list(manifests(host).all()), "Service"))
        balanced = {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
        patch = json.dumps(balanced)
        place.kubectl("patch", "service/llm", "--subresource=status", "--type=merge", "-p", patch)
        yield Answers(place, host, made)


@pytest.fixture
def answers(whole: Answers) -> Iterator[Answers]:
    yield whole
    whole.relay.instead.clear()


def test_a_server_that_is_well_holds_every_check(answers: Answers) -> None:
    assert answers.failing() == {}


SAME, PIECES = "the_same_question_has_the_same_answer", "an_answer_comes_in_pieces"
MODELS = "every_model_is_ready"


def test_a_model_that_is_not_loaded_is_named_with_its_reason(answers: Answers) -> None:
    index = "/v2/repository/index"
    listed = httpx.post(f"http://127.0.0.1:{answers.relay.port}{index}", json={}).json()
    gone = next(one for one in listed if one["name"] == "postprocessing")
    gone.update(state="UNAVAILABLE", reason="unloaded")
    answers.relay.instead[index] = lambda: json.dumps(listed).encode()
    said = answers.failing()
    assert said.keys() == {MODELS}
    assert "model postprocessing is UNAVAILABLE unloaded, and should be READY" in said[MODELS]
    answers.relay.instead[index] = lambda: b"[]"
    assert "Triton has no model" in answers.failing(MODELS)[MODELS]


def test_answers_that_vary_are_shown_side_by_side(answers: Answers) -> None:
    count = itertools.count()
    answers.relay.instead["/generate"] = lambda: _says(f"answer {next(count)}")
    assert "  answer 0\n  answer 1\n" in answers.failing(SAME)[SAME]


def test_an_empty_answer_is_none(answers: Answers) -> None:
    answers.relay.instead["/generate"] = lambda: _says(" ")
    said = answers.failing(SAME)[SAME]
    assert "the answer to 'What is machine learning?' is empty" in said


def test_an_answer_that_does_not_stream_is_told(answers: Answers) -> None:
    answers.relay.instead["/generate_stream"] = lambda: b"data: %s\n\n" % _says("all at once")
    said = answers.failing()
    assert said.keys() == {PIECES}
    assert "the stream was one piece: 'all at once'" in said[PIECES]
    two = b"".join(b"data: %s\n\n" % _says(word) for word in ("another ", "answer"))
    answers.relay.instead["/generate_stream"] = lambda: two
    assert (
        "the stream says\n  another answer\nand the answer in one piece"
        in (answers.failing(PIECES)[PIECES])
    )


def _says(text: str) -> bytes:
    return json.dumps({"text_output": text}).encode()
