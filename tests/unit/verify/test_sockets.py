"""Which ports a server should have, and how the kernel's tables name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from rolecall.role import Host
from roles.server import sockets
from roles.server.settings import Server
from tests.unit.preflight.support import ENGINE, H100, a_host

# As Linux 6.1 writes them on x86-64; the last is no listener.
TABLES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: 00000000:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1
   2: 0000000000000000FFFF00000100007F:1F42 0:0 0A 00000000:00000000 00:00000000 0 0 0 13 1
   3: 00000000000000000000000001000000:1F43 0:0 0A 00000000:00000000 00:00000000 0 0 0 14 1
   4: 0100007F:9999 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 15 1
"""


@dataclass
class Said:
    """What a command prints."""

    stdout: str


@dataclass
class Shell:
    """A host that answers by a word of the command."""

    answers: dict[str, str]

    def run(self, command: str, *args: str) -> Said:
        """Answer."""
        text = f"{command} {' '.join(args)}"
        return Said(next((said for word, said in self.answers.items() if word in text), ""))


def served(settings: dict[str, Any], **more: Any) -> Host:
    host = a_host(settings, H100)
    return replace(host, all_settings={**host.all_settings, "server": Server(**more)})


def test_the_addresses_of_a_service_are_read_from_the_kernels_tables() -> None:
    shell = Shell({"/proc/net/tcp ": TABLES, "running": "11\n12\n13\n14\n15\n"})
    found = sockets.listening(shell, served({}), "/srv/triton")
    assert found == {"127.0.0.1:8000", "0.0.0.0:8001", "127.0.0.1:8002", "[::1]:8003"}


def test_a_socket_of_somebody_else_is_not_the_services() -> None:
    shell = Shell({"/proc/net/tcp ": TABLES, "running": "11\n"})
    assert sockets.listening(shell, served({}), "/srv/triton") == {"127.0.0.1:8000"}


def test_a_container_listens_where_its_engine_publishes() -> None:
    published = "8000/tcp -> 127.0.0.1:8000\n8001/tcp -> 127.0.0.1:8001\n"
    shell = Shell({"/proc/net/tcp ": TABLES, " port ": published})
    found = sockets.listening(shell, served(ENGINE), "/srv/triton")
    assert found == {"127.0.0.1:8000", "127.0.0.1:8001"}


def test_a_container_on_the_hosts_network_is_seen_by_its_ports() -> None:
    shell = Shell({"/proc/net/tcp ": TABLES})
    found = sockets.listening(shell, served(ENGINE), "/srv/triton")
    assert found == {"127.0.0.1:8000", "127.0.0.1:8002"}


@pytest.mark.parametrize(
    ("settings", "further"),
    [
        ({}, False),
        (ENGINE, False),
        ({**ENGINE, "engine": {"kind": "tensorrt_llm", "tensorrt_llm": {"tp_size": 2}}}, True),
        ({**ENGINE, "engine": {"kind": "none"}, "repo": {"kind": "llmapi"}}, True),
        ({"engine": {"kind": "vllm"}}, True),
    ],
)
def test_workers_of_the_model_have_ports_of_their_own(
    settings: dict[str, Any], further: bool
) -> None:
    assert sockets.has_further(served(settings)) is further
