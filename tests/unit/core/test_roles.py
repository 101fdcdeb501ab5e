from dataclasses import replace

import pytest

from rolecall.api import Absent, Directory, File, Symlink
from rolecall.errors import ConfigError
from rolecall.facts import Facts
from rolecall.resource import Observed, Skip
from rolecall.role import Host, Role, Roles, role
from rolecall.run import declare
from rolecall.settings import RunnerSettings, Settings

FACTS = Facts.parse(Observed.parse("home=/home/u\nstate_dir=/home/u/.rolecall"))
HOST = Host("h", FACTS, {"rolecall": RunnerSettings()})


def test_a_host_builds_paths():
    assert HOST.path("a", "b") == "/home/u/.rolecall/a/b"
    assert HOST.path("/a") == "/a"
    assert (HOST.expand("~"), HOST.expand("~/x"), HOST.expand("~x"), HOST.expand("/x")) == (
        "/home/u",
        "/home/u/x",
        "~x",
        "/x",
    )


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (None, "role it returns nothing"),
        (["/etc/motd"], "role it declares a str, which is no resource"),
        ([[Skip("x:y", "why")]], "role it declares a list"),
    ],
)
def test_what_a_role_declares_has_to_be_resources(declared, words):
    one = Role("it", RunnerSettings, lambda host, settings: declared)
    with pytest.raises(ConfigError, match=words):
        one.resources(HOST)


def test_a_resource_that_one_role_declares_twice_is_refused_naming_it_once():
    one = Role("it", RunnerSettings, lambda host, settings: [Skip("x:y", "why")] * 2)
    with pytest.raises(ConfigError, match="role it declares x:y twice"):
        declare([one])(HOST)


def test_two_resources_about_one_path_are_refused():
    def both(host, settings):
        return [File("/etc/note", "text"), Symlink("/etc/note", "/etc/other")]

    with pytest.raises(ConfigError, match="file:/etc/note and symlink:/etc/note of role it"):
        declare([Role("it", RunnerSettings, both)])(HOST)
    first, second = (
        Role(name, RunnerSettings, lambda host, settings, one=one: [one])
        for name, one in (("a", Directory("/srv/x")), ("b", Absent("/srv/x")))
    )
    with pytest.raises(ConfigError, match="of roles a and b are about the same path"):
        declare([first, second])(HOST)


async def waiting(host, settings):
    return []


@pytest.mark.parametrize("function", [lambda host: [], lambda host, settings, more: [], waiting])
def test_a_role_is_a_plain_function_of_a_host_and_its_settings(function):
    with pytest.raises(ConfigError, match="no plain function") as caught:
        role(RunnerSettings)(function)
    assert "(host, settings):" in caught.value.hint


def test_a_fact_that_a_role_brings_is_found_by_its_name():
    host = Host("h", replace(FACTS, extra={"colour": "red"}), {})
    assert (host.fact("colour"), host.fact("size"), HOST.fact("colour")) == ("red", "", "")


def test_a_role_brings_facts_with_its_declaration():
    @role(RunnerSettings, facts="rc_field colour red")
    def paint(host, settings):
        return []

    assert (paint.name, paint.facts) == ("paint", "rc_field colour red")
    assert role(RunnerSettings)(lambda host, settings: []).facts == ""


def test_settings_are_found_by_type():
    class Other(Settings):
        """Of no loaded role."""

    assert HOST.settings(RunnerSettings) == RunnerSettings()
    with pytest.raises(ConfigError, match="Other"):
        HOST.settings(Other)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    roles = tmp_path / "made_up_roles"
    for package in (roles, roles / "empty", roles / "broken"):
        package.mkdir()
        (package / "__init__.py").touch()
    (roles / "empty" / "role.py").touch()
    (roles / "broken" / "role.py").write_text("import made_up_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return roles


def test_a_role_that_is_not_there_says_where_it_was_looked_for(folder):
    with pytest.raises(ConfigError, match=r"no role gone: .*/gone/role\.py") as caught:
        Roles(folder, ("gone",)).load()
    assert "__init__.py" in caught.value.hint


def test_a_file_without_its_role_says_what_to_write(folder):
    with pytest.raises(ConfigError, match="defines no role named empty") as caught:
        Roles(folder, ("empty",)).load()
    assert "@role" in caught.value.hint


def test_what_a_role_itself_cannot_import_is_not_hidden(folder):
    with pytest.raises(ModuleNotFoundError, match="made_up_package"):
        Roles(folder, ("broken",)).load()
