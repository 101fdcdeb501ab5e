"""What a client gets from the served model, and what each field of a request does."""

from __future__ import annotations

import itertools
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client

from .client import NEVER, QUESTION, RefusedError, generate, stream, text
from .rig import Serving, Workshop, serve

PUBLISHED = (
    '{"text_input": "What is machine learning?", "max_tokens": 100, "bad_words": "", '
    '"stop_words": "", "pad_id": 2, "end_id": 2}'
)
KEYS = {
    "context_logits",
    "cum_log_probs",
    "generation_logits",
    "model_name",
    "model_version",
    "output_log_probs",
    "sequence_end",
    "sequence_id",
    "sequence_start",
    "text_output",
}
MULTIBYTE = (
    "Write emojis: 😀🌟🎉 日本語 中文 é",
    "<|im_start|>user\nWrite a poem in Chinese 中文<|im_end|>\n<|im_start|>assistant\n",
)
PROMPTS = (
    "What is machine learning?",
    "The capital of France is",
    "Once upon a time there was a lighthouse keeper who",
    "def add(a, b):",
    "Water boils at",
    "The history of Rome begins with",
    "In physics, energy",
    "To make bread, you need flour, water, salt and",
)


@pytest.mark.parametrize("server", ["serving", "published"])
def test_the_published_curl_line_answers(server: str, request: pytest.FixtureRequest) -> None:
    running: Serving = request.getfixturevalue(server)
    url = f"{running.http}/v2/models/ensemble/generate"
    result = subprocess.run(
        ["curl", "-sS", "-X", "POST", url, "-d", PUBLISHED],
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(result.stdout)
    assert set(answer) == KEYS
    assert answer["model_name"] == "ensemble"
    assert len(answer["output_log_probs"]) == 100
    assert "data" in answer["text_output"]
    assert "learn" in answer["text_output"]
    assert QUESTION not in answer["text_output"]


@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
@pytest.mark.parametrize("prompt", [QUESTION, *MULTIBYTE])
def test_a_joined_stream_equals_the_answer_in_one_piece(
    serving: Serving, model: str, prompt: str
) -> None:
    events = stream(serving, model, text_input=prompt, max_tokens=80)
    whole = text(serving, model, text_input=prompt, max_tokens=80)
    assert "".join(event["text_output"] for event in events) == whole
    assert len(events) > 20


def test_a_stream_comes_token_by_token(serving: Serving) -> None:
    events = stream(serving, max_tokens=12, end_id=NEVER)
    assert len(events) == 12
    assert all(set(event) == KEYS for event in events)
    assert all(event["context_logits"] == 0 for event in events)


def test_a_stream_without_any_token_is_one_empty_event(serving: Serving) -> None:
    first = generate_ids(serving, 1)[0]
    assert [event["text_output"] for event in stream(serving, end_id=first)] == [""]


def generate_ids(serving: Serving, count: int) -> list[int]:
    body = {"input_ids": [1, 2, 3], "input_lengths": 3, "request_output_len": count}
    prompt = generate(serving, "preprocessing", QUERY=QUESTION, REQUEST_OUTPUT_LEN=1)
    body["input_ids"] = prompt["INPUT_ID"]
    body["input_lengths"] = len(prompt["INPUT_ID"])
    ids = generate(serving, "tensorrt_llm", **body)["output_ids"]
    return ids if isinstance(ids, list) else [ids]


def test_eight_at_once_get_what_each_gets_alone(serving: Serving) -> None:
    lengths = [20, 30, 40, 50, 60, 70, 80, 90]
    alone = [
        text(serving, text_input=p, max_tokens=n) for p, n in zip(PROMPTS, lengths, strict=True)
    ]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda p, n: text(serving, text_input=p, max_tokens=n), PROMPTS, lengths)
        )
    assert together == alone


def test_a_seed_gives_the_same_answer_whatever_else_is_in_the_batch(serving: Serving) -> None:
    def sampled(seed: int) -> str:
        return text(serving, top_k=40, temperature=1.2, random_seed=seed, end_id=NEVER)

    alone = sampled(7)
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(sampled, [7, 1, 2, 7, 3, 4]))
    assert together[0] == together[3] == alone
    assert len(set(together)) == 5


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"temperature": 0.0, "top_k": 50}])
def test_greedy_is_the_default(serving: Serving, fields: dict[str, float]) -> None:
    assert text(serving, **fields) == text(serving)


def test_top_p_samples(serving: Serving) -> None:
    answers = {text(serving, top_p=0.95, random_seed=seed, end_id=NEVER) for seed in range(3)}
    assert len(answers) == 3


@pytest.mark.parametrize("word", ["computer science", "data", "machines to", "\n\nMachine"])
def test_generation_stops_at_the_end_of_a_stop_word(serving: Serving, word: str) -> None:
    free = text(serving, max_tokens=120, end_id=NEVER)
    stopped = text(serving, max_tokens=120, end_id=NEVER, stop_words=word)
    if word in free:
        assert stopped == free[: free.index(word) + len(word)]
    else:
        assert stopped == free


def test_the_first_of_several_stop_words_counts(serving: Serving) -> None:
    stopped = text(serving, max_tokens=120, stop_words=["algorithms", "subset"])
    assert stopped.endswith("subset")


@pytest.mark.parametrize("words", ["learning", ["machine", "data", "is a"], ["é", "algorithm"]])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_bad_words_do_not_appear(
    serving: Serving, words: str | list[str], seed: int | None
) -> None:
    sampling = {} if seed is None else {"top_k": 20, "random_seed": seed}
    answer = text(serving, max_tokens=120, end_id=NEVER, bad_words=words, **sampling)
    assert len(answer) > 40
    for word in [words] if isinstance(words, str) else words:
        assert word not in answer


def test_bad_words_of_one_request_do_not_touch_another(serving: Serving) -> None:
    alone = text(serving)
    with ThreadPoolExecutor(2) as pool:
        banned = pool.submit(text, serving, bad_words="learning")
        free = pool.submit(text, serving)
    assert free.result() == alone
    assert "learning" not in banned.result()


def test_an_end_id_ends_the_answer(serving: Serving) -> None:
    ids = generate_ids(serving, 20)
    fields = {"max_tokens": 20, "end_id": ids[7]}
    assert len(generate(serving, **fields)["output_log_probs"]) == ids.index(ids[7])


def test_min_length_holds_the_end_back(serving: Serving) -> None:
    first = generate_ids(serving, 1)[0]
    assert text(serving, end_id=first) == ""
    answer = generate(serving, end_id=first, min_length=10, max_tokens=20)
    assert len(answer["output_log_probs"]) >= 10


@pytest.mark.parametrize(
    "fields",
    [{"repetition_penalty": 1.8}, {"presence_penalty": 1.5}, {"frequency_penalty": 1.5}],
)
def test_penalties_reduce_repetition(serving: Serving, fields: dict[str, float]) -> None:
    def repeated(answer: str) -> float:
        words = answer.split()
        return 1 - len(set(words)) / len(words)

    free = text(serving, max_tokens=200, end_id=NEVER)
    penalised = text(serving, max_tokens=200, end_id=NEVER, **fields)
    assert repeated(penalised) < repeated(free)


def test_log_probs_are_given_on_request_only(serving: Serving) -> None:
    without = generate(serving, max_tokens=5)
    assert without["output_log_probs"] == [0.0] * 5
    answer = generate(serving, max_tokens=5, return_log_probs=True)
    assert all(value < 0 for value in answer["output_log_probs"])
    assert answer["cum_log_probs"] == pytest.approx(sum(answer["output_log_probs"]), rel=1e-4)


def test_beams_come_as_several_answers(serving: Serving) -> None:
    answers = generate(serving, beam_width=3, max_tokens=20)["text_output"]
    assert len(answers) == 3
    assert len(set(answers)) == 3


def test_the_prompt_is_kept_only_if_asked_for(workshop: Workshop, tmp_path: Path) -> None:
    with serve(workshop, tmp_path, exclude_input_in_output=False) as echoing:
        assert text(echoing, max_tokens=5).startswith(QUESTION)


def test_accumulated_stream_repeats_the_text_so_far(workshop: Workshop, tmp_path: Path) -> None:
    with serve(workshop, tmp_path, decoupled_mode=True, accumulate_tokens=True) as running:
        pieces = [e["text_output"] for e in stream(running, "tensorrt_llm_bls", max_tokens=10)]
    assert len(pieces) == 10
    assert all(b.startswith(a) for a, b in itertools.pairwise(pieces))


def test_grpc_answers_and_streams(serving: Serving) -> None:
    def tensor(name: str, value: object, kind: str) -> grpc_client.InferInput:
        array = np.array([[value]], dtype=np.object_ if kind == "BYTES" else None)
        if kind == "INT32":
            array = array.astype(np.int32)
        made = grpc_client.InferInput(name, list(array.shape), kind)
        made.set_data_from_numpy(array)
        return made

    inputs = [
        tensor("text_input", QUESTION.encode(), "BYTES"),
        tensor("max_tokens", 12, "INT32"),
        tensor("end_id", NEVER, "INT32"),
        tensor("stream", True, "BOOL"),
    ]
    results: list[tuple[grpc_client.InferResult | None, Exception | None]] = []
    with grpc_client.InferenceServerClient(serving.grpc) as client:
        client.start_stream(lambda result, error: results.append((result, error)))
        client.async_stream_infer("ensemble", inputs)
        client.stop_stream()
    pieces = [r.as_numpy("text_output").reshape(-1)[0].decode() for r, e in results if r and not e]
    assert "".join(pieces) == text(serving, max_tokens=12, end_id=NEVER)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": 5000}, "more than the engine's max_seq_len"),
        ({"max_tokens": 0}, "must be at least 1"),
        ({"text_input": ""}, "the prompt is empty"),
        ({"text_input": "word " * 4000}, "max_input_len"),
        ({"text_input": ["one", "two"]}, "batch size of 1"),
        ({"beam_width": 9}, "max_beam_width"),
        ({"beam_width": 2, "bad_words": "x"}, "beam_width of 1"),
        ({"min_length": 99}, "min_length"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"presence_penalty": 9.0}, "presence_penalty"),
        ({"return_context_logits": True}, "not available with this engine"),
        ({"bad_words": "long " * 200}, "bad words"),
        ({"embedding_bias_words": ["a"], "embedding_bias_weights": [1.0]}, "embedding_bias"),
    ],
)
@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
def test_a_request_that_cannot_be_served_is_refused(
    serving: Serving, model: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(RefusedError, match=r"^400 ") as refused:
        generate(serving, model, **fields)
    assert message in refused.value.body
    assert text(serving, model, max_tokens=3)


def test_streaming_needs_decoupled_mode(published: Serving) -> None:
    with pytest.raises(RefusedError, match="decoupled"):
        stream(published)
