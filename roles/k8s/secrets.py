"""The Secrets of a service: what its pods' environment needs, and what images are pulled with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

from rolecall.api import ConfigError
from rolecall.cluster.objects import Object
from roles.k8s.labels import SERVER
from roles.k8s.objects import Maker
from roles.k8s.settings import K8s


def secret_name(settings: K8s) -> str:
    """The Secret with the values of secret settings."""
    return f"{settings.name}-secrets"


def pull_secrets(settings: K8s) -> list[dict[str, str]]:
    """What pods say about how their images are pulled."""
    own = [f"{settings.name}-registry"] if settings.registry.username else []
    return [{"name": name} for name in (*settings.image_pull_secrets, *own)]


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
