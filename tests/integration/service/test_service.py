"""Services of this machine: real processes, supervised, killed, and converged again."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rolecall.resources.file import File
from rolecall.resources.service import Service, http_ready, logs_script
from tests.integration.service.rig import (
    PROGRAM,
    Rig,
    eventually,
    free_port,
    gone,
    with_child,
)
from tests.support import (
    SHELLS,
    assert_contract,
    converge,
    converge_killed,
    destroy,
    find_shell,
    settled,
)


def where_sh_is(shell: str, folder: Path) -> str:
    """A shell on whose PATH ``sh`` is this one too: the supervisor then runs in it."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "sh").symlink_to(shell)
    wrapper = folder / "wrapper"
    wrapper.write_text(f"#!/bin/sh\nPATH={bin_}:$PATH\nexport PATH\nexec {shell}\n")
    wrapper.chmod(0o755)
    return str(wrapper)


@pytest.mark.parametrize("name", SHELLS)
def test_it_starts_once_and_is_removed_without_trace(name: str, rig: Rig, tmp_path: Path) -> None:
    shell = find_shell(name, tmp_path)
    if name == "bash":
        shell = where_sh_is(shell, tmp_path)
    service = rig.service()
    first = assert_contract([service], rig.home, shell)
    fields = [change.field for change in first.done[service.id].changes]
    assert fields[0] == "state"
    status = rig.status()
    assert (status["state"], status["ready"]) == ("running", "yes")
    assert abs(time.time() - int(status["since"])) < 60
    pids = rig.processes()
    destroy(service, rig.home)
    assert not rig.directory.exists()
    # The watcher that busybox's timeout leaves looks once a second whether it is needed.
    eventually(lambda: all(gone(pid) for pid in pids))


def test_a_real_server_answers_and_a_change_of_port_restarts_it(rig: Rig) -> None:
    def server(port: int) -> Service:
        return rig.service(
            command=(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"),
            workdir=str(rig.work),
            listens=(f"127.0.0.1:{port}",),
            ready=http_ready(f"http://127.0.0.1:{port}/program.py", sys.executable),
        )

    one, two = free_port(), free_port()
    assert_contract([server(one)], rig.home)
    predicted = converge([server(two)], rig.home, check=True)
    assert [change.field for change in predicted.done["service:app"].changes] == [
        "command",
        "settings",
        "ready",
    ]
    assert converge([server(two)], rig.home).outcomes == {"service:app": "changed"}
    settled([server(two)], rig.home)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", one)) != 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"env": {"A": "2"}}, "env.A"),
        ({"env": {}}, "env"),
        ({"env": {"A": "1", "B": "1"}}, "env.B"),
        ({"secret_env": {"T": "two"}}, "env.T"),
        ({"workdir": "/"}, "workdir"),
    ],
)
def test_a_change_of_origin_is_foretold_and_restarts(
    change: dict[str, object], field: str, rig: Rig
) -> None:
    options = {"env": {"A": "1"}, "secret_env": {"T": "one"}, "workdir": str(rig.work)}
    service = rig.service(**options)
    assert_contract([service], rig.home)
    before = rig.pid
    other = rig.service(**{**options, **change})
    predicted = converge([other], rig.home, check=True)
    assert predicted.outcomes == {other.id: "would change"}
    fields = [found.field for found in predicted.done[other.id].changes]
    assert field in fields
    assert set(fields) <= {"env", field}
    assert rig.pid == before
    done = converge([other], rig.home)
    assert done.outcomes == {other.id: "changed"}
    assert "'one'" not in predicted.text + done.text
    assert "'two'" not in predicted.text + done.text
    assert rig.programs() == [rig.pid]
    assert gone(before)
    settled([other], rig.home)


def test_a_changed_file_restarts_and_makes_the_answer_unknown_before(rig: Rig) -> None:
    config = rig.work / "a $(b) 'c'\nd.conf"
    service = rig.service(files=(str(config),))
    assert_contract([File(str(config), "one"), service], rig.home)
    before = rig.pid
    changed = [File(str(config), "two"), service]
    predicted = converge(changed, rig.home, check=True)
    assert predicted.outcomes[service.id] == "unknown until"
    assert converge(changed, rig.home).outcomes[service.id] == "changed"
    assert rig.pid != before
    settled(changed, rig.home)
    config.unlink()
    missing = converge([service], rig.home, check=True).done[service.id].changes
    assert [(found.field, found.after) for found in missing] == [("files", "as started")]
    assert missing[0].before is not None and missing[0].before.startswith("changed: ")


def test_settings_of_the_supervisor_change_without_a_restart(rig: Rig) -> None:
    assert_contract([rig.service()], rig.home)
    before = rig.pid
    other = rig.service(stop_timeout=7, log_keep=9)
    assert converge([other], rig.home).outcomes == {other.id: "changed"}
    assert rig.pid == before
    settled([other], rig.home)


def test_values_arrive_as_they_are(rig: Rig) -> None:
    hostile = (
        "",
        " ",
        "a b",
        "'",
        '"',
        "$(touch pwned)",
        "`x`",
        "\\n",
        "line\nbreak\n",
        "#=spec x",
    )
    program = "import os,pathlib,sys,time;w=pathlib.Path(sys.argv[1])\n"
    program += "(w/'got').write_text(repr((sys.argv[2:],os.environ['V'],dict(os.environ))))\n"
    program += "(w/'up').touch();time.sleep(600)"
    service = rig.service(program, env={"V": "\n".join(hostile)})
    service = dataclasses.replace(service, command=(*service.command, *hostile))
    assert_contract([service], rig.home)
    arguments, value, environment = eval((rig.work / "got").read_text())
    assert tuple(arguments) == hostile
    assert value == "\n".join(hostile)
    # python may add LC_CTYPE, a shell its own three.
    extra = {"LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"}
    assert set(environment) - extra == {"HOME", "USER", "LOGNAME", "PATH", "V"}


def test_secrets_are_in_no_command_line_and_no_readable_file(rig: Rig) -> None:
    program = PROGRAM + "# uses os.environ['T']"
    service = rig.service(program, secret_env={"T": "pa55 'w'\nord"})
    first = assert_contract([service], rig.home)
    assert "pa55" not in first.text
    for pid in rig.processes():
        assert b"pa55" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    for path in [rig.directory, *rig.directory.rglob("*")]:
        assert path.lstat().st_mode & 0o077 == 0 or path.is_symlink(), path
    assert "pa55" not in rig.log
    assert "pa55" not in (rig.home / "journal").read_text()
    assert "pa55" not in str(rig.status())


def test_it_holds_nothing_of_the_session_that_started_it(rig: Rig) -> None:
    assert_contract([rig.service()], rig.home)
    for pid in (rig.pid, rig.supervisor):
        open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
        allowed = {"/dev/null", str(rig.directory / "log"), str(rig.directory / "supervise")}
        assert open_files <= allowed
        assert os.getsid(pid) == pid
    status = Path(f"/proc/{rig.pid}/status").read_text()
    ignored = int(status.split("SigIgn:")[1].split()[0], 16)
    # Python itself ignores PIPE and XFSZ; INT and QUIT must be as the program expects them.
    assert ignored & (1 << (signal.SIGINT - 1) | 1 << (signal.SIGQUIT - 1)) == 0


def test_a_killed_program_is_started_again_by_its_supervisor(rig: Rig) -> None:
    service = rig.service()
    assert_contract([service], rig.home)
    before = rig.pid
    os.kill(before, signal.SIGKILL)
    eventually(lambda: rig.status().get("pid", str(before)) != str(before))
    status = rig.status()
    assert (status["restarts"], status["last_exit"]) == ("1", "ended by signal 9")
    settled([service], rig.home)


@pytest.mark.parametrize("victims", ["supervisor", "both", "both, a child stays"])
def test_after_kills_there_is_one_program_again(victims: str, rig: Rig) -> None:
    program = with_child(rig.folder)
    service = rig.service(program)
    assert_contract([service], rig.home)
    supervisor, before = rig.supervisor, rig.pid
    eventually(lambda: len(rig.processes()) >= 3)
    everything = rig.processes()
    os.kill(supervisor, signal.SIGKILL)
    if victims != "supervisor":
        os.kill(before, signal.SIGKILL)
    if victims == "both":
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    eventually(lambda: gone(supervisor))
    expected = {"supervisor": "unsupervised", "both": "stopped", "both, a child stays": "leftover"}
    assert rig.status()["state"] == expected[victims]
    assert converge([service], rig.home, check=True).outcomes == {service.id: "would change"}
    assert converge([service], rig.home).outcomes == {service.id: "changed"}
    assert all(gone(pid) for pid in everything)
    assert rig.programs() == [rig.pid]
    settled([service], rig.home)


@pytest.mark.parametrize("victims", ["supervisor", "both"])
def test_what_kills_left_is_stopped(victims: str, rig: Rig) -> None:
    service = rig.service()
    assert_contract([service], rig.home)
    os.kill(rig.supervisor, signal.SIGKILL)
    if victims == "both":
        os.kill(rig.pid, signal.SIGKILL)
    stopped = dataclasses.replace(service, running=False)
    converge([stopped], rig.home)
    settled([stopped], rig.home)
    assert rig.programs() == []


def test_a_reboot_is_seen_and_nobody_elses_process_is_touched(rig: Rig) -> None:
    service = rig.service(log_check=1)
    assert_contract([service], rig.home)
    for pid in (rig.supervisor, rig.pid):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not rig.processes())
    # The numbers now name a process of this test, in a session of its own.
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        for boot in ("another-boot", Path("/proc/sys/kernel/random/boot_id").read_text().strip()):
            identity = f"{boot}:{bystander.pid}:1"
            (rig.directory / "running").write_text(f"{identity}\nsince=1\n")
            with suppress(FileNotFoundError):
                (rig.directory / "supervisor").unlink()
            (rig.directory / "supervisor").symlink_to(identity)
            assert rig.status()["state"] == "stopped"
            assert converge([service], rig.home).outcomes == {service.id: "changed"}
            assert bystander.poll() is None
            settled([service], rig.home)
            converge([dataclasses.replace(service, running=False)], rig.home)
    finally:
        bystander.kill()
        bystander.wait()


def test_stop_and_start_are_the_same_resource(rig: Rig) -> None:
    service = rig.service()
    stopped = dataclasses.replace(service, running=False)
    assert_contract([service], rig.home)
    assert_contract([stopped], rig.home)
    assert rig.processes() == []
    assert "last_exit" not in rig.status()
    assert_contract([service], rig.home)


def test_a_program_that_ignores_term_is_killed_after_the_deadline(rig: Rig) -> None:
    ignoring = PROGRAM.replace("work = ", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwork = ")
    service = rig.service(ignoring, stop_timeout=2)
    assert_contract([service], rig.home)
    pid, since = rig.pid, time.monotonic()
    done = converge([dataclasses.replace(service, running=False)], rig.home)
    assert done.outcomes == {service.id: "changed"}
    assert 1.0 < time.monotonic() - since < 10
    assert gone(pid)
    assert any(event.label == "stopping" for event in done.progress)


def test_children_in_groups_of_their_own_end_with_it(rig: Rig) -> None:
    program = with_child(rig.folder, ", preexec_fn=lambda: os.setpgid(0, 0)")
    service = rig.service(program)
    assert_contract([service], rig.home)
    eventually(lambda: len(rig.processes()) >= 3)
    converge([dataclasses.replace(service, running=False)], rig.home)
    assert rig.processes() == []


def test_what_never_gets_ready_fails_with_its_log_and_is_stopped(rig: Rig) -> None:
    program = PROGRAM.replace('(work / "up").touch()', 'print("no model", flush=True)')
    service = rig.service(program, ready_timeout=2)
    done = converge([service], rig.home)
    assert done.outcomes == {service.id: "failed"}
    reason = done.reason(service)
    assert "no model" in reason
    assert "not ready within 2 s" in reason
    assert str(rig.directory / "log") in reason
    assert next(event.label for event in done.progress) == "waiting until ready"
    assert done.progress[0].total == 2
    assert rig.processes() == []
    assert converge([service], rig.home, check=True).outcomes == {service.id: "would change"}
    assert_contract([rig.service()], rig.home)


@pytest.mark.parametrize("ready", ["true", ""])
def test_what_ends_at_once_fails_at_once(ready: str, rig: Rig) -> None:
    service = rig.service("import sys; print('bad flag'); sys.exit(3)", ready=ready)
    if ready:
        service = dataclasses.replace(service, ready="sleep 1")
    since = time.monotonic()
    done = converge([service], rig.home)
    assert done.outcomes == {service.id: "failed"}
    assert "it exited with status 3" in done.reason(service)
    assert "bad flag" in done.reason(service)
    assert time.monotonic() - since < 10
    assert rig.processes() == []
    assert rig.status()["last_exit"] == "exited with status 3"


def test_a_program_that_is_not_there_is_told(rig: Rig) -> None:
    service = rig.service(command=(str(rig.work / "no such"),))
    done = converge([service], rig.home)
    assert done.outcomes == {service.id: "failed"}
    assert "exited with status 127" in done.reason(service)
    assert "no such" in done.reason(service)


def test_a_crash_loop_backs_off_and_is_reported(rig: Rig) -> None:
    waits = 'while not (work / "crash").exists(): time.sleep(0.1)'
    program = PROGRAM.replace("while True", f"{waits}\nsys.exit(7)\nwhile True")
    service = rig.service(program, restart_max_delay=2)
    assert_contract([service], rig.home)
    (rig.work / "crash").touch()
    eventually(lambda: int(rig.status().get("restarts", "0")) >= 3)
    assert rig.status()["last_exit"] == "exited with status 7"
    delays = [line.split()[-2] for line in rig.log.splitlines() if "starting it again" in line]
    assert delays[:3] == ["1", "2", "2"]
    (rig.work / "crash").unlink()
    eventually(lambda: rig.status()["state"] == "running")
    settled([service], rig.home)


def test_a_hung_program_is_started_again(rig: Rig) -> None:
    service = rig.service(ready_timeout=2)
    assert_contract([service], rig.home)
    before = rig.pid
    (rig.work / "up").unlink()
    predicted = converge([service], rig.home, check=True).done[service.id]
    assert [(found.field, found.before) for found in predicted.changes] == [("ready", "no")]
    assert converge([service], rig.home).outcomes == {service.id: "changed"}
    assert rig.pid != before


def test_a_late_program_is_waited_for_not_restarted(rig: Rig) -> None:
    service = rig.service()
    assert_contract([service], rig.home)
    before = rig.pid
    (rig.work / "up").unlink()
    subprocess.Popen(["sh", "-c", f"sleep 2; touch {rig.work / 'up'}"]).poll()
    assert converge([service], rig.home).outcomes == {service.id: "changed"}
    assert rig.pid == before


def test_the_log_is_rotated_and_bounded(rig: Rig) -> None:
    program = PROGRAM.replace("time.sleep(60)", 'print("x" * 99, flush=True); time.sleep(0.005)')
    service = rig.service(program, log_max_bytes=5000, log_keep=2, log_check=1)
    assert_contract([service], rig.home)
    eventually(lambda: (rig.directory / "log.2").exists())
    time.sleep(2.5)
    names = {path.name for path in rig.directory.iterdir() if path.name.startswith("log")}
    assert names - {"log.new"} == {"log", "log.1", "log.2"}
    # One check's worth may come on top.
    assert (rig.directory / "log").stat().st_size < 5000 + 3 * 100 * 200
    assert b"\0" not in (rig.directory / "log").read_bytes()
    assert rig.status()["state"] == "running"
    shown = subprocess.run(
        ["sh", "-c", logs_script(str(rig.directory), 5)], capture_output=True, text=True, check=True
    )
    assert len(shown.stdout.splitlines()) == 5


def test_a_port_in_use_is_told_before_anything_is_done(rig: Rig) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for address in (f"127.0.0.1:{port}", str(port)):
            service = rig.service(listens=(address,))
            for check in (True, False):
                done = converge([service], rig.home, check=check)
                assert done.outcomes == {service.id: "failed"}
                assert f"{address} by process {os.getpid()} (" in done.reason(service)
        assert not rig.directory.exists()
        elsewhere = rig.service(listens=(f"127.0.0.2:{port}",))
        assert converge([elsewhere], rig.home, check=True).outcomes == {service.id: "would change"}
    assert_contract([rig.service(listens=(str(port),))], rig.home)


def test_a_run_killed_while_it_waits_is_taken_up_by_the_next(rig: Rig) -> None:
    program = PROGRAM.replace('(work / "up").touch()', 'time.sleep(2); (work / "up").touch()')
    service = rig.service(program)
    killed = converge_killed([service], rig.home, lambda: (rig.work / "starts").exists())
    assert killed
    converge([service], rig.home, lock_wait=10)
    settled([service], rig.home)
    assert rig.programs() == [rig.pid]
    assert len((rig.work / "starts").read_text().splitlines()) == 1


@pytest.mark.parametrize("moment", ["supervise", "settings", "start.new", "start", "supervisor"])
def test_a_run_killed_anywhere_is_completed_by_the_next(moment: str, rig: Rig) -> None:
    service = rig.service()
    converge_killed([service], rig.home, lambda: os.path.lexists(rig.directory / moment))
    converge([service], rig.home, lock_wait=10)
    settled([service], rig.home)
    assert rig.programs() == [rig.pid]


def test_a_missing_parent_is_an_error(rig: Rig) -> None:
    service = rig.service(directory=str(rig.folder / "no" / "app"))
    done = converge([service], rig.home)
    assert done.outcomes == {service.id: "failed"}
    assert "mkdir" in done.reason(service)


def test_a_second_supervisor_gives_way(rig: Rig) -> None:
    service = rig.service()
    assert_contract([service], rig.home)
    supervisor = rig.supervisor
    second = subprocess.run(
        ["setsid", "sh", str(rig.directory / "supervise"), "supervise", str(rig.directory)],
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert rig.supervisor == supervisor
    assert len(rig.programs()) == 1
