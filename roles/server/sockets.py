"""Where the server's processes listen, read from the host's /proc."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

from rolecall.api import Host
from roles.engine.settings import Engine
from roles.repo.settings import Repo
from roles.runtime.role import client, container_name
from roles.runtime.settings import Runtime
from roles.server.address import bracketed
from roles.server.settings import Server

#: Prints the inodes of the sockets that a service's process group holds; the record of what runs
#: (boot id, process, start) is the first line of ``running``.
_HELD = """
IFS=: read -r boot leader start <%s/running || exit 0
for stat in /proc/[0-9]*/stat; do
  rest=$(cat "$stat" 2>/dev/null) || continue
  set -- ${rest##*) }
  [ "$3" = "$leader" ] || [ "$4" = "$leader" ] || continue
  ls -l "${stat%%/stat}/fd" 2>/dev/null
done | sed -n -e 's/.*socket:\\[\\([0-9]*\\)\\].*/\\1/p'
"""

#: The state of a listening socket in /proc/net/tcp (Linux, include/net/tcp_states.h).
_LISTEN = "0A"


def declared(host: Host) -> set[str]:
    """The addresses and ports of Triton's APIs, as the settings have them."""
    settings = host.settings(Server)
    ports = (settings.http_port, settings.grpc_port, settings.metrics_port)
    return {f"{bracketed(settings.address)}:{port}" for port in ports}


def listening(host: Any, described: Host, directory: str) -> set[str]:
    """Where the processes of the service in ``directory`` listen; ``host`` is testinfra's.

    Of a container it is the ports that its engine publishes, or any process's on its network.
    """
    tables = list(_listeners(host.run("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null").stdout))
    if described.settings(Runtime).kind == "container":
        name = container_name(described, "triton")
        published = host.run("%s port %s", client(described), name).stdout
        found = {line.rpartition("-> ")[2] for line in published.splitlines()}
        return found or {address for address, _ in tables} & declared(described)
    held = set(host.run(_HELD, directory).stdout.split())
    return {address for address, inode in tables if inode in held}


def has_further(described: Host) -> bool:
    """Whether what is served has ports of its own: ranks and workers speak with each other."""
    engine, repo = described.settings(Engine), described.settings(Repo)
    ranks = engine.tensorrt_llm.world_size if engine.kind == "tensorrt_llm" else 1
    return engine.kind == "vllm" or repo.kind == "llmapi" or ranks > 1


def _listeners(tables: str) -> Iterator[tuple[str, str]]:
    for line in tables.splitlines():
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTEN:
            yield _address(columns[1]), columns[9]


def _address(text: str) -> str:
    """``0100007F:1F40`` as ``127.0.0.1:8000``: words of the host's byte order, taken as little."""
    words, _, port = text.partition(":")
    packed = b"".join(
        struct.pack("<I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8)
    )
    found = ipaddress.ip_address(packed)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return f"{bracketed(str(found))}:{int(port, 16)}"
