"""The systemd unit of a service: systemd keeps the supervisor, which keeps the program."""

from __future__ import annotations

# The supervisor ends the program itself within stop_timeout; systemd insists after this many
# further seconds, and KillMode=mixed then takes everything left in the control group.
_MARGIN = 15


def unit_name(service: str) -> str:
    """The unit of a service; prefixed so that it never replaces one of the distribution."""
    return f"rolecall-{service}.service"


def unit_text(service: str, directory: str, stop_timeout: int) -> str:
    """The unit file.

    The program's own command and environment stay out of it: they are in the service's
    directory, where others cannot read them, and a change of theirs needs no daemon-reload.
    ``default.target`` exists in the system's manager as well as in a user's.
    """
    return f"""\
# Written by Rolecall; the next deploy puts it back.
[Unit]
Description={service} (kept by Rolecall)
After=network.target
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh {unit_word(f"{directory}/supervise")} supervise {unit_word(directory)}
Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec={stop_timeout + _MARGIN}
IgnoreSIGPIPE=no

[Install]
WantedBy=default.target
"""


def unit_word(value: str) -> str:
    r"""One argument of ``ExecStart=``, whatever it contains.

    systemd.service(5), "Command lines": double quotes with C escapes, ``%%`` for a percent
    sign, ``$$`` for a dollar sign. A line break, which may not stand in a unit's line, is
    ``\n``.
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("%", "%%").replace("$", "$$") + '"'
