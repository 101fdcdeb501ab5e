"""Where Prometheus finds the metrics: the inventory's addresses and ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rolecall.cli.flags import Flags
from rolecall.cli.project import DEFAULT_HOSTS, Project
from rolecall.inventory import connection

JOB = "triton"


@dataclass(frozen=True)
class Scraped:
    """A host of the inventory and where its metrics are.

    Attributes:
        target: ``address:port``; empty where Prometheus cannot reach them.
        note: what to know about it, such as why not.
    """

    host: str
    target: str = ""
    note: str = ""


def scraped_hosts(project: Project, flags: Flags) -> list[Scraped]:
    """Every chosen host, as its settings have it; no host and no secret is asked for.

    Raises:
        ConfigError: the inventory, a setting or an option is wrong.
    """
    from roles.k8s.unread import unread_settings
    from roles.server.settings import Server

    inventory = project.inventory(flags)
    found: list[Scraped] = []
    for name in inventory.match(flags.hosts or DEFAULT_HOSTS):
        how = connection(inventory, name)
        if how.cluster:
            found.append(Scraped(name, note=_CLUSTER))
            continue
        server = unread_settings(project, inventory, name, flags)["server"]
        assert isinstance(server, Server)
        found.append(_scraped(name, how.host, server.address, server.metrics_port, how.kind))
    return found


_CLUSTER = (
    "a cluster: its pods are found by a ServiceMonitor, with k8s.service_monitor.enabled=true "
    "and the Prometheus operator"
)


def _scraped(name: str, host: str, address: str, port: int, kind: str) -> Scraped:
    listens = ipaddress.ip_address(address)
    if listens.is_unspecified:
        reached = "127.0.0.1" if kind == "local" else host
    elif listens.is_loopback and kind != "local":
        return Scraped(
            name,
            note=f"listens on {address} alone: a Prometheus on that host reaches it, another one "
            "does with server.address",
        )
    else:
        reached = address
    at = f"[{reached}]" if ":" in reached else reached
    return Scraped(name, f"{at}:{port}")


def scrape_config(hosts: Sequence[Scraped]) -> dict[str, Any]:
    """A configuration of Prometheus; each target is labelled with its host's name."""
    targets = [
        {"targets": [host.target], "labels": {"host": host.host}} for host in hosts if host.target
    ]
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": targets}],
    }
