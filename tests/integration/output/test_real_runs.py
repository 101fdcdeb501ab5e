from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from rolecall.output.runlog import last_change, runs
from tests.unit.output.support import shown_on_screen

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
ENVIRONMENT.pop("NO_COLOR", None)


def command(folder: Path, mode: str, variant: str) -> list[str]:
    return [sys.executable, "-m", "tests.integration.output.run_demo", str(folder), mode, variant]


def piped(
    folder: Path, mode: str = "auto", variant: str = "deploy"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, mode, variant),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def on_terminal(
    folder: Path, variant: str = "deploy", width: int = 90, extra: dict[str, str] | None = None
) -> str:
    """Everything written to a real terminal of ``width`` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    with subprocess.Popen(
        command(folder, "auto", variant),
        cwd=ROOT,
        env={**ENVIRONMENT, **(extra or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not more:
                break
            data += more
    os.close(ours)
    assert process.returncode in (0, 1)
    return data.decode().replace("\r\n", "\n")


def test_a_terminal_shows_a_first_run_with_progress_and_then_that_all_is_ok(
    tmp_path: Path,
) -> None:
    first = on_terminal(tmp_path)
    assert "EVIL" not in first
    assert re.search(r"weights.*━.* %.*/6 layers", first)
    lines = shown_on_screen(first)
    assert any(line.startswith("  ● changed  command:build") for line in lines)
    assert not any("weights" in line for line in lines)
    assert first.rfind("\x1b[?25h") > first.rfind("\x1b[?25l")

    lines = shown_on_screen(on_terminal(tmp_path))
    assert "  ✓ ok       command:build" in lines
    assert len([line for line in lines if line.startswith("  ✓ ok ")]) == 8
    assert any(line.startswith("Nothing to change") for line in lines)
    assert lines.index("Try: ./inv chat") > len(lines) - 4


def test_a_terminal_shows_a_plan_with_its_diff(tmp_path: Path) -> None:
    piped(tmp_path)
    raw = on_terminal(tmp_path, "plan")
    assert "\x1b[31m-batch 4" in raw
    assert "\x1b[32m+batch 8" in raw
    lines = shown_on_screen(raw)
    assert any(line.startswith(f"  ~ would change  file:{tmp_path}/config") for line in lines)
    assert "Nothing was written." in lines


def test_a_terminal_shows_why_a_run_failed_and_where_to_read_on(tmp_path: Path) -> None:
    text = "\n".join(shown_on_screen(on_terminal(tmp_path, "fail", width=200)))
    assert "✗ failed: command:serve" in text
    assert "│ port in use" in text
    logged = re.search(r"Log of this run: (\S+)", text)
    assert logged
    assert Path(logged[1]).exists()


def test_an_interrupt_is_told_as_what_it_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        command(tmp_path, "plain", "deploy"),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if "role      engine" in line:
                process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 130
    assert lines[-2] == "localhost  not over  in command:build"
    assert lines[-1].endswith(" failed=0 unreachable=0")


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour_gets_plain_lines(
    tmp_path: Path, variable: dict[str, str]
) -> None:
    raw = on_terminal(tmp_path, extra=variable)
    assert "\x1b" not in raw
    assert raw.splitlines()[-1].startswith("localhost : ok=0 changed=8 ")


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    done = piped(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not re.search("[\x00-\x09\x0b-\x1f]", done.stdout)
    last = "localhost : ok=0 changed=8 skipped=0 failed=0 unreachable=0"
    assert done.stdout.splitlines()[-1] == last


def test_json_is_one_event_a_line_and_the_recap_last(tmp_path: Path) -> None:
    piped(tmp_path)
    events = [json.loads(line) for line in piped(tmp_path, "json").stdout.splitlines()]
    counts = {"ok": 8, "changed": 0, "skipped": 0, "failed": 0, "unreachable": 0}
    assert events[-1] == {"event": "recap", "hosts": {"localhost": counts}}
    assert [event["event"] for event in events].count("recap") == 1


@pytest.mark.parametrize("mode", ["plain", "json"])
def test_a_reader_that_goes_away_ends_the_run_quietly_and_at_once(
    tmp_path: Path, mode: str
) -> None:
    process = subprocess.Popen(
        command(tmp_path, mode, "deploy"),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 141
    process.stderr.close()
    assert not (tmp_path / "made").exists()


def test_the_log_of_a_killed_run_is_readable(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, "plain", "deploy"), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while last_change(tmp_path / "runs", "localhost", f"file:{tmp_path}/tree/f4") is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    (run,) = runs(tmp_path / "runs")
    assert run.recap is None
    assert run.task == "deploy"
