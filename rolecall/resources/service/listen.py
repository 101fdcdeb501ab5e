"""Addresses a service listens on, as patterns of the kernel's socket tables."""

from __future__ import annotations

import ipaddress
import socket

from rolecall.errors import ConfigError


def listen_patterns(address: str) -> str:
    """``LABEL PATTERN...`` for an address such as ``8000``, ``127.0.0.1:8000`` or ``[::1]:8000``.

    The patterns match the local addresses, as /proc/net/tcp and tcp6 write them on a
    little-endian host, of every socket that keeps another from listening there (proc(5)).

    Raises:
        ConfigError: it is not an address.
    """
    host, _, port = address.rpartition(":")
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
        known = ipaddress.ip_address(host.strip("[]")) if host else None
    except ValueError as error:
        raise ConfigError(
            f"service: {address!r} is no address to listen on",
            "write PORT, IPV4:PORT or [IPV6]:PORT",
        ) from error
    suffix = f":{number:04X}"
    if known is None or known.is_unspecified:
        patterns = [f"*{suffix}"]
    elif known.version == 4:
        own = _hex(known.packed)
        mapped = _hex(socket.inet_pton(socket.AF_INET6, f"::ffff:{known}"))
        patterns = [own + suffix, mapped + suffix, "0" * 8 + suffix, "0" * 32 + suffix]
    else:
        patterns = [_hex(known.packed) + suffix, "0" * 32 + suffix]
    return " ".join([address, *patterns])


def _hex(packed: bytes) -> str:
    """Network bytes as the kernel prints them: 32-bit words in host order."""
    words = [packed[index : index + 4] for index in range(0, len(packed), 4)]
    return "".join(word[::-1].hex().upper() for word in words)
