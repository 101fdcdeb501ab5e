"""Every command against a real deployment, which each test leaves as it found it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.deployed import INV, Deployment, events, failure, outcomes, recap
from tests.support import tree_digest

LONG = ["--raw", "Once upon a time", "--max-tokens", "2000"]


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        time.sleep(0.1)


def active_requests(deployed: Deployment) -> int:
    """Requests that hold a slot of the engine."""
    with urllib.request.urlopen(f"{deployed.metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r'nv_trt_llm_request_metrics\{[^}]*request_type="active"[^}]*\} (\S+)', text)
    assert found, "the engine reports no metrics"
    return int(float(found[1]))


@pytest.fixture
def restored(deployed: Deployment) -> Iterator[Deployment]:
    """The deployment, for a test that changes it; a deploy brings it back."""
    yield deployed
    done = deployed.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert deployed.is_ready()


# --- deploy and plan ---------------------------------------------------------------------------


def test_a_second_deploy_changes_nothing_in_one_round_trip(deployed: Deployment) -> None:
    pid = deployed.server_pid
    done = deployed.inv("deploy", "--json")
    assert done.returncode == 0
    counts = recap(done)
    assert counts["changed"] == counts["failed"] == counts["unreachable"] == 0
    assert counts["ok"] >= 15
    (over,) = [event for event in events(done) if event["event"] == "host_done"]
    assert over["exchanges"] == 1
    assert deployed.server_pid == pid


def test_deploy_ends_with_the_endpoint_and_what_comes_next(deployed: Deployment) -> None:
    done = deployed.inv("deploy")
    assert done.returncode == 0 and not done.stderr
    endpoint, following, counts = done.stdout.splitlines()[-3:]
    assert endpoint == f"serving at {deployed.http}/v2/models/ensemble/generate"
    assert following.startswith("next: ./inv chat")
    assert re.fullmatch(r"localhost : ok=\d+ changed=0 skipped=1 failed=0 unreachable=0", counts)


def test_plan_and_check_find_nothing_to_do_and_write_nothing(deployed: Deployment) -> None:
    before = _digest(deployed)
    for task in (["plan"], ["deploy", "--check"]):
        done = deployed.inv(*task, "--json", "--detailed-exitcode")
        assert done.returncode == 0
        assert recap(done)["changed"] == 0
        assert set(outcomes(done).values()) == {"ok", "skipped"}
    assert _digest(deployed) == before


def _digest(deployed: Deployment) -> str:
    """Everything but the log, which the server writes."""
    folders = [path for path in deployed.home.iterdir() if path.name not in {"services", "python"}]
    return tree_digest(*sorted(folders))


def test_a_changed_setting_is_planned_line_by_line_and_nothing_else_is(
    deployed: Deployment,
) -> None:
    setting = ["--set", "repo.max_batch_size=16"]
    done = deployed.inv("plan", "--json", "--detailed-exitcode", *setting)
    assert done.returncode == 2
    would_change = {id_ for id_, said in outcomes(done).items() if said not in {"ok", "skipped"}}
    assert would_change == {"tree:repo", "service:triton"}
    diffs = {e["path"]: e["lines"] for e in events(done) if e["event"] == "diff"}
    models = {"preprocessing", "postprocessing", "tensorrt_llm", "tensorrt_llm_bls", "ensemble"}
    assert set(diffs) == {f"repo/{model}/config.pbtxt" for model in models}
    for path, lines in diffs.items():
        changed = [line for line in lines if line[0] in "+-"]
        expected = ["-max_batch_size: 64", "+max_batch_size: 16"]
        if path == "repo/tensorrt_llm/config.pbtxt":
            expected += ["-  preferred_batch_size: [ 64 ]", "+  preferred_batch_size: [ 16 ]"]
        assert changed == expected
    plain = deployed.inv("plan", *setting).stdout
    assert "    -max_batch_size: 64\n    +max_batch_size: 16\n" in plain


def test_a_plan_of_a_fresh_machine_writes_nothing_there(tmp_path: Path) -> None:
    fresh = Deployment(tmp_path / "home", (29991, 29992, 29993))
    for task in (["plan"], ["deploy", "--check"], ["engine", "--check"]):
        done = fresh.inv(*task, "--json", "--detailed-exitcode")
        assert done.returncode == 2, done.stdout
        assert recap(done)["failed"] == 0
        assert "changed" not in outcomes(done).values()
        assert not fresh.home.exists()


def test_tags_and_roles_choose_what_is_converged(deployed: Deployment) -> None:
    def roles(*args: str) -> set[str]:
        done = deployed.inv(*args, "--json")
        assert done.returncode == 0
        assert recap(done)["changed"] == 0
        return {e["role"] for e in events(done) if e["event"] == "resource"}

    every = {"system", "python", "model", "engine", "repo", "server"}
    assert roles("deploy", "--tags", "engine,repo") == {"engine", "repo"}
    assert roles("deploy", "--skip-tags", "system, server") == every - {"system", "server"}
    for role in every:
        assert roles(role) == {role}


def test_a_changed_input_builds_a_new_engine_and_going_back_builds_none(
    restored: Deployment,
) -> None:
    setting = ["--set", "engine.max_seq_len=2048"]
    old = restored.engine_dir
    planned = outcomes(restored.inv("plan", "--json", *setting))
    assert planned["artifact:engine"] == planned["tree:repo"] == "would change"
    assert planned["artifact:model"] == "ok"
    done = restored.inv("deploy", "--json", *setting)
    assert done.returncode == 0, failure(done)
    new = restored.engine_dir
    assert new != old and old.is_dir() and new.is_dir()
    assert str(new) in restored.inv("status", *setting).stdout
    back = restored.inv("deploy", "--json")
    assert back.returncode == 0
    assert restored.engine_dir == old and new.is_dir()
    built = [e for e in events(back) if e["event"] == "progress" and e["id"] == "artifact:engine"]
    assert not built


# --- chat --------------------------------------------------------------------------------------


def test_chat_answers_a_question(deployed: Deployment) -> None:
    question = ["chat", "What is the capital of France?", "--temperature", "0"]
    done = deployed.inv(*question, "--max-tokens", "30")
    assert done.returncode == 0 and not done.stderr
    assert "Paris" in done.stdout
    again = deployed.inv("chat", "--question", *question[1:], "--max-tokens", "30")
    assert again.stdout == done.stdout


def test_chat_goes_on_with_a_raw_text(deployed: Deployment) -> None:
    done = deployed.inv("chat", "--raw", "The capital of France is", "--max-tokens", "5")
    assert done.returncode == 0 and done.stdout.strip()


def test_ctrl_c_stops_the_answer_and_frees_its_slot(deployed: Deployment) -> None:
    command = [str(INV), "chat", *LONG, *deployed.options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(1)
        wait_until(lambda: active_requests(deployed) == 1, 10)  # reported twice a second
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 0
        assert rest.endswith(" … stopped\n")
        assert "Traceback" not in process.stderr.read()
    wait_until(lambda: active_requests(deployed) == 0, 10)


class Terminal:
    """A program on a pseudo terminal: what is typed, and what comes."""

    def __init__(self, command: list[str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def expect(self, text: str, seconds: float = 60.0) -> str:
        """Read until ``text`` comes; returns everything up to its end, and forgets it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            try:
                data = os.read(self.descriptor, 4096)
            except OSError:  # the program has closed its terminal
                data = b""
            assert data, f"ended without {text!r}: {self.seen!r}"
            self.seen += data.decode("utf-8", "replace")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def close(self) -> int:
        """Read to the end and return the exit status."""
        while True:
            try:
                if not os.read(self.descriptor, 4096):
                    break
            except OSError:
                break
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_conversation_on_a_terminal(deployed: Deployment) -> None:
    options = ["--temperature", "0", "--max-tokens", "300"]
    terminal = Terminal([str(INV), "chat", *options, *deployed.options])
    terminal.expect("Ctrl-D")
    terminal.expect("> ")
    terminal.type("What is the capital of France? Answer in one word.\n")
    assert "Paris" in terminal.expect("\r\n> ")
    terminal.type("Write a very long story about a cat and a dog.\n")
    terminal.expect("dog.\r\n")
    wait_until(lambda: active_requests(deployed) == 1)
    terminal.type("\x03")
    terminal.expect("… stopped")
    wait_until(lambda: active_requests(deployed) == 0, 10)
    terminal.expect("> ")
    time.sleep(0.3)  # a signal between readline's prompt and its select() is seen with the next key
    terminal.type("\x03")
    terminal.expect("> ")
    terminal.type("/new\n")
    terminal.expect("> ")
    terminal.type("\x04")
    assert terminal.close() == 0


# --- why, status, logs, start and stop ---------------------------------------------------------


def test_why_explains_a_resource(deployed: Deployment) -> None:
    done = deployed.inv("why", "service:triton")
    assert done.returncode == 0
    for word in ("verdict   ok", "probe     rc_service", "observed  state=running", "desired"):
        assert word in done.stdout
    assert re.search(r"changed   \d{4}-\d\d-\d\dT\S+ in run \d{8}-\d{6}-\w{4}\n", done.stdout)
    assert re.search(r"\n            command: .+ → /bin/sh /", done.stdout)
    skipped = deployed.inv("why", "package:none")
    assert skipped.returncode == 0 and "skipped: no package is asked for" in skipped.stdout


def test_why_names_the_nearest_resource(deployed: Deployment) -> None:
    done = deployed.inv("why", "artifact:engin")
    assert done.returncode == 2
    assert "did you mean artifact:engine?" in done.stderr


def test_why_shows_what_differs(deployed: Deployment) -> None:
    done = deployed.inv("why", "artifact:engine", "--set", "engine.max_batch_size=8")
    assert "verdict   would change" in done.stdout
    assert "differs   input.max-batch-size: 64 → 8" in done.stdout


def test_status_says_what_is_served_since_when_from_what(deployed: Deployment) -> None:
    done = deployed.inv("status")
    assert done.returncode == 0
    assert re.search(r"serving  running, ready since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", done.stdout)
    assert f"at {deployed.http}\n" in done.stdout
    assert f"from engine {deployed.engine_dir}\n" in done.stdout
    (status,) = events(deployed.inv("status", "--json"))
    assert status["event"] == "status" and status["host"] == "localhost"
    assert status["ready"] is True and status["state"] == "running"
    assert status["engine"] == str(deployed.engine_dir)
    assert set(status["roles"]) == {"system", "python", "model", "engine", "repo", "server"}


def test_logs_show_the_end_and_follow(deployed: Deployment) -> None:
    done = deployed.inv("logs", "--lines", "3")
    assert done.returncode == 0
    assert done.stdout.splitlines() == deployed.log_path.read_text().splitlines()[-3:]
    command = [str(INV), "logs", "-f", "--lines", "1", *deployed.options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        with deployed.log_path.open("a") as log:
            log.write("a line of a test\n")
        assert process.stdout.readline() == "a line of a test\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in {0, 130}
        assert "Traceback" not in process.stderr.read()


def test_stop_and_start_do_nothing_twice(restored: Deployment) -> None:
    for task in ("stop", "start"):
        first, second = (restored.inv(task, "--json") for _ in range(2))
        assert first.returncode == second.returncode == 0
        assert (recap(first)["changed"], recap(second)["changed"]) == (1, 0)
        assert restored.is_ready() is (task == "start")
    assert recap(restored.inv("deploy", "--json"))["changed"] == 0


def test_a_stopped_server_is_said_to_be_stopped_and_deploy_starts_it(restored: Deployment) -> None:
    assert restored.inv("stop").returncode == 0
    status = restored.inv("status")
    assert status.returncode == 1
    assert "serving  stopped, not ready" in status.stdout
    assert "next: ./inv start\n" in status.stdout
    chat = restored.inv("chat", "hi")
    assert chat.returncode == 1 and "nothing is served on localhost" in chat.stderr
    assert "next: " in chat.stderr and "Traceback" not in chat.stderr
    done = restored.inv("deploy", "--json")
    changed = [id_ for id_, said in outcomes(done).items() if said == "changed"]
    assert done.returncode == 0 and changed == ["service:triton"]


def test_start_leaves_the_server_alone_when_its_settings_were_not_deployed(
    restored: Deployment,
) -> None:
    pid = restored.server_pid
    done = restored.inv("start", "--set", "repo.max_queue_size=77")
    assert done.returncode == 1
    assert "is not there, and triton is started from it" in done.stdout
    assert restored.server_pid == pid and restored.is_ready()


# --- what may happen to a deployment -----------------------------------------------------------


def test_a_killed_server_is_started_again_by_its_supervisor(restored: Deployment) -> None:
    old = restored.server_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: _pid_or(restored, old) != old and restored.is_ready(), 60)
    assert "restarted 1 times" in restored.inv("status").stdout
    assert recap(restored.inv("deploy", "--json"))["changed"] == 0


def test_a_killed_supervisor_is_replaced_by_the_next_deploy(restored: Deployment) -> None:
    old, supervisor = restored.server_pid, restored.supervisor_pid
    os.kill(supervisor, signal.SIGKILL)
    assert "unsupervised" in restored.inv("status").stdout
    done = restored.inv("deploy", "--json")
    assert done.returncode == 0
    assert outcomes(done)["service:triton"] == "changed"
    assert restored.supervisor_pid != supervisor
    assert not Path(f"/proc/{old}").exists() or restored.server_pid == old


def _pid_or(deployed: Deployment, default: int) -> int:
    try:
        return deployed.server_pid
    except (FileNotFoundError, IndexError, ValueError):
        return default


def test_damaged_files_are_found_and_made_anew(restored: Deployment) -> None:
    """A model file and an engine file of the wrong size: fetched and built again, nothing else."""
    model = next((restored.home / "artifacts" / "model" / "current").resolve().glob("*.gguf"))
    whole = model.stat().st_size
    with model.open("r+b") as file:
        file.truncate(whole // 2)
    engine = max(restored.engine_dir.rglob("*.bin"), key=lambda path: path.stat().st_size)
    with engine.open("ab") as file:
        file.write(b"more")
    planned = outcomes(restored.inv("plan", "--json"))
    assert planned["artifact:model"] == planned["artifact:engine"] == "would change"
    done = restored.inv("deploy", "--json")
    assert done.returncode == 0, failure(done)
    assert model.stat().st_size == whole
    assert restored.inv("plan", "--detailed-exitcode").returncode == 0
    answer = restored.inv("chat", "What is the capital of France?", "--temperature", "0")
    assert "Paris" in answer.stdout


def test_a_wheel_with_another_hash_is_refused_and_the_old_model_stays(
    deployed: Deployment,
) -> None:
    current = (deployed.home / "artifacts" / "model" / "current").resolve()
    done = deployed.inv("model", "--set", f"model.sha256={'f' * 64}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "could not be fetched with the sha256 that is pinned" in done.stdout
    assert "compare and set model.sha256" in done.stdout
    assert (deployed.home / "artifacts" / "model" / "current").resolve() == current
    assert recap(deployed.inv("plan", "--json"))["changed"] == 0


def test_destroy_asks_on_a_terminal_and_takes_no_for_an_answer(deployed: Deployment) -> None:
    terminal = Terminal([str(INV), "destroy", *deployed.options])
    terminal.expect("things? [y/N] ")
    terminal.type("n\n")
    terminal.expect("Nothing was removed.")
    assert terminal.close() == 0
    assert deployed.is_ready()


def test_a_server_that_never_gets_ready_is_a_failure_with_its_log(restored: Deployment) -> None:
    wrong = ["--set", "server.options=[--no-such-option]"]
    done = restored.inv("deploy", "--json", *wrong)
    assert done.returncode == 1
    assert recap(done)["failed"] == 1
    (failed,) = [e for e in events(done) if e.get("outcome") == "failed"]
    assert failed["id"] == "service:triton"
    assert "--no-such-option" in failed["reason"], failed
    assert str(restored.log_path) in failed["reason"]
    plain = restored.inv("deploy", *wrong)
    assert plain.returncode == 1 and "Traceback" not in plain.stdout + plain.stderr
    assert "--no-such-option" in plain.stdout


def test_two_deploys_at_once_one_says_who_holds_the_lock(restored: Deployment) -> None:
    assert restored.inv("stop").returncode == 0
    command = [str(INV), "deploy", "--json", *restored.options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        wait_until(lambda: os.path.lexists(restored.home / "lock"), 30)
        second = restored.inv("deploy", "--json")
        waiting = restored.inv("deploy", "--json", "--lock-wait", "2m")
        first.stdout.read()
    assert first.returncode == 0
    assert second.returncode == 1
    (over,) = [e for e in events(second) if e["event"] == "host_done"]
    assert "is locked by" in over["error"] and "--lock-wait" in over["hint"]
    assert waiting.returncode == 0 and recap(waiting)["failed"] == 0


def test_ctrl_c_in_a_deploy_says_what_to_do_and_the_next_one_goes_on(restored: Deployment) -> None:
    assert restored.inv("stop").returncode == 0
    command = [str(INV), "deploy", *restored.options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: os.path.lexists(restored.home / "lock"), 30)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors and "run the same command again" in errors
    assert "Traceback" not in output + errors
    assert not os.path.lexists(restored.home / "lock")
    done = restored.inv("deploy", "--json")
    assert done.returncode == 0 and restored.is_ready()
