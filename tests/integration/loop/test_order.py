import pytest

from rolecall.errors import ConfigError
from rolecall.resource import Observed, Refuse
from rolecall.resources.file import File
from rolecall.role import Role
from rolecall.run import declare
from rolecall.settings import RunnerSettings
from tests.integration.loop.acts import Act, exists, makes
from tests.support import converge


def test_a_satisfied_resource_that_an_earlier_apply_breaks_is_converged_in_the_same_run(
    tmp_path, home, shell
):
    kept = File(str(tmp_path / "kept"), "as desired\n")
    converge([kept], home, shell=shell)
    breaker = makes(tmp_path / "breaker", also=f"echo broken >'{tmp_path}/kept'")
    last = makes(tmp_path / "last")
    run = converge([breaker, kept, last], home, shell=shell)
    assert run.outcomes == {breaker.id: "changed", kept.id: "changed", last.id: "changed"}
    assert (tmp_path / "kept").read_text() == "as desired\n"
    assert run.exchanges == 3  # with known facts: probes, up to the move, from the move on
    assert set(converge([breaker, kept, last], home, shell=shell).outcomes.values()) == {"ok"}


def test_an_unmet_resource_that_an_earlier_apply_satisfies_ends_ok(tmp_path, home, shell):
    second = makes(tmp_path / "second", also=f"echo ran >>'{tmp_path}/log'")
    first = makes(tmp_path / "first", also=f": >'{tmp_path}/second'")
    run = converge([first, second], home, shell=shell)
    assert run.outcomes == {first.id: "changed", second.id: "ok"}
    assert not (tmp_path / "log").exists()


def test_a_change_computed_from_an_answer_that_moved_is_computed_anew(tmp_path, home, shell):
    file = tmp_path / "file"
    first = makes(tmp_path / "first", also=f"echo other >'{file}'; chmod 751 '{file}'")
    second = File(str(file), "mine\n")
    run = converge([first, second], home, shell=shell)
    assert run.outcomes == {first.id: "changed", second.id: "changed"}
    before = {change.field: change.before for change in run.done[second.id].changes}
    assert before["sha256"] is not None
    assert file.stat().st_mode & 0o777 == 0o751, "the mode it had when it was written is kept"


def test_resources_are_applied_in_order(tmp_path, home, shell):
    log = tmp_path / "log"
    resources = [makes(tmp_path / str(n), also=f"echo {n} >>'{log}'") for n in range(12)]
    converge(resources, home, shell=shell)
    assert log.read_text().split() == [str(n) for n in range(12)]


def test_a_change_that_its_probe_does_not_confirm_has_failed(tmp_path, home, shell):
    liar = Act("liar", "echo state=old; echo kept=yes", "echo trying", {"state": "new"})
    after = makes(tmp_path / "after")
    run = converge([makes(tmp_path / "before"), liar, after], home, shell=shell)
    assert run.done[liar.id].outcome == "failed"
    assert "state is 'old', not 'new'" in run.reason(liar)
    assert "kept" not in run.reason(liar), "only what differs is shown"
    assert run.done[after.id].outcome == "skipped"
    assert run.done[after.id].reason == f"after {liar.id}"
    assert not (tmp_path / "after").exists()


def test_an_apply_that_ends_with_an_error_has_failed_whatever_its_probe_says(tmp_path, home, shell):
    flag = tmp_path / "flag"
    act = Act(
        "act", exists(flag), f"for n in $(seq 50); do echo line $n; done; : >'{flag}'; exit 7"
    )
    run = converge([act], home, shell=shell)
    assert run.done[act.id].outcome == "failed"
    reason = run.done[act.id].reason.splitlines()
    assert reason[0] == "its apply ended with status 7"
    assert reason[-1] == "line 50"
    assert "line 10" not in reason, "the last lines of the output, not all"
    assert run.output == [f"line {n}" for n in range(1, 51)]


def test_the_first_failing_command_ends_an_apply(tmp_path, home, shell):
    act = Act("act", exists(tmp_path / "no"), f"false\necho on >'{tmp_path}/on'")
    assert converge([act], home, shell=shell).outcomes == {act.id: "failed"}
    assert not (tmp_path / "on").exists()


def test_an_apply_is_tried_again_as_often_as_asked(tmp_path, home, shell):
    tries = tmp_path / "tries"
    third_time = (
        f"echo try >>'{tries}'\n[ \"$(wc -l <'{tries}')\" -ge 3 ] || exit 1\n: >'{tmp_path}/done'"
    )
    act = Act("act", exists(tmp_path / "done"), third_time, retries=4, retry_delay=0)
    run = converge([act], home, shell=shell)
    assert run.outcomes == {act.id: "changed"}
    assert tries.read_text() == "try\n" * 3


def test_retries_that_are_used_up_end_in_failure(tmp_path, home, shell):
    tries = tmp_path / "tries"
    act = Act("act", "echo done=no", f"echo try >>'{tries}'", retries=2, retry_delay=0)
    run = converge([act, makes(tmp_path / "after")], home, shell=shell)
    assert run.done[act.id].outcome == "failed"
    assert tries.read_text() == "try\n" * 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_refused_change_stops_the_run_where_it_stands(tmp_path, home, shell, place):
    refused = Act("refused", "echo done=no", Refuse("cannot be", "do it by hand"))
    resources = [makes(tmp_path / "a"), makes(tmp_path / "b")]
    resources.insert(place, refused)
    run = converge(resources, home, shell=shell)
    outcomes = list(run.outcomes.values())
    assert outcomes == ["changed"] * place + ["failed"] + ["skipped"] * (2 - place)
    assert run.reason(refused) == "cannot be\ndo it by hand"
    assert [(tmp_path / name).exists() for name in "ab"] == [place > 0, place > 1]


def test_a_refusal_that_an_earlier_apply_makes_needless_is_not_one(tmp_path, home, shell):
    first = makes(tmp_path / "first")
    second = Act("second", exists(tmp_path / "first"), Refuse("cannot be"))
    run = converge([first, second], home, shell=shell)
    assert run.outcomes == {first.id: "changed", second.id: "ok"}


def test_a_probe_that_answers_differently_every_time_fails_clearly(tmp_path, home, shell):
    restless = Act(
        "restless",
        "echo done=no; read -r up rest </proc/uptime; echo now=$up.$$.$(wc -l <'%s'); echo x >>'%s'"
        % ((tmp_path / "count",) * 2),
    )
    (tmp_path / "count").touch()
    run = converge([makes(tmp_path / "a"), restless, makes(tmp_path / "b")], home, shell=shell)
    assert run.done[restless.id].outcome == "failed"
    assert "answers differently every time" in run.reason(restless)
    assert "not deterministic" in run.reason(restless)
    assert run.exchanges < 15
    assert (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_probe_that_prints_nothing_fails_and_its_apply_never_runs(tmp_path, home, shell):
    silent = Act("silent", ":", f": >'{tmp_path}/applied'")
    for resources in ([silent], [makes(tmp_path / "before"), silent]):
        run = converge(resources, home, shell=shell)
        assert run.done[silent.id].outcome == "failed"
        assert "its probe failed: it printed nothing" in run.reason(silent)
    assert not (tmp_path / "applied").exists()


def test_what_a_broken_probe_printed_is_shown(tmp_path, home, shell):
    broken = Act("broken", "no-such-command-here --version")
    fine = makes(tmp_path / "fine")
    run = converge([fine, broken], home, shell=shell)
    assert "no-such-command-here" in run.reason(broken)
    assert run.done[fine.id].outcome == "changed"


def test_a_probe_that_exits_or_moves_about_harms_no_other(tmp_path, home, shell):
    file = File(str(tmp_path / "file"), "x")
    leaving = Act("leaving", "exit 3")
    moving = Act("moving", "cd /; umask 0; set -f; echo done=yes", reading=frozenset())
    run = converge([file, moving, leaving], home, shell=shell)
    assert run.done[file.id].outcome == "changed"
    assert run.done[moving.id].outcome == "ok"
    assert run.done[leaving.id].outcome == "failed"


def test_noise_beside_an_answer_does_not_matter_unless_it_fails(tmp_path, home, shell):
    flag = tmp_path / "flag"
    noisy = Act("noisy", f"echo a warning; {exists(flag)}", f": >'{flag}'")
    assert converge([noisy], home, shell=shell).outcomes == {noisy.id: "changed"}
    assert converge([noisy], home, shell=shell).outcomes == {noisy.id: "ok"}
    failing = Act("failing", "echo a warning; echo done=no")
    assert "the probe said: a warning" in converge([failing], home, shell=shell).reason(failing)


@pytest.mark.parametrize(
    "value",
    ["", " ", "a\nb", "back\\slash", "\\n", "trailing \\", "ends\n\nhere", "=x=", "é☃", "'\"$(`"],
)
def test_any_value_survives_the_way_from_the_host(tmp_path, home, shell, value):
    (tmp_path / "value").write_text(value)
    act = Act(
        "act", f"rc_field value \"$(cat '{tmp_path}/value')\"", wants={"value": value.rstrip("\n")}
    )
    assert converge([act], home, shell=shell).outcomes == {act.id: "ok"}


def test_an_answer_in_no_known_encoding_is_compared_byte_by_byte(tmp_path, home, shell):
    odd = Act("odd", "printf 'done=no\\nraw=\\377\\376\\001\\n'", wants={"done": "yes"})
    run = converge([makes(tmp_path / "a"), odd], home, shell=shell)
    assert "it still differs after its apply" in run.reason(odd), "its guard let it through"


def test_a_nul_byte_in_an_answer_does_not_end_the_run(tmp_path, home, shell):
    odd = Act("odd", "printf 'done=yes\\nraw=a\\000b\\n'", wants={"done": "yes"})
    run = converge([makes(tmp_path / "a"), odd], home, shell=shell)
    assert run.done[makes(tmp_path / "a").id].outcome == "changed"


def test_one_identity_declared_twice_is_refused_before_anything_is_touched():
    def one(host, settings):
        return [File("/etc/x", "a")]

    def other(host, settings):
        return [File("/etc/x", "b")]

    roles = [Role("one", RunnerSettings, one), Role("other", RunnerSettings, other)]

    class Host:
        kind = "host"

        def settings(self, type_):
            return RunnerSettings()

    with pytest.raises(ConfigError, match=r"file:/etc/x.*role one.*role other"):
        declare(roles)(Host())  # type: ignore[arg-type]


def test_the_observed_state_reaches_apply(tmp_path, home, shell):
    class Echo(Act):
        def apply(self, observed: Observed):
            return Refuse(f"saw {observed.get('state')}")

    echo = Echo("echo", "echo state=old", wants={"state": "new"})
    assert "saw old" in converge([echo], home, shell=shell).reason(echo)
