import os
import signal
from pathlib import Path

import pytest

from rolecall.resource import Script
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.symlink import Symlink
from tests.integration.loop.acts import Act, exists, makes
from tests.support import KillableTarget, converge, converge_killed


def apply(text, folder, home, shell="/bin/sh"):
    """Converge one act with this apply, between two others; returns the run."""
    act = makes(folder / "made", also=text)
    run = converge([makes(folder / "before"), act, makes(folder / "after")], home, shell=shell)
    assert set(run.outcomes.values()) == {"changed"}, run.reason(act)
    return run


def test_output_that_looks_like_frames_is_output(tmp_path, home, shell):
    lines = ["@@0123456789abcdef01234567 end", "@@ end", "end", "after 1 0 0", "same 0"]
    run = apply("printf '%s\\n' " + " ".join(f"'{line}'" for line in lines), tmp_path, home, shell)
    assert run.output == lines


def test_output_without_a_newline_at_its_end_is_kept(tmp_path, home, shell):
    assert apply("printf 'no newline'", tmp_path, home, shell).output == ["no newline"]


def test_blank_lines_are_kept(tmp_path, home, shell):
    assert apply("printf 'a\\n\\n\\nb\\n'", tmp_path, home, shell).output == ["a", "", "", "b"]


def test_standard_error_is_output_too(tmp_path, home, shell):
    assert apply("echo wrong >&2", tmp_path, home, shell).output == ["wrong"]


def test_binary_output_does_no_harm(tmp_path, home, shell):
    run = apply("printf '\\377\\376\\000\\001 text\\n'", tmp_path, home, shell)
    assert "text" in run.output[0]


def test_a_megabyte_of_output_arrives_whole(tmp_path, home, shell):
    run = apply("seq 150000; head -c 1000000 /dev/zero | tr '\\0' x", tmp_path, home, shell)
    assert run.output[:150000] == [str(number) for number in range(1, 150001)]
    assert run.output[150000:] == ["x" * 1_000_000]


def test_an_apply_has_nothing_to_read(tmp_path, home, shell):
    run = apply(
        "if read -r line; then echo got $line; else echo nothing; fi; cat", tmp_path, home, shell
    )
    assert run.output == ["nothing"]


def test_an_apply_leaks_neither_variables_nor_directory_nor_functions(tmp_path, home, shell):
    leaking = """
cd /; leaked=yes; PATH=/nowhere:$PATH; umask 0; IFS=/; set -f; trap 'echo x' EXIT
rc_answer() { :; }
"""
    act = makes(tmp_path / "leaks", also=leaking)
    looking = makes(tmp_path / "looks", also='echo "${leaked-none} $PWD $(umask)"; echo /et*')
    run = converge([act, looking], home, shell=shell)
    assert set(run.outcomes.values()) == {"changed"}
    assert run.output == ["x", f"none {Path.cwd()} 0022", "/etc"]


def test_an_apply_that_exits_ends_itself_alone(tmp_path, home, shell):
    act = Act("exits", exists(tmp_path / "made"), f": >'{tmp_path}/made'; exit 0; echo no")
    after = makes(tmp_path / "after", also=f"[ -L '{home}/lock' ] && echo still locked")
    run = converge([act, after], home, shell=shell)
    assert run.outcomes == {act.id: "changed", after.id: "changed"}
    assert run.output == ["still locked"]


def test_progress_lines_become_progress(tmp_path, home, shell):
    line = '::progress {"label": "a", "done": 3, "total": 9, "unit": "B"}'
    text = f"echo '{line}'; echo '::progress soon'"
    run = apply(text, tmp_path, home, shell)
    (progress,) = run.progress
    assert (progress.label, progress.done, progress.total, progress.unit) == ("a", 3, 9, "B")
    assert run.output == ["::progress soon"]


def test_a_script_that_is_not_valid_shell_says_where(tmp_path, home, shell):
    broken = makes(tmp_path / "made", also="if true; then")
    run = converge([broken], home, shell=shell)
    assert run.done["host"].outcome == "unreachable"
    assert "yntax error" in run.done["host"].reason


def test_a_background_process_of_an_apply_does_not_hold_the_run_up(tmp_path, home, shell):
    run = apply(f"sleep 30 >/dev/null 2>&1 & echo $! >'{tmp_path}/pid'", tmp_path, home, shell)
    assert run.output == []
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_shell_killed_in_the_middle_is_unreachable_and_the_next_run_converges(
    tmp_path, home, shell
):
    first, last = makes(tmp_path / "first"), makes(tmp_path / "last")
    middle = makes(
        tmp_path / "middle",
        also=f"[ -e '{tmp_path}/killed' ] || {{ : >'{tmp_path}/killed'; kill -9 $$; exit 1; }}",
    )
    run = converge([first, middle, last], home, shell=shell)
    assert run.done[first.id].outcome == "changed"
    assert run.done["host"].outcome == "unreachable"
    reason = run.done["host"].reason
    assert "ended in the middle" in reason and reason.endswith(f"while it applied {middle.id}")
    assert run.recap.of("localhost").unreachable == 1
    again = converge([first, middle, last], home, shell=shell)
    assert again.outcomes == {first.id: "ok", middle.id: "changed", last.id: "changed"}
    assert not os.path.lexists(home / "lock")


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
def test_a_folder_that_nobody_declared_is_named_with_the_way_out(tmp_path, home, shell, kind):
    path = f"{tmp_path}/it's not/there"
    made = {"file": File(path, "x"), "directory": Directory(path), "symlink": Symlink(path, "x")}
    run = converge([made[kind]], home, shell=shell)
    said = f"its folder {tmp_path}/it's not is not there: declare it in front, as Directory(...)"
    assert said in run.reason(made[kind])


def test_a_file_is_whole_or_not_there_when_the_shell_is_killed(tmp_path, home):
    files = [File(str(tmp_path / f"f{n}"), f"{n} " * 5000) for n in range(60)]
    assert converge_killed(files, home, lambda: (tmp_path / "f20").exists())
    for number in range(60):
        path = tmp_path / f"f{number}"
        assert not path.exists() or path.read_text() == f"{number} " * 5000
    assert set(converge(files, home).outcomes.values()) <= {"ok", "changed"}
    assert not list(tmp_path.glob(".rolecall-*"))


def test_a_host_without_its_shell_is_unreachable(tmp_path, home):
    run = converge([makes(tmp_path / "a")], home, target=KillableTarget(str(tmp_path / "none")))
    assert run.done["host"].outcome == "unreachable"
    assert "cannot start" in run.done["host"].reason


def test_secrets_stay_out_of_events_and_journal(tmp_path, home, shell):
    secret = "hunter2-swordfish"
    (tmp_path / "file").write_text(f"old {secret}")
    loud = Act(
        "loud",
        f"cat '{tmp_path}/file'; echo; echo value={secret}-old; echo {secret}",
        f"echo {secret}; printf {secret} >&2; exit 3",
        {"value": secret},
        secret=True,
    )
    broken = Act("broken", f"echo {secret}", secret=True)
    file = File(str(tmp_path / "file"), secret, secret=True)
    for check in (True, False):
        run = converge([file, loud], home, check=check, shell=shell, diff=True)
        assert secret not in run.text
        assert secret not in converge([broken], home, check=check, shell=shell).text
    assert run.done[file.id].outcome == "changed"
    assert run.done[loud.id].outcome == "failed"
    assert "its output is not shown" in run.reason(loud)
    assert [change.after for change in run.done[loud.id].changes] == ["********"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert secret not in (home / "journal").read_text()
    assert secret in (tmp_path / "file").read_text()


def test_secrets_stay_out_of_the_process_list(tmp_path, home, shell):
    secret = "hunter2-swordfish"
    file = File(str(tmp_path / "file"), f"{secret}\n" * 200, secret=True)
    watch = Act(
        "watch",
        exists(tmp_path / "seen"),
        Script(f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >'{tmp_path}/seen'"),
    )
    token = Act("token", "echo done=no", f"echo {secret} | sha256sum", secret=True)
    converge([file, watch, token], home, shell=shell)
    assert secret not in (tmp_path / "seen").read_text()
