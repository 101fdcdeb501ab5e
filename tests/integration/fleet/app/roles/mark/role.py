"""A few files, a long job, and a step that fails where it is told to."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.api import Command, ConfigError, Directory, File, Host, Job, Resource, Settings, role


class Mark(Settings):
    """What happens on a host."""

    text: str = "hello"
    """What the files say."""
    files: int = 3
    """How many there are."""
    job: str = ""
    """Shell text of a long job."""
    step: str = ""
    """Shell text of a step that is no job."""
    refuses: bool = False
    """Whether the role cannot be had there, which it finds out only on the host."""
    broken: bool = False
    """Whether the role has a defect that shows there."""
    answers: bool = True
    """Whether what was deployed answers a question."""


@role(Mark)
def mark(host: Host, settings: Mark) -> Iterator[Resource]:
    """See the settings."""
    if settings.refuses:
        raise ConfigError("this machine is too small", "take another one")
    if settings.broken:
        raise KeyError("speed")
    yield Directory(host.path("marks"))
    for number in range(settings.files):
        yield File(host.path("marks", f"{number}"), f"{settings.text}\n")
    if settings.job:
        script = f"cd {host.path('marks')}\necho start >>starts\n{settings.job}\ntouch job"
        yield Job("work", script, creates=host.path("marks", "job"))
    if settings.step:
        script = f"cd {host.path('marks')}\n{settings.step}\ntouch step"
        yield Command("step", script, creates=host.path("marks", "step"))
    yield File(host.path("marks", "last"), "last\n")
