"""Asking a model with the LLM API's interface, behind the real Triton and its python backend."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError

from rolecall.errors import RolecallError
from roles.server.client import Sampling, ask, is_ready, served, stream
from roles.server.command import Ranks, command, tritonserver
from roles.server.settings import Server
from tests.integration.deployed import ROOT, Deployment, free_ports
from tests.integration.serving import rig
from tests.integration.serving.openai_rig import MODEL, FrontDeployment, client, front

#: Names and types of the input tensors that are asked with, from
#: triton_backend/all_models/llmapi/tensorrt_llm/config.pbtxt, TensorRT-LLM release 1.2.
INPUTS = {
    "streaming": "BOOL",
    "sampling_param_temperature": "FP32",
    "sampling_param_top_k": "INT32",
    "sampling_param_top_p": "FP32",
    "sampling_param_max_tokens": "INT32",
    "sampling_param_seed": "UINT64",
    "sampling_param_exclude_input_from_output": "BOOL",
    "return_finish_reason": "BOOL",
    "stop": "BOOL",
}


def config(decoupled: bool) -> str:
    """The model's configuration, with the transaction policy that role repo adds."""
    inputs = "".join(
        f'input {{ name: "{name}" data_type: TYPE_{kind} dims: [ 1 ] optional: true }}\n'
        for name, kind in INPUTS.items()
    )
    return f"""name: "tensorrt_llm"
backend: "python"
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
input {{ name: "text_input" data_type: TYPE_STRING dims: [ -1 ] }}
{inputs}
output {{ name: "text_output" data_type: TYPE_STRING dims: [ -1 ] }}
output {{ name: "finish_reason" data_type: TYPE_STRING dims: [ -1 ] }}
model_transaction_policy {{ decoupled: {str(decoupled).lower()} }}
"""


@pytest.fixture(params=[True, False], ids=["decoupled", "whole"], scope="module")
def url(
    request: pytest.FixtureRequest, deployed: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Triton with that model, started by the role's own launcher."""
    folder = tmp_path_factory.mktemp("llmapi")
    model = folder / "repo/tensorrt_llm"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(config(request.param))
    shutil.copy(ROOT / "tests/doubles/llmapi/model.py", model / "1")
    http, grpc, metrics = free_ports(3)
    settings = Server(http_port=http, grpc_port=grpc, metrics_port=metrics, stop_timeout=3)
    backends = (deployed.home / "artifacts/backends/current").resolve()
    options = tritonserver(settings, str(folder / "repo"), str(backends))
    launch = ["/bin/sh", str(ROOT / "roles/server/launch.sh"), str(deployed.python)]
    log = Path(folder / "log")
    with log.open("w") as out:
        server = subprocess.Popen(
            [*launch, *command(settings, Ranks("plain"), options)], stdout=out, stderr=out
        )
    try:
        address = f"http://127.0.0.1:{http}"
        deadline = time.monotonic() + 90
        while not is_ready(address):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def test_a_whole_answer_comes_without_the_prompt(url: str) -> None:
    assert ask(url, "how many", Sampling(3, random_seed=7)) == "seed 7: 0 1 2"
    assert ask(url, "how many", Sampling(1, temperature=0.5, top_k=2, top_p=0.5)) == "seed 0: 0"


def test_a_stream_comes_in_pieces_none_said_twice(url: str) -> None:
    model = served(url, stream=True)
    assert model.name == "tensorrt_llm" and model.is_llm_api
    pieces = list(stream(url, "how many", Sampling(3)))
    assert "".join(pieces) == "seed 0: 0 1 2"
    assert pieces == (["seed 0:", " 0", " 1", " 2"] if model.decoupled else ["seed 0: 0 1 2"])


def test_the_openai_api_in_front_of_it(
    url: str, openai_front: FrontDeployment, tmp_path: Path
) -> None:
    engine = openai_front.deployment.engine_dir
    with front(openai_front.python, url, [engine], tmp_path / "log") as address:
        asked = client(address)
        usual: Any = {"model": MODEL, "prompt": "how many", "max_tokens": 3, "seed": 7}
        answer = asked.completions.create(**usual)
        assert answer.choices[0].text == "seed 7: 0 1 2"
        assert answer.choices[0].finish_reason == "length"
        chunks = list(asked.completions.create(**usual, stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == "seed 7: 0 1 2"
        stopped = asked.completions.create(**usual, stop=": 0 1")
        assert stopped.choices[0].text == "seed 7"
        assert stopped.choices[0].finish_reason == "stop"
        messages: Any = [{"role": "user", "content": "how many"}]
        said = asked.chat.completions.create(model=MODEL, messages=messages, max_tokens=2, seed=1)
        assert said.choices[0].message.content == "seed 1: 0 1"
        with pytest.raises(BadRequestError) as refused:
            asked.completions.create(**usual, extra_body={"ignore_eos": True})
        assert refused.value.code == "unsupported_parameter"


def test_ids_that_it_has_no_input_for_are_left_out(url: str) -> None:
    assert ask(url, "x", Sampling(1, end_id=2, pad_id=2)) == "seed 0: 0"


def test_a_wrong_value_is_the_servers_to_refuse(url: str) -> None:
    with pytest.raises(RolecallError, match="refused"):
        ask(url, "x", Sampling(1, random_seed=-1))


def test_a_model_that_cannot_stream_answers_whole(published: rig.Serving) -> None:
    model = served(published.http, stream=True)
    assert model.name == "tensorrt_llm_bls" and not model.decoupled
    pieces = list(stream(published.http, "Once upon a time", Sampling(6, temperature=0.0)))
    assert len(pieces) == 1 and pieces[0].strip()
