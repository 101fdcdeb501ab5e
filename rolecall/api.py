"""The names that roles use: ``from rolecall.api import File, Settings, role``."""

from rolecall.errors import ConfigError, RolecallError
from rolecall.facts import Facts
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
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.download import Download
from rolecall.resources.file import File
from rolecall.resources.git import GitCheckout
from rolecall.resources.job import Job
from rolecall.resources.package import Package
from rolecall.resources.python_packages import PythonPackages
from rolecall.resources.requirement import Requirement, free_space
from rolecall.resources.service import Service, http_ready, status_script
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
    "Command",
    "ConfigError",
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
    "Settings",
    "ShellFunction",
    "Skip",
    "Symlink",
    "Target",
    "Template",
    "Tree",
    "Unless",
    "Venv",
    "folder_files",
    "free_space",
    "http_ready",
    "quote",
    "render",
    "role",
    "status_script",
    "words",
]
