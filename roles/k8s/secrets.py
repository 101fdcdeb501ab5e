"""The Secrets of a service: what its pods' environment needs, and what images are pulled with."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from rolecall.api import ConfigError
from rolecall.cluster.objects import Object
from roles.k8s.labels import SERVER
from roles.k8s.objects import Maker
from roles.k8s.settings import K8s
from roles.k8s.unread import UNREAD

#: The annotation of pods that tells one API key from another.
KEY = "rolecall.dev/api-key"

#: Rounds of the key's digest, which whoever sees the pods can read: guessing is to be slow.
_ROUNDS = 100_000


def secret_name(settings: K8s) -> str:
    """The Secret with the values of secret settings."""
    return f"{settings.name}-secrets"


def pull_secrets(settings: K8s) -> list[dict[str, str]]:
    """What pods say about how their images are pulled."""
    own = [f"{settings.name}-registry"] if settings.registry.username else []
    return [{"name": name} for name in (*settings.image_pull_secrets, *own)]


def key_digest(make: Maker, key: SecretStr | None) -> str:
    """What tells an API key from others; empty where there is none, or none was read.

    It is salted with the service's name, so that equal keys of two services do not show.
    """
    text = key.get_secret_value() if key else UNREAD
    if text == UNREAD:
        return ""
    salt = f"{make.namespace}/{make.name}".encode()
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt, _ROUNDS).hex()[:16]


def secrets(make: Maker, settings: K8s, values: Mapping[str, str]) -> Iterator[Object]:
    """The Secrets; ``values`` are those of the pods' environment."""
    if values:
        data = {name: _coded(value) for name, value in sorted(values.items())}
        body = {"type": "Opaque", "data": data}
        yield make.manifest("v1", "Secret", secret_name(settings), SERVER, body)
    registry = settings.registry
    if registry.password is not None:
        server = registry.server or _registry_of(settings.image)
        password = registry.password.get_secret_value()
        login = {
            "username": registry.username,
            "password": password,
            "auth": _coded(f"{registry.username}:{password}"),
        }
        text = json.dumps({"auths": {server: login}}, sort_keys=True)
        body = {
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": _coded(text)},
        }
        yield make.manifest("v1", "Secret", f"{settings.name}-registry", SERVER, body)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _registry_of(image: str) -> str:
    """The registry in an image's name, as container engines read it."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    if image:
        return "https://index.docker.io/v1/"
    raise ConfigError(
        "k8s.registry has a user, and nothing says of which registry",
        "set k8s.registry.server or k8s.image",
    )
