"""Figures, tables, comparisons: known answers, and what holds for all."""

import dataclasses
import json
import math
import re
import threading

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall.errors import ConfigError
from roles.bench import counters, plot
from roles.bench.compare import check, compare
from roles.bench.prompts import WORDS, Words, prompt
from roles.bench.results import MEANING, Result, find, keep
from roles.bench.statistics import Sample, Server, Spread, figures, percentile
from roles.bench.table import lines
from roles.bench.workload import Level, Workload, arrivals, levels

times = st.lists(st.floats(0, 1e4), min_size=1, max_size=60)


@given(times, st.floats(0, 100))
def test_percentiles_are_numpys(values, part):
    ours = percentile(sorted(values), part)
    assert ours == pytest.approx(float(numpy.percentile(values, part)), abs=1e-6)


@given(times)
def test_a_spread_lies_within_its_values(values):
    spread = Spread.of(values)
    slack = 1e-9 * max(values)
    assert min(values) - slack <= spread.p50 <= spread.p90 + slack
    assert spread.p90 <= spread.p99 + slack <= max(values) + 2 * slack


def test_figures_of_three_requests():
    samples = [
        Sample(0.0, 0.0, 1.0, 3.0, 10, 5, gaps=(0.5, 0.5, 0.5, 0.5)),
        Sample(1.0, 1.25, 3.0, 4.0, 10, 3, gaps=(0.25, 0.75)),
        Sample(2.0, 2.0, None, 8.0, 10, 0, "503 full"),
    ]
    found = figures("2 at a time", samples)
    assert (found.requests, found.errors, found.seconds) == (2, {"503 full": 1}, 8.0)
    assert found.requests_per_second == 0.25 and found.tokens_per_second == 1.0
    assert found.first_token.p50 == 1.5 and found.first_token.mean == 1.5
    assert found.between_tokens.p50 == 0.5  # (3 - 1) / (5 - 1) and (4 - 3) / (3 - 1)
    assert found.gaps.p50 == 0.5 and found.gaps.p99 == pytest.approx(0.7375)
    assert found.whole.p50 == 3.0 and found.late == 0.25


def test_figures_of_failures_alone_have_no_times():
    found = figures("", [Sample(0.0, 0.0, None, 1.0, 10, 0, "refused")] * 3)
    assert found.requests == 0 and found.errors == {"refused": 3}
    assert found.first_token is found.between_tokens is found.gaps is found.whole is None


@given(st.integers(1, 200), st.integers(0, 5), st.integers(0, 5))
def test_a_prompt_has_its_length_and_is_the_same_for_the_same_seed(size, seed, number):
    text = prompt(Words(), size, seed, number)
    assert len(text.split()) == size and text == prompt(Words(), size, seed, number)
    assert {word.lower() for word in text.split()} <= {word.lower() for word in WORDS}


def test_prompts_have_no_long_beginning_in_common():
    beginnings = {tuple(prompt(Words(), 64, 0, number).split()[:4]) for number in range(200)}
    assert len(beginnings) == 200


def test_arrivals_are_a_poisson_process_and_the_same_for_the_same_seed():
    def gaps(rate, seed):
        at = [one for one, _ in zip(arrivals(rate, seed), range(20_000), strict=False)]
        return numpy.diff([0.0, *at])

    found = gaps(4.0, 1)
    assert float(found.mean()) == pytest.approx(0.25, rel=0.05)
    assert float(found.std()) == pytest.approx(0.25, rel=0.05)  # exponential: as its mean
    assert float((found > 0.25).mean()) == pytest.approx(math.exp(-1), rel=0.05)
    assert (found == gaps(4.0, 1)).all() and not (found == gaps(4.0, 2)).all()


@pytest.mark.parametrize(
    ("concurrency", "rate"),
    [
        ("0", ""),
        ("x", ""),
        ("1.5", ""),
        ("", ""),
        ("1", "-2"),
        ("1", "nan"),
        ("1e9", ""),
        ("1", "1e9"),
    ],
)
def test_a_level_that_is_none_is_refused(concurrency, rate):
    with pytest.raises(ConfigError):
        levels(concurrency, rate)


METRICS = """\
# TYPE nv_inference_queue_duration_us counter
nv_inference_request_success{model="ensemble",version="1"} %d
nv_inference_queue_duration_us{model="ensemble",version="1"} %d
nv_inference_compute_infer_duration_us{model="ensemble",version="1"} %d
nv_inference_request_success{model="idle",version="1"} 3
nv_trt_llm_request_metrics{model="ensemble",request_type="max",version="1"} 64
nv_cpu_utilization 0.5
"""


def test_the_servers_times_are_what_its_counters_grew_by_for_each_request():
    before, after = (counters.read(METRICS % values) for values in ((2, 10, 100), (6, 50, 8100)))
    assert counters.between(before, after) == (Server("ensemble", 4, 1e-5, 2e-3),)


ENGINE = """\
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="max",version="1"} 64
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting",version="1"} 3
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="active",version="1"} %d
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="tensorrt_llm",version="1"} 256
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used",model="tensorrt_llm",version="1"} 64
"""


def test_the_engines_gauges_are_read_and_the_most_is_kept(monkeypatch):
    expected = {"waiting": 3, "active": 8, "all_blocks": 256, "blocks": 64}
    assert counters.engine(ENGINE % 8) == expected
    monkeypatch.setattr(counters, "_EVERY", 0.001)
    told, seen = iter((2, 8, 5)), threading.Event()

    def ask():
        if (value := next(told, None)) is not None:
            return ENGINE % value
        seen.set()
        return ""

    with counters.watched(ask) as most:
        assert seen.wait(60)
    assert most == expected


def test_a_table_says_how_full_the_engine_was():
    sample = [Sample(0.0, 0.0, 1.0, 3.0, 10, 5)]
    found = (figures("4 at a time", sample, (), counters.engine(ENGINE % 8)), figures("8", sample))
    shown = "\n".join(lines(dataclasses.replace(result(), levels=found)))
    assert re.search(r"in the engine, at most +8 +-", shown)
    assert re.search(r"KV cache full, at most +25% +-", shown)


def result(title="4 at a time", speed=1.0, levels=1, stopped="", **workload):
    one = [Sample(0.0, 0.0, 1.0 / speed, 3.0 / speed, 10, 5, gaps=(0.5 / speed,) * 4)]
    two = [Sample(0.0, 0.0, None, 1.0, 10, 0, "503 full")] if stopped else []
    server = (Server("postprocessing", 4, 0.1, 123.0),)
    found = tuple(figures(title, one + two, server) for _ in range(levels))
    work = Workload(tuple(Level(4) for _ in range(levels)), **workload)
    return Result(
        "20260101-120000-abcd", "localhost", work, "tokens", {"cpus": "2"}, found, stopped
    )


def test_a_result_is_kept_for_its_user_alone_and_found_again(tmp_path):
    made = result()
    path = keep(tmp_path / "bench", made)
    assert path.stat().st_mode & 0o777 == 0o600
    for named in ("last", "20260101", str(path)):
        assert find(tmp_path / "bench", named, "localhost") == made
    with pytest.raises(ConfigError, match="no such load test"):
        find(tmp_path / "bench", "1999", "localhost")
    (tmp_path / "x.json").write_text('{"id": 1}')
    with pytest.raises(ConfigError, match="no load test's result"):
        find(tmp_path, str(tmp_path / "x.json"), "localhost")


def test_the_last_result_of_a_host_is_not_that_of_one_whose_name_ends_alike(tmp_path):
    mine = dataclasses.replace(result(), id="20260101-000000-abcd", host="1")
    other = dataclasses.replace(result(), id="20270101-000000-abcd", host="gpu-1")
    keep(tmp_path, mine)
    keep(tmp_path, other)
    assert find(tmp_path, "last", "1").host == "1"


def test_the_json_says_what_its_numbers_mean():
    data = json.loads(json.dumps(result().to_dict()))
    (level,) = data["levels"]
    explained = {name.removeprefix("server.") for name in MEANING}
    told = {name for name, value in level.items() if isinstance(value, (float, dict))}
    told |= {name for one in level["server"] for name, value in one.items() if type(value) is float}
    assert told - explained == {"seconds", "input_tokens", "output_tokens", "errors"}


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_a_table_fits_80_columns_however_many_levels_there_are(count):
    shown = list(lines(result(levels=count)))
    assert max(len(line) for line in shown) <= 80
    assert "\n".join(shown).count("4 at a time") == count


def test_a_table_says_what_failed_and_that_it_is_not_all():
    shown = "\n".join(lines(result(stopped="interrupted")))
    assert "interrupted: what stands here" in shown
    assert "4 at a time: 1 failed: 503 full" in shown


def test_a_comparison_gives_ratios_and_says_which_way_is_better():
    shown = "\n".join(compare(result(), result(speed=2.0)))
    assert "tokens/s out" in shown and "2.00 better" in shown and "0.50 better" in shown
    slower = "\n".join(compare(result(speed=2.0), result()))
    assert "0.50 worse" in slower and "2.00 worse" in slower
    same = "\n".join(compare(result(), result(speed=1.02)))
    assert "better" not in same and "worse" not in same


def test_a_comparison_names_another_model_before_all_else_that_differs():
    def served(source, batch):
        settings = {"engine": {"max_batch_size": batch}, "model": {"source": source}}
        return dataclasses.replace(result(), about={"triton": batch}, settings=settings)

    shown = list(compare(served("hf://a/b", "64"), served("hf://a/c", "16")))
    assert shown[1:5] == [
        "  another model: its tokens are others, and so are all times for each token",
        "  model.source is hf://a/c, and was hf://a/b",
        "  triton is 16, and was 64",
        "  engine.max_batch_size is 16, and was 64",
    ]
    same = list(compare(served("hf://a/b", "64"), served("hf://a/b", "64")))
    assert not any(line.startswith("  ") and " is " in line for line in same)


def test_a_comparison_of_many_settings_stays_on_a_screen():
    def served(value):
        return dataclasses.replace(
            result(), settings={"repo": {f"one{number}": value for number in range(40)}}
        )

    shown = list(compare(served("a" * 500), served("b" * 500)))
    assert len(shown) < 24 and max(map(len, shown)) < 160
    assert "  and 28 more settings, which the two files have" in shown


def test_a_comparison_says_where_answers_were_not_as_long():
    def answered(tokens):
        one = dataclasses.replace(result().levels[0], output_tokens=tokens)
        return dataclasses.replace(result(), levels=(one,))

    shown = "\n".join(compare(answered(12.0), answered(4.0)))
    assert "4 at a time: answers had 4 on average, and 12 then" in shown
    assert "answers" not in "\n".join(compare(answered(12.0), answered(12.1)))


def test_a_comparison_without_a_level_in_common_says_so():
    stopped = dataclasses.replace(result(), levels=())
    assert list(compare(stopped, result()))[-1] == "no level was measured then and now"


def test_a_picture_that_has_no_folder_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        plot.check(str(tmp_path / "none" / "x.svg"))
    plot.check(str(tmp_path / "x.svg"))


def test_another_workload_is_not_compared_and_what_differs_is_said():
    asked = Workload((Level(4),), input_tokens=64, seed=3)
    with pytest.raises(ConfigError, match=r"input_tokens is 64, and was 128; seed is 3, and was 0"):
        check(result(), asked)
    with pytest.raises(ConfigError, match="levels are 8 at a time, and were 4 at a time"):
        check(result(), Workload((Level(8),)))
    check(result(), Workload((Level(4), Level(8)), requests=7))
