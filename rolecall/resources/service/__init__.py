"""A long-running program, kept running: see :mod:`rolecall.resources.service.service`."""

from rolecall.resources.service.control import http_ready, logs_script, status_script
from rolecall.resources.service.gone import ServiceGone
from rolecall.resources.service.rollback import ServiceRollback
from rolecall.resources.service.service import Service

__all__ = [
    "Service",
    "ServiceGone",
    "ServiceRollback",
    "http_ready",
    "logs_script",
    "status_script",
]
