"""A context of a kubeconfig: which server, as whom, in which namespace."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

_OTHER = "correct it, or name another: k8s_kubeconfig in the inventory, or KUBECONFIG"


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
    with _complaints():  # of credentials that cannot be renewed: the cluster refuses the old ones
        settings = configuration.auth_settings()
    return {
        one["key"]: one["value"]
        for one in settings.values()
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
    shown = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    entries = _entries(config, shown)
    chosen = _chosen(entries, context, shown)
    configuration = Configuration()
    configuration.connection_pool_maxsize = POOL
    with _complaints() as complaints:
        try:
            config.load_kube_config(shown, context, configuration, persist_config=False)
        except config.ConfigException as error:
            raise ConfigError(f"context {context} of {shown}: {_said(error)}", _OTHER) from error
        except Exception as error:
            raise UnreachableError(
                f"context {context} of {shown}: its credentials cannot be had: {_said(error)}",
                "log in again, or run the program of its exec section by hand",
            ) from error
    program = (entries["users"].get(str(chosen.get("user"))) or {}).get("exec") or {}
    if program and not (_headers(configuration) or configuration.cert_file):
        # The client only logs that, and would ask as nobody (kubernetes 37, kube_config.py).
        why = f": {complaints[0]}" if complaints else ""
        raise UnreachableError(
            f"context {context} of {shown}: its program {_command(program)} gave no "
            f"credentials{why}",
            "is it installed? Run it by hand, or log in again",
        )
    return configuration, str(chosen.get("namespace") or "default")


def _command(program: Any) -> str:
    return str(program.get("command", "")) if isinstance(program, Mapping) else "(exec)"


def _entries(config: Any, shown: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The clusters, contexts and users of a kubeconfig by name; of several files, together."""
    try:
        merged = config.kube_config.KubeConfigMerger(shown).config
        return {
            f"{part}s": dict(_entry(one.value, part) for one in merged.value[f"{part}s"])
            for part in ("cluster", "context", "user")
            if merged
        }
    except (config.ConfigException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the kubeconfig {shown} cannot be read: {_said(error)}", _OTHER
        ) from error
    except Exception as error:  # whatever a file that is no kubeconfig makes of the reader
        raise ConfigError(f"{shown} is no kubeconfig: {_said(error)}", _OTHER) from error


def _entry(written: Mapping[str, Any], part: str) -> tuple[str, Mapping[str, Any]]:
    found = written.get(part) or {}
    if not isinstance(found, Mapping):
        raise TypeError(f"the {part} of {written['name']} has no fields")
    return str(written["name"]), found


def _chosen(
    entries: Mapping[str, Mapping[str, Mapping[str, Any]]], context: str, shown: str
) -> Mapping[str, Any]:
    """A context, whose cluster and user are there, too."""
    if not entries:
        raise ConfigError(f"there is no kubeconfig {shown}", _OTHER)
    contexts = entries["contexts"]
    if context not in contexts:
        near = difflib.get_close_matches(context, contexts, 1)
        known = ", ".join(contexts) or "none"
        hint = f"did you mean {near[0]}? It has: {known}" if near else f"it has: {known}"
        raise ConfigError(f"the kubeconfig {shown} has no context {context}", hint)
    for part in ("cluster", "user"):
        name = contexts[context].get(part)
        if name and str(name) not in entries[f"{part}s"]:
            raise ConfigError(
                f"the kubeconfig {shown} has no {part} {name}, which its context {context} names",
                _OTHER,
            )
    return contexts[context]


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the official client logs instead of raising it; it is not printed."""
    said: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: said.append(_line(record.getMessage()))  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)


def _said(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark:  # of YAML
        return f"{problem} (line {mark.line + 1})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _line(str(error)) or type(error).__name__


def _line(text: str) -> str:
    """The first line, without the entry that the official client quotes, which may be secret."""
    return (text.strip().splitlines() or [""])[0].partition("/{")[0][:300]
