import pytest

from rolecall.resources.command import Command
from rolecall.resources.file import File
from rolecall.shell import quote
from tests.support import SHELLS, converge, find_shell, settled


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", ["if true", "}", ")", "echo 'open", "case x in"])
def test_a_syntax_error_is_the_failure_of_this_command_alone(tmp_path, script, shell):
    before = File(str(tmp_path / "before"), "x")
    command = Command("broken", script, creates=str(tmp_path / "never"))
    result = converge([before, command], tmp_path / "home", shell=find_shell(shell, tmp_path))
    assert result.outcomes == {before.id: "changed", command.id: "failed"}


def test_an_input_that_changes_while_the_command_runs_is_work_for_the_next_run(tmp_path):
    source, runs = tmp_path / "in", tmp_path / "runs"
    source.write_text("one")
    command = Command(
        "read",
        f"echo run >>{quote(str(runs))}; [ -s {quote(str(tmp_path / 'x'))} ] || "
        f"{{ echo x >{quote(str(tmp_path / 'x'))}; echo two >{quote(str(source))}; }}",
        inputs=(str(source),),
        stamp=str(tmp_path / "stamp"),
    )
    first = converge([command], tmp_path / "home")
    assert first.outcomes[command.id] == "failed"
    assert converge([command], tmp_path / "home").outcomes[command.id] == "changed"
    settled([command], tmp_path / "home")
    assert runs.read_text() == "run\nrun\n"


def test_a_failing_command_leaves_no_stamp(tmp_path):
    (tmp_path / "in").write_text("x")
    command = Command(
        "fails", "false; true", inputs=(str(tmp_path / "in"),), stamp=str(tmp_path / "stamp")
    )
    assert converge([command], tmp_path / "home").outcomes[command.id] == "failed"
    assert not (tmp_path / "stamp").exists()
