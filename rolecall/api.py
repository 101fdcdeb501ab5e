"""The names that roles use: ``from rolecall.api import File, Settings, role``.

Each is imported when it is asked for: a role pays for the resources it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rolecall.errors import ConfigError, RolecallError
    from rolecall.facts import Facts
    from rolecall.jobs import detached
    from rolecall.resource import (
        Apply,
        Call,
        Change,
        Observed,
        Preview,
        Probe,
        Refuse,
        Removal,
        Resource,
        Script,
        ShellFunction,
        Skip,
    )
    from rolecall.resources.absent import Absent
    from rolecall.resources.archive import Extracted
    from rolecall.resources.artifact import Artifact
    from rolecall.resources.cluster_history import ClusterHistory
    from rolecall.resources.cluster_leftovers import ClusterLeftovers
    from rolecall.resources.cluster_object import ClusterObject
    from rolecall.resources.cluster_prepared import ClusterPrepared
    from rolecall.resources.cluster_ready import ClusterReady
    from rolecall.resources.command import Command
    from rolecall.resources.container_image import ContainerImage
    from rolecall.resources.directory import Directory
    from rolecall.resources.download import Download
    from rolecall.resources.file import File
    from rolecall.resources.git import GitCheckout
    from rolecall.resources.job import Job
    from rolecall.resources.package import Package
    from rolecall.resources.python_packages import PythonPackages
    from rolecall.resources.requirement import Requirement, free_space
    from rolecall.resources.service import (
        Service,
        ServiceGone,
        ServiceRollback,
        http_ready,
        status_script,
    )
    from rolecall.resources.symlink import Symlink
    from rolecall.resources.template import Template
    from rolecall.resources.tree import Tree, folder_files
    from rolecall.resources.unless import Unless
    from rolecall.resources.venv import Venv
    from rolecall.role import Host, Role, role
    from rolecall.settings import Settings
    from rolecall.shell import quote, words
    from rolecall.targets import Target
    from rolecall.template import render

__all__ = [
    "Absent",
    "Apply",
    "Artifact",
    "Call",
    "Change",
    "ClusterHistory",
    "ClusterLeftovers",
    "ClusterObject",
    "ClusterPrepared",
    "ClusterReady",
    "Command",
    "ConfigError",
    "ContainerImage",
    "Directory",
    "Download",
    "Extracted",
    "Facts",
    "File",
    "GitCheckout",
    "Host",
    "Job",
    "Observed",
    "Package",
    "Preview",
    "Probe",
    "PythonPackages",
    "Refuse",
    "Removal",
    "Requirement",
    "Resource",
    "Role",
    "RolecallError",
    "Script",
    "Service",
    "ServiceGone",
    "ServiceRollback",
    "Settings",
    "ShellFunction",
    "Skip",
    "Symlink",
    "Target",
    "Template",
    "Tree",
    "Unless",
    "Venv",
    "detached",
    "folder_files",
    "free_space",
    "http_ready",
    "quote",
    "render",
    "role",
    "status_script",
    "words",
]

#: Where each name comes from; as above, for who runs the program.
_PLACES = {
    "Absent": "rolecall.resources.absent",
    "Apply": "rolecall.resource",
    "Artifact": "rolecall.resources.artifact",
    "Call": "rolecall.resource",
    "Change": "rolecall.resource",
    "ClusterHistory": "rolecall.resources.cluster_history",
    "ClusterLeftovers": "rolecall.resources.cluster_leftovers",
    "ClusterObject": "rolecall.resources.cluster_object",
    "ClusterPrepared": "rolecall.resources.cluster_prepared",
    "ClusterReady": "rolecall.resources.cluster_ready",
    "Command": "rolecall.resources.command",
    "ConfigError": "rolecall.errors",
    "ContainerImage": "rolecall.resources.container_image",
    "Directory": "rolecall.resources.directory",
    "Download": "rolecall.resources.download",
    "Extracted": "rolecall.resources.archive",
    "Facts": "rolecall.facts",
    "File": "rolecall.resources.file",
    "GitCheckout": "rolecall.resources.git",
    "Host": "rolecall.role",
    "Job": "rolecall.resources.job",
    "Observed": "rolecall.resource",
    "Package": "rolecall.resources.package",
    "Preview": "rolecall.resource",
    "Probe": "rolecall.resource",
    "PythonPackages": "rolecall.resources.python_packages",
    "Refuse": "rolecall.resource",
    "Removal": "rolecall.resource",
    "Requirement": "rolecall.resources.requirement",
    "Resource": "rolecall.resource",
    "Role": "rolecall.role",
    "RolecallError": "rolecall.errors",
    "Script": "rolecall.resource",
    "Service": "rolecall.resources.service",
    "ServiceGone": "rolecall.resources.service",
    "ServiceRollback": "rolecall.resources.service",
    "Settings": "rolecall.settings",
    "ShellFunction": "rolecall.resource",
    "Skip": "rolecall.resource",
    "Symlink": "rolecall.resources.symlink",
    "Target": "rolecall.targets",
    "Template": "rolecall.resources.template",
    "Tree": "rolecall.resources.tree",
    "Unless": "rolecall.resources.unless",
    "Venv": "rolecall.resources.venv",
    "detached": "rolecall.jobs",
    "folder_files": "rolecall.resources.tree",
    "free_space": "rolecall.resources.requirement",
    "http_ready": "rolecall.resources.service",
    "quote": "rolecall.shell",
    "render": "rolecall.template",
    "role": "rolecall.role",
    "status_script": "rolecall.resources.service",
    "words": "rolecall.shell",
}


def __getattr__(name: str) -> Any:
    """Import ``name`` from its place. Raises ``AttributeError``: there is none."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value
