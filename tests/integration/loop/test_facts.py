"""Facts that roles bring: asked with the others, remembered and checked as they are."""

from __future__ import annotations

from pathlib import Path

from rolecall.facts import FactsCache
from rolecall.resource import Resource
from rolecall.resources.file import File
from rolecall.role import Host
from rolecall.shell import quote
from rolecall.testing import HOST, Result, converge


def run(wanted: Path, home: Path, shell: str, *facts: str, check: bool = False) -> Result:
    """Write the fact ``colour`` into the file ``wanted``."""

    def listed(host: Host) -> list[Resource]:
        return [File(str(wanted), f"{host.fact('colour')}\n")]

    return converge(listed, home, shell=shell, facts=facts, check=check)


def test_a_role_reads_a_fact_that_a_role_brings(tmp_path: Path, home: Path, shell: str) -> None:
    hostile = 'it\'s "red" $HOME \\n `x`\nand=more'
    brought = f"rc_field colour {quote(hostile)}"
    wanted = tmp_path / "wanted"
    first = run(wanted, home, shell, brought)
    assert wanted.read_text() == f"{hostile}\n"
    assert first.exchanges == 3  # the facts, the probe, the change
    again = run(wanted, home, shell, brought)
    assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 1)


def test_a_fact_that_changed_costs_one_more_round_trip(
    tmp_path: Path, home: Path, shell: str
) -> None:
    wanted, colour = tmp_path / "wanted", tmp_path / "colour"
    colour.write_text("red")
    brought = f'rc_field colour "$(cat {colour})"'
    run(wanted, home, shell, brought)
    colour.write_text("blue")
    predicted = run(wanted, home, shell, brought, check=True)
    assert (set(predicted.outcomes.values()), predicted.exchanges) == ({"would change"}, 2)
    changed = run(wanted, home, shell, brought)
    assert (set(changed.outcomes.values()), changed.exchanges) == ({"changed"}, 2)
    assert wanted.read_text() == "blue\n"


def test_texts_do_not_disturb_each_other_nor_the_facts_of_every_host(
    tmp_path: Path, home: Path, shell: str
) -> None:
    brought = (
        "cd /; PATH=/none; rc_field one 1; echo noise >&2; exit 3",
        "rc_field hostname mine; rc_field colour red; rc_field two 2",
        'rc_field never "closed',
        "rc_field never 1; }; rc_field never 2; {",
        "$(",
        "no-such-program-anywhere; rc_field three 3",
    )
    run(tmp_path / "wanted", home, shell, *brought)
    facts = FactsCache(home.with_name(f"{home.name}-controller")).load(HOST, str(home))
    assert facts is not None
    assert facts.extra == {"one": "1", "two": "2", "three": "3", "hostname": "mine"} | {
        "colour": "red"
    }
    assert facts.hostname not in {"", "mine"} and facts.state_dir == str(home)
    assert run(tmp_path / "wanted", home, shell, *brought).exchanges == 1


def test_a_host_without_such_facts_is_asked_nothing(tmp_path: Path, home: Path, shell: str) -> None:
    run(tmp_path / "wanted", home, shell)
    assert (tmp_path / "wanted").read_text() == "\n", "an unknown fact is empty"
    assert run(tmp_path / "wanted", home, shell).exchanges == 1


def test_a_memory_from_before_there_were_such_facts_still_counts(
    tmp_path: Path, home: Path, shell: str
) -> None:
    run(tmp_path / "wanted", home, shell)
    (memory,) = home.with_name(f"{home.name}-controller").iterdir()
    text = memory.read_text()
    memory.write_text(text.replace(',\n "extra": {}', ""))
    assert memory.read_text() != text
    assert run(tmp_path / "wanted", home, shell).exchanges == 1
