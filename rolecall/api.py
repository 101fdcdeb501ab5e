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
from rolecall.resources.command import Command
from rolecall.resources.directory import Directory
from rolecall.resources.file import File
from rolecall.resources.requirement import Requirement
from rolecall.resources.symlink import Symlink
from rolecall.role import Host, Role, role
from rolecall.settings import Settings
from rolecall.shell import quote, words
from rolecall.template import render

__all__ = [
    "Absent",
    "Apply",
    "Call",
    "Change",
    "Command",
    "ConfigError",
    "Directory",
    "Facts",
    "File",
    "Host",
    "Observed",
    "Preview",
    "Probe",
    "Refuse",
    "Removal",
    "Requirement",
    "Resource",
    "Role",
    "RolecallError",
    "Script",
    "Settings",
    "ShellFunction",
    "Skip",
    "Symlink",
    "quote",
    "render",
    "role",
    "words",
]
