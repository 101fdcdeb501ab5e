import itertools

import pytest

from rolecall.resource import Refuse, Skip
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from tests.integration.loop.acts import Act, exists, makes
from tests.support import converge, tree_digest


def test_check_writes_nothing_on_the_host(tmp_path, home, shell):
    host = tmp_path / "host"
    host.mkdir()
    resources = [
        File(str(host / "a"), "x"),
        Directory(str(host / "d")),
        makes(host / "b"),
        Command("c", f": >'{host}/c'", creates=str(host / "c")),
    ]
    before = tree_digest(host)
    run = converge(resources, home, check=True, shell=shell, diff=True)
    assert tree_digest(host) == before
    assert not home.exists(), "not even Rolecall's own directory"
    assert run.outcomes[resources[0].id] == "would change"
    assert not run.output


def test_check_leaves_an_existing_home_as_it_is(tmp_path, home, shell):
    converge([makes(tmp_path / "a")], home, shell=shell)
    before = tree_digest(home)
    converge([makes(tmp_path / "a"), makes(tmp_path / "b")], home, check=True, shell=shell)
    assert tree_digest(home) == before


def test_what_an_earlier_change_may_write_is_unknown_until_it_is_made(tmp_path, home, shell):
    opaque = makes(tmp_path / "a")
    file = File(str(tmp_path / "b"), "x")
    run = converge([opaque, file], home, check=True, shell=shell)
    assert run.done[file.id].outcome == "unknown until"
    assert run.done[file.id].reason == opaque.id


def test_what_no_earlier_change_writes_is_known(tmp_path, home, shell):
    exact = makes(tmp_path / "a", writing=frozenset({str(tmp_path / "a")}))
    met, unmet = File(str(tmp_path / "met"), "x"), File(str(tmp_path / "unmet"), "x")
    converge([met], home, shell=shell)
    run = converge([exact, met, unmet], home, check=True, shell=shell)
    assert run.outcomes == {exact.id: "would change", met.id: "ok", unmet.id: "would change"}


def test_a_refused_change_is_predicted_to_fail_and_to_stop_the_run(tmp_path, home, shell):
    refused = Act("refused", "echo done=no", Refuse("no way", "other way"), writing=frozenset())
    after = makes(tmp_path / "after")
    run = converge([refused, after], home, check=True, shell=shell)
    assert run.outcomes == {refused.id: "failed", after.id: "skipped"}
    assert run.reason(refused) == "no way\nother way"


def test_a_skip_is_predicted_too(home):
    assert converge([Skip("x", "why")], home, check=True).outcomes == {"x": "skipped"}


def test_diff_shows_the_lines_that_change(tmp_path, home, shell):
    (tmp_path / "a").write_text("one\ntwo\nthree\n")
    file = File(str(tmp_path / "a"), "one\n2\nthree\n")
    (shown,) = converge([file], home, check=True, shell=shell, diff=True).diffs
    assert shown.path == file.path
    assert [line for line in shown.lines if line[0] in "+-"] == ["-two", "+2"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_check_calls_ok_the_run_does_not_change(tmp_path, home, order):
    """Four resources that step on each other's toes, in every order."""
    a, b, c, d = (tmp_path / name for name in "abcd")
    resources = [
        File(str(a), "a\n"),
        Act("b follows a", f"{exists(b)}; cat '{a}' 2>/dev/null", f"cp '{a}' '{b}' || : >'{b}'"),
        Command("c", f"rm -f '{a}'; : >'{c}'", creates=str(c)),
        makes(d, writing=frozenset({str(d)}), reading=frozenset({str(d)})),
    ]
    chosen = [resources[index] for index in order]
    for _ in range(3):
        predicted = converge(chosen, home, check=True).outcomes
        actual = converge(chosen, home).outcomes
        for id_, said in predicted.items():
            if said == "ok":
                assert actual[id_] == "ok", (id_, predicted, actual)
            elif said == "would change":
                assert actual[id_] == "changed", (id_, predicted, actual)
