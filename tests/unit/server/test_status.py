"""What ``status`` says of one host, and of many."""

from __future__ import annotations

from dataclasses import replace

from rolecall.errors import UnreachableError
from rolecall.targets.local import LocalTarget
from rolecall.targets.ssh import SshTarget
from roles.server.host_status import Earlier, HostStatus
from roles.server.place import Place
from roles.server.settings import Server
from roles.server.status import details, table
from tests.unit.runtime.test_runtime import host

ENGINE = "/srv/artifacts/engine/0123456789abcdef"
READY = HostStatus(
    "gpu-1",
    {"system": {"ok": 2}, "preflight": {"ok": 1}, "server": {"ok": 3}},
    "running",
    True,
    1_790_000_000,
    0,
    "http://127.0.0.1:8000",
    True,
    ENGINE,
    Earlier("", "/srv/artifacts/repo/earlier", 1_780_000_000, ""),
)
STOPPED = replace(READY, host="gpu-2", state="stopped", ready=False, since=0, earlier=None)


def cells(status: HostStatus) -> list[str]:
    """The row of one host, without its since, which depends on the time zone."""
    heading, row = table({status.host: status}, {})
    starts = [heading.index(name) for name in ("serving", "since", "engine", "endpoint", "trouble")]
    parts = [row[a:b].strip() for a, b in zip([0, *starts], [*starts, None], strict=True)]
    return [*parts[:2], *parts[3:]]


def test_the_names_of_roles_are_aligned_whatever_their_length() -> None:
    lines = list(details(READY))
    assert lines[:4] == [
        "gpu-1",
        "  system     2 ok",
        "  preflight  1 ok",
        "  server     3 ok",
    ]
    assert lines[4].startswith("  serving    running, ready since ")
    assert lines[6:8] == [
        f"             from engine {ENGINE}",
        lines[7],
    ]
    assert lines[7].startswith("  earlier    repository /srv/artifacts/repo/earlier, served from ")
    assert lines[8:] == ["             ./inv rollback goes back to it"]


def test_an_address_of_another_machine_says_on_which_it_holds() -> None:
    assert "             at http://127.0.0.1:8000 on gpu-1" in details(READY)
    assert "             at http://127.0.0.1:8000" in details(replace(READY, remote=False))
    where = host(server=Server(address="0.0.0.0", http_port=8080))
    here, there = (Place.of(where, way) for way in (LocalTarget("h"), SshTarget.__new__(SshTarget)))
    assert here.at("/v2") == "http://127.0.0.1:8080/v2"
    assert there.at("/v2") == "http://127.0.0.1:8080/v2 on h"


def test_an_address_of_ip_version_6_is_a_url() -> None:
    assert Place.of(host(server=Server(address="::")), LocalTarget("h")).url == "http://[::1]:8000"


def test_a_host_of_many_is_a_line_with_the_engines_digest() -> None:
    assert cells(READY) == ["gpu-1", "ready", "0123456789abcdef", "http://127.0.0.1:8000", ""]
    assert cells(STOPPED) == ["gpu-2", "stopped", "0123456789abcdef", "-", ""]


def test_a_host_of_many_names_its_trouble() -> None:
    roles = {"system": {"ok": 2}, "engine": {"ok": 1, "would change": 1}, "server": {"failed": 1}}
    assert cells(replace(READY, roles=roles, restarts=3))[-1] == (
        "restarted 3 times; engine: 1 would change; server: 1 failed"
    )
    assert cells(replace(STOPPED, roles=roles))[-1] == "engine: 1 would change"
    assert cells(replace(READY, state="unsupervised"))[1:] == [
        "ready",
        "0123456789abcdef",
        "http://127.0.0.1:8000",
        "unsupervised",
    ]
    assert cells(replace(READY, ready=False))[1] == "not ready"


def test_hosts_that_do_not_answer_come_last_with_the_reason_in_one_line() -> None:
    gone = UnreachableError("cannot connect to gpu-0\nsecond line", "check the network")
    lines = list(table({"gpu-1": READY, "gpu-2": STOPPED}, {"gpu-0": gone}))
    assert len(lines) == 4
    assert lines[-1].split("  ")[0] == "gpu-0"
    assert "no answer" in lines[-1] and lines[-1].endswith("cannot connect to gpu-0")
