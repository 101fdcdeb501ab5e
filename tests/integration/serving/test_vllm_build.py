"""The checkpoint that is made of a GGUF means the same model."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.integration.serving import rig
from tests.integration.serving.rig import Workshop

FOLDERS = os.pathsep.join(str(path.parent) for path in (rig.BUILD, rig.VLLM_BUILD))

#: Attention sees only products of rotated queries and keys. llama.cpp rotates neighbouring rows
#: together, transformers a row of the first half with its partner in the second.
_PRODUCTS = """
import numpy as np
from checkpoint import halves

heads, size, hidden = 3, 8, 5
random = np.random.default_rng(0)
query, key = (random.standard_normal((heads * size, hidden)).astype(np.float32) for _ in "qk")
states = random.standard_normal((2, hidden)).astype(np.float32)

def rotated(vector, position, pairs):
    angles = position / 10000.0 ** (np.arange(size // 2) * 2 / size)
    first, second = (vector[..., 0::2], vector[..., 1::2]) if pairs else np.split(vector, 2, -1)
    return np.concatenate([first * np.cos(angles) - second * np.sin(angles),
                           first * np.sin(angles) + second * np.cos(angles)], -1)

def products(query, key, pairs):
    q, k = ((w @ s).reshape(heads, size) for w, s in ((query, states[0]), (key, states[1])))
    return (rotated(q, 7, pairs) * rotated(k, 3, pairs)).sum(-1)

expected = products(query, key, pairs=True)
found = products(halves(query, heads), halves(key, heads), pairs=False)
np.testing.assert_allclose(found, expected, rtol=1e-5)
assert not np.allclose(products(query, key, pairs=False), expected, rtol=1e-3)
"""


@pytest.fixture(scope="module")
def vllm_workshop(workshop: Workshop) -> Workshop:
    return rig.prepare_vllm(workshop.backends.parent / "vllm", workshop.gguf)


def test_attention_of_the_checkpoint_equals_that_of_the_gguf(vllm_workshop: Workshop) -> None:
    subprocess.run(
        [vllm_workshop.python, "-B", "-c", _PRODUCTS],
        env={**os.environ, "PYTHONPATH": FOLDERS},
        check=True,
    )


def test_the_checkpoint_holds_every_tensor_under_transformers_names(
    vllm_workshop: Workshop,
) -> None:
    script = """
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], "numpy") as file:
    print(json.dumps({name: file.get_slice(name).get_shape() for name in file.keys()}))
"""
    weights = vllm_workshop.engine_dir / "checkpoint" / "model.safetensors"
    done = subprocess.run(
        [vllm_workshop.python, "-c", script, weights], capture_output=True, text=True, check=True
    )
    shapes = json.loads(done.stdout)
    assert len(shapes) == 272
    assert shapes["model.layers.29.self_attn.k_proj.weight"] == [192, 576]
    assert shapes["model.embed_tokens.weight"] == [49152, 576]
    config = json.loads((vllm_workshop.engine_dir / "checkpoint" / "config.json").read_text())
    assert config["tie_word_embeddings"] is True


def test_limits_that_the_model_cannot_serve_are_refused(
    vllm_workshop: Workshop, tmp_path: object
) -> None:
    command = [vllm_workshop.python, "-B", rig.VLLM_BUILD, "--model", vllm_workshop.gguf]
    command += ["--output", tmp_path, "--python", "/usr/bin/python3", "--version", "0.26.0"]
    command += ["--max-batch-size", "4", "--max-seq-len", "99999", "--max-num-tokens", "512"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": FOLDERS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "max_seq_len 99999 is more than the model's context of 8192 tokens" in done.stderr
