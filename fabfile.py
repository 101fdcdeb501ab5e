"""What ``fab`` needs to find the same tasks as ``inv``."""

from tasks import ns

__all__ = ["ns"]
