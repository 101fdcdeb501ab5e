from pathlib import Path

import pytest

from rolecall.errors import RolecallError, UnreachableError
from rolecall.resource import Call
from tests.integration.loop.acts import Act, exists, makes
from tests.support import converge


def calls(path, also=lambda: None, **how):
    """Done when ``path`` exists, which Python makes."""

    def run(target):
        also()
        Path(path).touch()

    return Act(f"call {path.name}", exists(path), Call(run, f"touch {path.name}"), **how)


@pytest.mark.parametrize("places", [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}, {0, 2}])
def test_python_steps_are_applied_and_proven_wherever_they_stand(tmp_path, home, shell, places):
    make = [calls if place in places else makes for place in range(3)]
    resources = [make[place](tmp_path / f"r{place}") for place in range(3)]
    run = converge(resources, home, shell=shell)
    assert list(run.outcomes.values()) == ["changed"] * 3
    assert run.exchanges == 3 + len(places)
    again = converge(resources, home, shell=shell)
    assert (set(again.outcomes.values()), again.exchanges) == ({"ok"}, 1)


def test_steps_around_a_python_step_keep_their_order(tmp_path, home):
    seen = []
    resources = [
        makes(tmp_path / "a"),
        calls(tmp_path / "b", lambda: seen.append(sorted(p.name for p in tmp_path.glob("?")))),
        makes(tmp_path / "c"),
    ]
    converge(resources, home)
    assert seen == [["a"]]


def test_a_python_step_that_changes_nothing_has_failed(tmp_path, home, shell):
    idle = Act("idle", exists(tmp_path / "no"), Call(lambda target: None, "do nothing"))
    after = makes(tmp_path / "after")
    run = converge([idle, after], home, shell=shell)
    assert run.outcomes == {idle.id: "failed", after.id: "skipped"}
    assert "done is 'no', not 'yes'" in run.reason(idle)
    assert not (tmp_path / "after").exists()


def test_the_error_of_a_python_step_is_its_failure(tmp_path, home):
    def run(target):
        raise RolecallError("the hub said no", "ask it again")

    act = Act("act", "echo done=no", Call(run, "ask"))
    after = makes(tmp_path / "after")
    result = converge([makes(tmp_path / "before"), act, after], home)
    assert result.reason(act) == "the hub said no\nask it again"
    assert result.outcomes[after.id] == "skipped"


def test_a_python_step_made_needless_by_an_earlier_apply_is_not_run(tmp_path, home, shell):
    called = []
    first = makes(tmp_path / "first", also=f": >'{tmp_path}/second'")
    second = calls(tmp_path / "second", lambda: called.append(1))
    run = converge([first, second], home, shell=shell)
    assert run.outcomes == {first.id: "changed", second.id: "ok"}
    assert called == []


def test_a_python_step_that_breaks_a_later_resource_has_it_converged(tmp_path, home, shell):
    kept = makes(tmp_path / "kept")
    converge([kept], home, shell=shell)
    breaks = calls(tmp_path / "breaks", (tmp_path / "kept").unlink)
    run = converge([breaks, kept], home, shell=shell)
    assert run.outcomes == {breaks.id: "changed", kept.id: "changed"}


def test_python_steps_run_only_under_the_lock_and_are_in_the_journal(tmp_path, home):
    locked = []
    act = calls(tmp_path / "a", lambda: locked.append((home / "lock").is_symlink()))
    converge([act], home)
    assert locked == [True]
    states = [line for line in (home / "journal").read_text().splitlines() if act.id in line]
    assert ['"state":"begin"' in states[0], '"state":"done"' in states[1]] == [True, True]


def test_an_upload_is_a_python_step(tmp_path, home):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)))
    there = tmp_path / "there"
    act = Act(
        "upload", exists(there), Call(lambda t: t.upload(source, str(there), "640"), "upload")
    )
    assert converge([act], home).outcomes == {act.id: "changed"}
    assert there.read_bytes() == source.read_bytes()
    assert there.stat().st_mode & 0o777 == 0o640


def test_check_mode_predicts_a_python_step_without_running_it(tmp_path, home):
    called = []
    act = calls(tmp_path / "a", lambda: called.append(1))
    assert converge([act], home, check=True).outcomes == {act.id: "would change"}
    assert called == []


@pytest.mark.parametrize(("failures", "outcome"), [(0, "changed"), (2, "changed"), (3, "failed")])
@pytest.mark.parametrize("how", ["raises", "idles"])
def test_a_python_step_is_tried_again_as_often_as_it_says(
    tmp_path, home, shell, failures, outcome, how
):
    tries = []

    def run(target):
        tries.append(1)
        if len(tries) > failures:
            (tmp_path / "a").touch()
        elif how == "raises":
            raise RolecallError("not yet")

    asks = exists(tmp_path / "a")
    act = Act("act", asks, Call(run, "try"), retries=2, retry_delay=0.01)
    after = makes(tmp_path / "after")
    result = converge([act, after], home, shell=shell)
    assert result.outcomes[act.id] == outcome
    assert len(tries) == min(failures + 1, 3)
    assert result.outcomes[after.id] == ("changed" if outcome == "changed" else "skipped")


def test_a_python_step_that_loses_the_host_is_not_tried_again(tmp_path, home):
    tries = []

    def run(target):
        tries.append(1)
        raise UnreachableError("gone")

    act = Act("act", exists(tmp_path / "a"), Call(run, "try"), retries=2, retry_delay=0.01)
    result = converge([act], home)
    assert (result.outcomes, len(tries)) == ({"host": "unreachable"}, 1)


def test_a_run_that_may_have_changed_the_facts_learns_them_anew(tmp_path, home, shell):
    fact = f"rc_field there \"$(ls '{tmp_path}')\""
    made = tmp_path / "made"
    act = makes(made)
    first = converge([act], home, shell=shell, facts=[fact])
    assert first.outcomes == {act.id: "changed"}
    again = converge([act], home, shell=shell, facts=[fact])
    assert (again.outcomes, again.exchanges) == ({act.id: "ok"}, 1)
