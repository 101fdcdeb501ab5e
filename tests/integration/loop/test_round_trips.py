from dataclasses import replace
from pathlib import Path

from rolecall.facts import FactsCache
from rolecall.resource import Skip
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from tests.integration.loop.acts import makes
from tests.support import HOST, converge


def fifty(folder):
    yield Directory(str(folder))
    for number in range(49):
        yield File(f"{folder}/file {number}", f"content of {number} with 'quotes' and $dollars\n")


def test_a_first_run_of_fifty_resources_takes_three_round_trips(tmp_path, home, shell):
    resources = list(fifty(tmp_path / "made"))
    first = converge(resources, home, shell=shell)
    assert set(first.outcomes.values()) == {"changed"}
    assert len(first.outcomes) == 50
    assert first.exchanges == 3  # the facts, all probes, all changes


def test_a_run_that_changes_nothing_takes_one_round_trip(tmp_path, home, shell):
    resources = list(fifty(tmp_path / "made"))
    converge(resources, home, shell=shell)
    again = converge(resources, home, shell=shell)
    assert set(again.outcomes.values()) == {"ok"}
    assert again.exchanges == 1


def test_a_first_run_on_a_known_host_takes_two_round_trips(tmp_path, home, shell):
    converge([], home, shell=shell)
    first = converge(list(fifty(tmp_path / "made")), home, shell=shell)
    assert set(first.outcomes.values()) == {"changed"}
    assert first.exchanges == 2


def test_check_mode_takes_one_round_trip_on_a_known_host(tmp_path, home, shell):
    converge([], home, shell=shell)
    predicted = converge(list(fifty(tmp_path / "made")), home, check=True, shell=shell)
    assert predicted.outcomes.keys() == {item.id for item in fifty(tmp_path / "made")}
    assert predicted.exchanges == 1


def test_more_resources_of_one_kind_than_a_command_line_holds_are_probed_at_once(tmp_path, home):
    (tmp_path / "made").mkdir()
    names = [f"{tmp_path}/made/{'long' * 50}{number}" for number in range(900)]
    for name in names:
        Path(name).write_text("x")
    run = converge([File(name, "x") for name in names], home)
    assert list(run.outcomes.values()) == ["ok"] * 900
    assert run.exchanges == 2  # the facts, all probes


def test_a_resource_left_out_is_skipped_with_its_reason(tmp_path, home):
    done = converge([Skip("package:none", "nothing asked for"), makes(tmp_path / "a")], home).done
    assert (done["package:none"].outcome, done["package:none"].reason) == (
        "skipped",
        "nothing asked for",
    )
    assert done[makes(tmp_path / "a").id].outcome == "changed"


def test_remembered_facts_that_became_wrong_cost_one_more_round_trip(tmp_path, home, shell):
    resources = [makes(tmp_path / "a")]
    converge(resources, home, shell=shell)
    cache = FactsCache(home.with_name(f"{home.name}-controller"))
    facts = cache.load(HOST, str(home))
    assert facts is not None
    cache.save(HOST, str(home), replace(facts, arch="abacus", cpus=1000))
    again = converge(resources, home, shell=shell)
    assert set(again.outcomes.values()) == {"ok"}
    assert again.exchanges == 2
    assert cache.load(HOST, str(home)) == facts
    assert converge(resources, home, shell=shell).exchanges == 1


def test_a_damaged_memory_of_facts_is_no_memory(tmp_path, home):
    resources = [makes(tmp_path / "a")]
    converge(resources, home)
    (path,) = home.with_name(f"{home.name}-controller").iterdir()
    path.write_text('{"hostname": "cut sho')
    again = converge(resources, home)
    assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 2)
