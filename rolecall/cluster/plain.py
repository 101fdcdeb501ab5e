"""A context that needs no program to log in: its server and credentials stand in one file.

The official client takes a quarter of a second of a run to import, for the many ways to log in
that it knows. Most kubeconfigs have a certificate or a token, which are read here; whatever else
one has is left to it.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rolecall.cluster.connections import Connections

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3 import PoolManager

    from rolecall.cluster.connections import Exchange

#: What is read here of a cluster and of a user (kubernetes, client-go, clientcmd/api/v1/types.go).
_CLUSTER = frozenset(
    {
        "certificate-authority",
        "certificate-authority-data",
        "disable-compression",
        "extensions",
        "insecure-skip-tls-verify",
        "server",
    }
)
_USER = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "extensions",
        "token",
    }
)

#: Where a way around the direct one may be named, for which there is the official client.
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True)
class Plain:
    """Such a context: PEM texts of the authority, the certificate and its key, and the token."""

    server: str
    namespace: str
    token: str = field(repr=False)
    authority: str = field(repr=False)
    identity: tuple[str, str] = field(repr=False)
    verify: bool = True

    def headers(self) -> dict[str, str]:
        """Those that say who asks."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def exchange(self) -> Exchange:
        """Connections for requests. Raises ``OSError``: a certificate cannot be read."""
        return Connections(self.server, self._trust()).request

    def pool(self, size: int) -> PoolManager:
        """Connections for streams. Raises as :meth:`exchange` does."""
        import urllib3

        if not self.verify:  # as the kubeconfig says; kubectl does not complain either
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return urllib3.PoolManager(maxsize=size, ssl_context=self._trust())

    def _trust(self) -> SSLContext | None:
        if not self.server.startswith("https:"):
            return None
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["http/1.1"])
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority:
            context.load_verify_locations(cadata=self.authority)
        else:
            context.load_default_certs()
        if all(self.identity):
            with _file("\n".join(self.identity)) as name:
                context.load_cert_chain(name)
        return context


def plain(context: str, kubeconfig: str) -> Plain | None:
    """A context, where it is such a one; None is for the official client to read, or to refuse."""
    path = Path(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    if os.pathsep in str(path) or any(os.environ.get(name) for name in _PROXIES):
        return None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        written = yaml.load(path.read_text(encoding="utf-8"), loader)
        return _read(written, context, path.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None


def _read(written: Mapping[str, Any], context: str, folder: Path) -> Plain | None:
    chosen = _named(written["contexts"], context, "context")
    cluster = _named(written["clusters"], chosen["cluster"], "cluster")
    user = _named(written["users"], chosen["user"], "user")
    if not (cluster.keys() <= _CLUSTER and user.keys() <= _USER):
        return None
    return Plain(
        str(cluster["server"]).rstrip("/"),
        str(chosen.get("namespace") or "default"),
        str(user.get("token") or ""),
        _text(cluster, "certificate-authority", folder),
        (_text(user, "client-certificate", folder), _text(user, "client-key", folder)),
        not cluster.get("insecure-skip-tls-verify"),
    )


def _named(things: Sequence[Mapping[str, Any]], name: str, what: str) -> Mapping[str, Any]:
    (found,) = (thing[what] for thing in things if thing["name"] == name)
    return dict(found or {})


def _text(thing: Mapping[str, Any], name: str, folder: Path) -> str:
    """A PEM text: as data, which comes first, or as a file."""
    if data := thing.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True).decode("ascii")
        except binascii.Error as error:
            raise ValueError(f"{name}-data") from error
    if path := thing.get(name):
        return (folder / str(path)).read_text(encoding="ascii")
    return ""


@contextmanager
def _file(text: str) -> Iterator[str]:
    """A file that only the user can read, for as long as OpenSSL needs it."""
    descriptor, name = tempfile.mkstemp(prefix="rolecall-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        yield name
    finally:
        os.unlink(name)
