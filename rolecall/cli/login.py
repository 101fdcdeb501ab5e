"""What fabric's command line says about logging in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Login:
    """What fabric's command line says about logging in; empty where ``inv`` runs."""

    key_files: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    ssh_config: Path | None = None
    sudo_password: str | None = field(default=None, repr=False)
    timeout: float | None = None

    @classmethod
    def from_config(cls, config: Any) -> Login:
        """Read fabric's configuration, which holds its command line's options."""
        given = config.get("connect_kwargs", {})
        keys = given.get("key_filename") or ()
        path = getattr(config, "_runtime_ssh_path", None)
        return cls(
            (keys,) if isinstance(keys, str) else tuple(keys),
            given.get("password"),
            given.get("passphrase"),
            Path(path) if path else None,
            config.get("sudo", {}).get("password"),
            given.get("timeout"),
        )
