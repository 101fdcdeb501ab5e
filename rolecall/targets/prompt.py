"""An SSH transport whose messages wait for no delayed acknowledgement.

On a login of a few milliseconds, Nagle's algorithm on one side and the other's delayed
acknowledgement (40 ms on Linux) cost more than all cryptography.
"""

from __future__ import annotations

import socket
from typing import Any

import paramiko

#: Linux alone has it; elsewhere a login takes 40 ms longer.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class _PromptSocket(socket.socket):
    """Sends at once, and confirms at once what it has read.

    OpenSSH's sshd (9.2) sends its host keys behind the login, and its kernel then holds back the
    answer to our first channel until they are confirmed.
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Confirm what was read before, then read."""
        if _QUICKACK is not None:  # the kernel forgets it: it has to be said each time
            self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return super().recv(size, flags)


def prompt_transport(sock: Any, **options: Any) -> paramiko.Transport:
    """Paramiko's transport over ``sock``.

    What is no TCP socket, such as a jump host's channel, stays as it is.
    """
    if isinstance(sock, socket.socket) and sock.family in {socket.AF_INET, socket.AF_INET6}:
        prompt = _PromptSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        prompt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = prompt
    return paramiko.Transport(sock, **options)
