from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from rolecall.errors import ConfigError
from rolecall.inventory import Layer
from rolecall.settings import Override, RunnerSettings, Settings, is_secret, resolve
from rolecall.yamlfile import read_yaml


class Cache(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1
    kind: str = "lru"


class Engine(Settings):
    """Settings of a role."""

    batch: int = 8
    """Requests at once."""
    beam: int = 1
    """Beams."""
    mode: Literal["fast", "exact"] = "fast"
    """How."""
    names: tuple[str, ...] = ()
    """Names."""
    cache: Cache = Cache()
    """A cache."""
    token: SecretStr | None = None
    """A secret."""

    @model_validator(mode="after")
    def _possible(self):
        if self.mode == "exact" and self.beam > 1:
            raise ValueError("beam search is never exact")
        return self


class Needy(Settings):
    """A role with a setting that has no default."""

    source: str
    """Where from."""


TYPES = {"rolecall": RunnerSettings, "engine": Engine}


def layer(folder: Path, text: str, name: str = "vars.yaml") -> Layer:
    path = folder / name
    path.write_text(text)
    source = read_yaml(path)
    return Layer(source, (), source.data)


def refused(layers, sets=(), types=TYPES) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(types, layers, [Override.parse(text) for text in sets])
    return caught.value


def test_defaults_hold_where_nothing_is_set():
    resolved = resolve(TYPES, [], [])["engine"]
    assert resolved.settings == Engine()
    assert resolved.origin(("batch",)) == "default"


def test_an_unknown_role_is_refused_with_its_place_and_the_nearest_name(tmp_path):
    error = refused([layer(tmp_path, "rolecall: {}\nenigne:\n  batch: 1\n")])
    assert f"{tmp_path}/vars.yaml:2: enigne is neither a role" in error.message
    assert error.hint == "did you mean engine?"
    assert error.exit_code == 2


def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_name(tmp_path):
    error = refused([layer(tmp_path, "engine:\n  beam: 1\n  bacth: 9\n")])
    assert error.message == f"{tmp_path}/vars.yaml:3: there is no setting engine.bacth"
    assert error.hint == "did you mean batch?"


def test_an_unknown_key_of_a_nested_setting_names_its_own_neighbours(tmp_path):
    error = refused([layer(tmp_path, "engine:\n  cache:\n    sise: 1\n")])
    assert error.message == f"{tmp_path}/vars.yaml:3: there is no setting engine.cache.sise"
    assert error.hint == "did you mean size?"


def test_a_key_unlike_any_is_refused_with_all_names(tmp_path):
    error = refused([layer(tmp_path, "engine: {zzz: 1}")])
    assert error.hint == "known names: batch, beam, mode, names, cache, token"


def test_a_wrong_type_is_refused_with_its_place_and_value(tmp_path):
    error = refused([layer(tmp_path, "engine:\n\n  batch: many\n")])
    assert error.message.startswith(f"{tmp_path}/vars.yaml:3: engine.batch: ")
    assert error.message.endswith("not 'many'")
    assert "./inv settings engine" in error.hint


def test_a_value_out_of_its_choices_is_refused_with_the_choices(tmp_path):
    error = refused([layer(tmp_path, "engine: {mode: slow}")])
    assert "'fast' or 'exact'" in error.message


def test_a_role_must_be_a_mapping(tmp_path):
    assert "engine must be a mapping" in refused([layer(tmp_path, "engine: 3")]).message


def test_an_empty_role_sets_nothing(tmp_path):
    assert resolve(TYPES, [layer(tmp_path, "engine:\n")], [])["engine"].settings == Engine()


def test_an_impossible_combination_is_refused_with_every_place_that_made_it(tmp_path):
    one = layer(tmp_path, "engine:\n  mode: exact\n", "one.yaml")
    error = refused([one], ["engine.beam=2"])
    assert error.message == f"{tmp_path}/one.yaml:2, --set: engine: beam search is never exact"


def test_a_setting_that_has_to_be_set_says_how():
    error = refused([], types={"needy": Needy})
    assert error.message == "needy.source is not set"
    assert "--set needy.source=" in error.hint


def test_later_layers_win_key_by_key(tmp_path):
    low = layer(tmp_path, "engine:\n  batch: 1\n  beam: 2\n  cache: {size: 5, kind: fifo}\n", "low")
    high = layer(tmp_path, "engine:\n  batch: 3\n  cache:\n    size: 6\n", "high")
    resolved = resolve(TYPES, [low, high], [])["engine"]
    assert resolved.settings == Engine(batch=3, beam=2, cache=Cache(size=6, kind="fifo"))
    assert resolved.origin(("batch",)) == f"{tmp_path}/high:2"
    assert resolved.origin(("beam",)) == f"{tmp_path}/low:3"
    assert resolved.origin(("cache", "size")) == f"{tmp_path}/high:4"
    assert resolved.origin(("cache", "kind")) == f"{tmp_path}/low:4"
    assert resolved.origin(("mode",)) == "default"


def test_a_list_replaces_a_list(tmp_path):
    low = layer(tmp_path, "engine: {names: [a, b]}", "low")
    high = layer(tmp_path, "engine: {names: [c]}", "high")
    assert resolve(TYPES, [low, high], [])["engine"].settings == Engine(names=("c",))


def test_layers_are_left_as_they_were(tmp_path):
    low = layer(tmp_path, "engine: {cache: {size: 5}}", "low")
    high = layer(tmp_path, "engine: {cache: {size: 6}}", "high")
    resolve(TYPES, [low, high], [])
    assert low.variables == {"engine": {"cache": {"size": 5}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engine.batch=3", Engine(batch=3)),
        ("engine.names=[a, b]", Engine(names=("a", "b"))),
        ("engine.mode=exact", Engine(mode="exact")),
        ("engine.cache.size=4", Engine(cache=Cache(size=4))),
        ("engine.cache={size: 4}", Engine(cache=Cache(size=4))),
        ("engine.names=['a=b']", Engine(names=("a=b",))),
    ],
)
def test_an_override_is_typed_like_a_file_and_wins(tmp_path, text, expected):
    low = layer(tmp_path, "engine: {batch: 8}")
    resolved = resolve(TYPES, [low], [Override.parse(text)])["engine"]
    assert resolved.settings == expected
    assert resolved.origin(Override.parse(text).key[1:]) == "--set"


@pytest.mark.parametrize("text", ["engine", "engine=3", "batch", ".batch=3", "engine.=3", "=", ""])
def test_an_override_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match=r"role\.key=value"):
        Override.parse(text)


def test_an_override_that_is_not_yaml_is_refused():
    with pytest.raises(ConfigError, match=r"engine\.names.*not valid YAML"):
        Override.parse("engine.names=[a")


@pytest.mark.parametrize(
    ("value", "why"),
    [("@x", "character '@'"), ("2026-02-30", "is no timestamp"), ("!vault x", "Ansible Vault")],
)
def test_an_override_that_is_not_yaml_says_why_and_how_it_is_a_text(value, why):
    with pytest.raises(ConfigError) as caught:
        Override.parse(f"engine.names={value}")
    assert why in caught.value.message
    assert caught.value.hint == "in quotes it is a text: --set 'engine.names=\"…\"'"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("007", "7"), ("yes", "true"), ("2026-01-02", "2026-01-02"), ("", "null"), ("1.10", "1.1")],
)
def test_what_yaml_takes_for_something_else_than_text_is_told_with_the_way_out(value, shown):
    error = refused([], [f"engine.cache.kind={value}"])
    assert error.message.endswith(f"valid string, not {shown}")
    assert error.hint == "in quotes it is a text: --set 'engine.cache.kind=\"…\"'"


def test_an_override_of_an_unknown_key_names_itself():
    error = refused([], ["engine.bacth=3"])
    assert error.message == "--set: there is no setting engine.bacth"
    assert "enigne is not a role" in refused([], ["enigne.batch=3"]).message


def test_a_secret_is_read_by_reference_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLECALL_TEST_TOKEN", "swordfish")
    given = layer(tmp_path, "engine:\n  token: !env ROLECALL_TEST_TOKEN\n")
    for layers, sets in (([given], []), ([], ["engine.token=!env ROLECALL_TEST_TOKEN"])):
        overrides = [Override.parse(text) for text in sets]
        settings = resolve(TYPES, layers, overrides)["engine"].settings
        assert settings.token.get_secret_value() == "swordfish"
        assert "swordfish" not in repr(settings)


@pytest.mark.parametrize("key", ["batch", "names", "cache", "mode"])
def test_a_secret_in_the_wrong_place_is_refused_without_showing_it(tmp_path, monkeypatch, key):
    monkeypatch.setenv("ROLECALL_TEST_TOKEN", "swordfish")
    error = refused([layer(tmp_path, f"engine:\n  {key}: !env ROLECALL_TEST_TOKEN\n")])
    assert "swordfish" not in error.message + error.hint


def test_a_list_may_hold_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLECALL_TEST_TOKEN", "swordfish")
    given = layer(tmp_path, "engine:\n  names: [a, !env ROLECALL_TEST_TOKEN]\n")
    assert resolve(TYPES, [given], [])["engine"].settings.names == ("a", "swordfish")


def test_a_secret_that_is_not_there_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("ROLECALL_TEST_TOKEN", raising=False)
    error = refused([layer(tmp_path, "engine:\n  token: !env ROLECALL_TEST_TOKEN\n")])
    assert "ROLECALL_TEST_TOKEN" in error.message and "export" in error.hint


def test_connection_variables_are_not_settings(tmp_path):
    given = layer(tmp_path, "ansible_connection: local\nansible_user: x\n")
    assert resolve(TYPES, [given], [])["engine"].settings == Engine()


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("engine.token", True),
        ("engine.batch", False),
        ("engine.cache.size", False),
        ("engine.nothing", False),
        ("nothing.token", False),
    ],
)
def test_a_secret_is_known_by_its_type(key: str, secret: bool) -> None:
    assert is_secret({"engine": Engine}, tuple(key.split("."))) is secret
