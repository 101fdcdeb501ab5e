"""``./inv k8s --render``: the manifests of clusters of the inventory as files."""

from __future__ import annotations

from pathlib import Path

from rolecall.cli.flags import Flags
from rolecall.cli.project import DEFAULT_HOSTS, Project
from rolecall.cluster.run import cluster_host
from rolecall.inventory import connection
from roles.k8s.manifests import manifests
from roles.k8s.render import render
from roles.k8s.unread import unread_settings


def render_manifests(project: Project, flags: Flags, folder: str) -> None:
    """Write what a deploy would apply; of several clusters, each into a folder of its own.

    Without ``--hosts`` these are the clusters of the inventory, or where it has none, what the
    settings of this machine would come to in one. No cluster, no kubeconfig and no secret is
    asked for.

    Raises:
        ConfigError: a setting is wrong, or the folder cannot be used.
    """
    inventory = project.inventory(flags)
    names = inventory.match(flags.hosts) if flags.hosts else []
    if not flags.hosts:
        clusters = [name for name in inventory.match("all") if connection(inventory, name).cluster]
        names = clusters or [DEFAULT_HOSTS]
    for name in names:
        resolved = unread_settings(project, inventory, name, flags)
        where = connection(inventory, name).cluster
        host = cluster_host(name, where.namespace if where else "", resolved)
        place = Path(folder) / name if len(names) > 1 else Path(folder)
        for line in render(manifests(host), place):
            print(line)
