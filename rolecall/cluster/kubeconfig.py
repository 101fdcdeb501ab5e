"""A context of a kubeconfig: which server, as whom, in which namespace."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rolecall.cluster.connections import ANSWER, CONNECT
from rolecall.cluster.plain import plain
from rolecall.errors import ConfigError, UnreachableError

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from rolecall.cluster.connections import Exchange

#: Connections that are kept open.
POOL = 16


@dataclass(frozen=True)
class Access:
    """How to speak to a cluster, and the context's namespace.

    Attributes:
        headers: those that say who asks; credentials that expire are renewed by it.
        exchange: new connections, for requests.
        pool: the same for streams.
        configuration: the same as the official client has it.
    """

    server: str
    namespace: str
    headers: Callable[[], Mapping[str, str]]
    exchange: Callable[[], Exchange]
    pool: Callable[[], PoolManager]
    configuration: Callable[[], Any]


def access(context: str, kubeconfig: str) -> Access:
    """Read a context; an empty ``kubeconfig`` is $KUBECONFIG or ~/.kube/config.

    Raises:
        ConfigError: the file cannot be read, or has no such context.
        UnreachableError: the program that gives the credentials failed.
    """
    if found := plain(context, kubeconfig):
        return Access(
            found.server,
            found.namespace,
            found.headers,
            found.exchange,
            partial(found.pool, POOL),
            lambda: _official(context, kubeconfig)[0],
        )
    configuration, namespace = _official(context, kubeconfig)
    return Access(
        str(configuration.host),
        namespace,
        partial(_headers, configuration),
        partial(_exchange, configuration),
        partial(_pool, configuration),
        lambda: configuration,
    )


def _headers(configuration: Any) -> dict[str, str]:
    return {
        one["key"]: one["value"]
        for one in configuration.auth_settings().values()
        if one["in"] == "header" and one["value"]
    }


def _exchange(configuration: Any) -> Exchange:
    from urllib3 import Timeout
    from urllib3.exceptions import HTTPError

    pool, patience = _pool(configuration), Timeout(connect=CONNECT, read=ANSWER)

    def exchange(
        method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        try:
            answer = pool.request(
                method,
                f"{configuration.host}{target}",
                body=body,
                headers=headers,
                retries=False,
                timeout=patience,
            )
        except HTTPError as error:
            raise ConnectionError(str(error)) from error
        return answer.status, answer.data

    return exchange


def _pool(configuration: Any) -> PoolManager:
    from kubernetes.client import ApiClient

    if not configuration.verify_ssl:  # as the kubeconfig has it; kubectl does not complain either
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    pool: PoolManager = ApiClient(configuration).rest_client.pool_manager
    return pool


def _official(context: str, kubeconfig: str) -> tuple[Any, str]:
    """The official client's configuration, and the context's namespace; raises as its caller."""
    from kubernetes import config as kubernetes_config
    from kubernetes.client import Configuration

    config: Any = kubernetes_config  # it has no types of its own
    shown = kubeconfig or config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    try:
        contexts, _ = config.list_kube_config_contexts(kubeconfig or None)
    except (config.ConfigException, OSError, ValueError) as error:
        raise ConfigError(
            f"the kubeconfig {shown} cannot be read: {_said(error)}",
            "correct it, or name another: k8s_kubeconfig in the inventory, or KUBECONFIG",
        ) from error
    except Exception as error:  # whatever a file that is no kubeconfig makes of the reader
        raise ConfigError(f"{shown} is no kubeconfig: {_said(error)}") from error
    named = {one["name"]: one.get("context", {}) for one in contexts}
    if context not in named:
        near = difflib.get_close_matches(context, named, 1)
        known = ", ".join(named) or "none"
        hint = f"did you mean {near[0]}? It has: {known}" if near else f"it has: {known}"
        raise ConfigError(f"the kubeconfig {shown} has no context {context}", hint)
    configuration = Configuration()
    configuration.connection_pool_maxsize = POOL
    try:
        config.load_kube_config(kubeconfig or None, context, configuration, persist_config=False)
    except config.ConfigException as error:
        raise ConfigError(f"context {context} of {shown}: {_said(error)}") from error
    except Exception as error:
        raise UnreachableError(
            f"context {context} of {shown}: its credentials cannot be had: {_said(error)}",
            "log in again, or run the program of its exec section by hand",
        ) from error
    program = _program(config, shown, str(named[context].get("user")))
    if program and not (_headers(configuration) or configuration.cert_file):
        # The client only logs that, and would ask as nobody (kubernetes 37, kube_config.py).
        raise UnreachableError(
            f"context {context} of {shown}: its program {program} gave no credentials",
            "is it installed? Run it by hand, or log in again",
        )
    return configuration, str(named[context].get("namespace") or "default")


def _program(config: Any, shown: str, user: str) -> str:
    """The program that a user logs in by; empty where there is none."""
    merged = config.kube_config.KubeConfigMerger(shown).config.value
    users = [getattr(one, "value", one) for one in merged.get("users") or []]
    found = [one.get("user") or {} for one in users if one.get("name") == user]
    return str((found[0].get("exec") or {}).get("command", "")) if found else ""


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
