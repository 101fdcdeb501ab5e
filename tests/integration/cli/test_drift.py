"""``./inv drift`` on hosts over SSH and on a real deployment: what moved, exactly, and who did."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.remote import Site
from tests.integration.deployed import Completed, Deployment, failure
from tests.rig.sshd import USER, Sshd, free_port
from tests.support import tree_digest


def entry(name: str, server: Sshd, **more: object) -> str:
    """Host ``name`` of ``hosts.yaml``: this machine, by way of ``server``."""
    values = {
        "ansible_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(server.key),
        "rolecall": {"home": str(server.folder / f"home-{name}")},
    }
    return json.dumps(values | more)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield made
    made.stop()


@pytest.fixture
def site(tmp_path: Path, server: Sshd) -> Site:
    """Two hosts over SSH, deployed, and one that nobody listens on."""
    made = Site.make(tmp_path)
    gone = entry("gpu-3", server, ansible_port=free_port())
    made.inventory(
        "all:\n  children:\n    gpu:\n      hosts:\n"
        f"        gpu-1: {entry('gpu-1', server)}\n        gpu-2: {entry('gpu-2', server)}\n"
        f"  hosts:\n    gpu-3: {gone}\n"
    )
    made.known_hosts.write_text(server.known_hosts.read_text())
    done = made.type("./inv", "deploy", "--hosts", "gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def looked(site: Site, status: int, *words: str, hosts: str = "gpu") -> Completed:
    done = site.type("./inv", "drift", "--hosts", hosts, *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def told(done: Completed, kind: str = "drift") -> list[dict[str, Any]]:
    """The events of one kind of ``--json``."""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event for event in events if event["event"] == kind]


def deploy_of(site: Site) -> str:
    """The run that deployed it."""
    return min(path.stem for path in (site.root / ".rolecall" / "runs").iterdir())


def test_after_a_deploy_nothing_is_said_written_or_kept_on_record(site: Site, server: Sshd) -> None:
    before = tree_digest(site.notes, *sorted(server.folder.glob("home-*")))
    runs = sorted((site.root / ".rolecall" / "runs").iterdir())
    done = looked(site, 0)
    assert done.stdout == done.stderr == ""
    assert tree_digest(site.notes, *sorted(server.folder.glob("home-*"))) == before
    assert sorted((site.root / ".rolecall" / "runs").iterdir()) == runs
    (summary,) = [json.loads(line) for line in looked(site, 0, "--json").stdout.splitlines()]
    assert (summary["resources"], summary["moved"], summary["unasked"]) == (2, 0, 0)


def test_an_edited_file_is_the_one_thing_that_moved(site: Site) -> None:
    (site.notes / "gpu-2").write_text("by hand")
    done = looked(site, 2)
    note = f"file:{site.notes}/gpu-2"
    line, summary, following = done.stdout.splitlines()
    run = deploy_of(site)
    assert re.fullmatch(
        rf"gpu-2  note  {note}  sha256: [0-9a-f]+… → [0-9a-f]+…"
        rf"  \(changed on the host since run {run} \(deploy\)\)",
        line,
    )
    assert summary == "drift: 1 resource of 2, on 1 of 2 hosts"
    assert following.startswith("next: ./inv plan --hosts gpu-2 shows it line by line")
    (moved,) = told(looked(site, 2, "--json"))
    assert (moved["host"], moved["role"], moved["id"]) == ("gpu-2", "note", note)
    (field,) = moved["fields"]
    assert (field["field"], field["due"], field["run"]) == ("sha256", "host", run)
    assert site.type("./inv", "deploy", "--hosts", "gpu").returncode == 0
    assert looked(site, 0).stdout == ""


def test_a_thing_that_is_gone_is_one_line(site: Site) -> None:
    (site.notes / "gpu-1").unlink()
    lines = looked(site, 2).stdout.splitlines()
    assert f"gpu-1  note  file:{site.notes}/gpu-1  type: file → absent" in lines[0]
    assert [line for line in lines if line.startswith("gpu-1  note")][1:] == [
        f"gpu-1  note  file:{site.notes}/gpu-1  and 1 more field"
    ]


def test_a_changed_setting_is_told_apart_from_a_hand_on_the_host(site: Site) -> None:
    (site.notes / "gpu-2").write_text("by hand")
    done = looked(site, 2, "--json", "--set", "note.text=another")
    fields = {one["host"]: one["fields"][0] for one in told(done)}
    assert fields["gpu-1"]["due"] == "declared"
    assert fields["gpu-2"]["due"] == "both"
    assert {
        (one["host"], one["name"], one["was"], one["now"]) for one in told(done, "setting")
    } == {(host, "note.text", "from the default", "another") for host in ("gpu-1", "gpu-2")}
    lines = looked(site, 2, "--set", "note.text=another").stdout.splitlines()
    assert f"(as run {deploy_of(site)} (deploy) left it)" in lines[0]
    assert "gpu-1  setting  note.text: from the default → another" in lines


def test_what_destroy_removed_is_not_taken_for_a_hand(site: Site) -> None:
    assert site.type("./inv", "destroy", "--yes", "--hosts", "gpu-1").returncode == 0
    (moved,) = told(looked(site, 2, "--json"))
    assert (moved["host"], moved["fields"][0]["is"]) == ("gpu-1", "absent")
    assert {(one["due"], one["task"]) for one in moved["fields"]} == {("declared", "destroy")}


def test_another_deployment_on_the_same_host_is_not_its_record(site: Site, tmp_path: Path) -> None:
    (site.notes / "gpu-1").write_text("by hand")
    elsewhere = ["--set", f"rolecall.home={tmp_path}/elsewhere"]
    (moved,) = told(looked(site, 2, "--json", *elsewhere, hosts="gpu-1"))
    assert (moved["fields"][0]["due"], moved["fields"][0]["run"]) == ("unknown", "")


def test_a_host_that_cannot_be_asked_hides_no_other(site: Site) -> None:
    (site.notes / "gpu-1").write_text("by hand")
    done = looked(site, 1, hosts="all")
    assert f"gpu-1  note  file:{site.notes}/gpu-1  sha256:" in done.stdout
    assert re.search(r"^not asked: gpu-3  .*connection refused.*; next: ", done.stdout, re.M)
    assert len(told(looked(site, 1, "--json", hosts="all"), "not asked")) == 1
    done = looked(site, 1, hosts="gpu-3")
    assert done.stdout.startswith("not asked: gpu-3")


def test_an_inventory_that_is_wrong_does_not_look_like_drift(site: Site) -> None:
    done = looked(site, 1, hosts="nowhere")
    assert "'nowhere' is neither a host nor a group" in done.stderr
    done = looked(site, 1, "--set", "note.txt=x")
    assert "did you mean text?" in done.stderr


def test_a_run_at_work_is_named_and_not_waited_for(site: Site, server: Sshd) -> None:
    lock = server.folder / "home-gpu-1" / "lock"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(") ")[2].split()[19]
    lock.symlink_to(f"{boot}:{os.getpid()}:{started} 1 a-run - joe@elsewhere")
    try:
        done = looked(site, 0)
        assert "gpu-1 is locked by joe@elsewhere: run a-run" in done.stdout
        assert "may be its doing" in done.stdout
    finally:
        lock.unlink()


def test_only_the_latest_looks_stay_on_record_and_every_deploy(site: Site) -> None:
    (site.notes / "gpu-1").write_text("by hand")
    runs = site.root / ".rolecall" / "runs"
    looked(site, 2)
    (look,) = [path for path in runs.iterdir() if '"task": "drift"' in path.read_text()]
    for number in range(15):
        (runs / f"19990101-0000{number:02}-0000.jsonl").write_text(look.read_text())
    before = deploy_of(site)
    looked(site, 2)
    assert len(list(runs.iterdir())) == 11, before


def test_a_terminal_is_told_that_nothing_moved(site: Site) -> None:
    status, shown = site.converse(["./inv", "drift", "--hosts", "gpu"], [])
    assert status == 0
    assert "No drift: 2 resources on 2 hosts as declared." in shown


def test_nobody_reads_the_end(site: Site) -> None:
    (site.notes / "gpu-1").write_text("by hand")
    done = site.type("sh", "-c", "./inv drift --hosts gpu | true; echo over")
    assert done.stdout == "over\n" and "Traceback" not in done.stderr


class TestAServedModel:
    @pytest.fixture
    def restored(self, deployed: Deployment) -> Iterator[Deployment]:
        yield deployed
        done = deployed.inv("deploy", "--json")
        assert done.returncode == 0, failure(done)

    def test_an_edited_file_of_the_repository_and_a_killed_server_are_found(
        self, restored: Deployment
    ) -> None:
        quiet = restored.inv("drift")
        assert (quiet.returncode, quiet.stdout) == (0, ""), quiet.stdout + quiet.stderr
        path = (restored.home / "artifacts/repo/current/ensemble/config.pbtxt").resolve()
        path.chmod(0o644)
        path.write_text(path.read_text() + "# by hand\n")
        os.kill(restored.supervisor_pid, signal.SIGKILL)
        done = restored.inv("drift", "--json")
        assert done.returncode == 2, done.stdout
        found = {
            (one["role"], one["id"], field["field"], field["due"])
            for one in told(done)
            for field in one["fields"]
        }
        assert ("repo", "tree:repo", "file.ensemble/config.pbtxt", "host") in found
        assert ("server", "service:triton", "state", "host") in found
        assert {id_ for _, id_, _, _ in found} == {"tree:repo", "service:triton"}

    def test_a_stopped_server_is_as_stop_left_it(self, restored: Deployment) -> None:
        assert restored.inv("stop").returncode == 0
        done = restored.inv("drift")
        assert done.returncode == 2
        assert re.search(
            r"service:triton  state: running → stopped  \(as run \S+ \(stop\) left it\)",
            done.stdout,
        ), done.stdout
        assert "changed on the host" not in done.stdout
