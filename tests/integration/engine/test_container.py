"""The same chain with the tools in an image: what is built in a container lands on the host."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.engine.conftest import MakeChain
from tests.rig import containers

IMAGE = "localhost/rolecall-test-tensorrt-llm:1"
LENGTHS = {"max_input_len": 48, "max_seq_len": 64}

BUILD = '#!/bin/sh\nexec python3 -m tensorrt_llm.build_command "$@"\n'


@pytest.fixture(scope="module")
def podman() -> Iterator[containers.Engine]:
    with containers.engine() as made:
        yield made


def test_checkpoint_and_engine_are_built_in_the_image(
    chain: MakeChain, podman: containers.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = os.environ["PATH"]
    made = chain(engine={**LENGTHS, "tp_size": 2})
    monkeypatch.setenv("PATH", outside)  # the doubles are nowhere but in the image
    script = made.root / "trtllm-build"
    script.write_text(BUILD)
    script.chmod(0o755)
    podman("create", "--name", "make", containers.BASE, "true")
    podman("cp", f"{made.prefix.path}/site/.", "make:/usr/lib/python3/dist-packages/")
    podman("cp", str(script), "make:/usr/local/bin/trtllm-build")
    podman("commit", "--quiet", "make", IMAGE)
    podman("rm", "make")
    made.runtime = {
        "kind": "container",
        "engine": "podman",
        "client": podman.client,
        "image": IMAGE,
        "gpus": "",
        "ulimits": (),
    }
    made.deploy()
    assert made.config()["version"] == "1.2.1"
    ranks = list(made.current("engine").glob("rank*.engine"))
    assert len(ranks) == 2 and all(path.stat().st_uid == os.getuid() for path in ranks)
    assert podman.names("-a") == []
    again = made.run()
    assert set(again.outcomes.values()) == {"ok"}
    # Another image is another tool chain.
    podman("tag", IMAGE, f"{IMAGE}-other")
    made.runtime["image"] = f"{IMAGE}-other"
    changed = made.deploy()
    assert changed.outcomes["artifact:checkpoint"] == changed.outcomes["artifact:engine"]
    assert changed.outcomes["artifact:engine"] == "changed"
