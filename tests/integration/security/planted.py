"""Secrets that a test plants, and every place where one may not turn up."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

#: In the environment of the test's own commands: they hold the secrets by right.
MARK = "ROLECALL_TEST_HOLDS_SECRETS"

#: Seconds between two looks at all processes.
_LOOK = 0.1


def spellings(secret: str) -> set[bytes]:
    """The forms in which a secret may leak."""
    raw = secret.encode()
    found = {raw, base64.b64encode(raw), quote(secret, safe="").encode()}
    return found | {json.dumps(secret)[1:-1].encode(), raw.hex().encode()}


def digests(secret: str) -> set[bytes]:
    """What a short secret could be guessed from."""
    raw = secret.encode()
    return {hashlib.sha256(one).hexdigest().encode() for one in (raw, raw + b"\n")}


class Planted:
    """Secrets by the name of the variable that holds each."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = dict(secrets)
        self.forms = sorted({form for one in secrets.values() for form in spellings(one)})
        self.digests = sorted({form for one in secrets.values() for form in digests(one)})
        self._pattern = re.compile(b"|".join(map(re.escape, [*self.forms, *self.digests])))

    @property
    def environment(self) -> dict[str, str]:
        """What the test's own commands are given."""
        return {**self.secrets, MARK: "1"}

    def within(self, data: bytes | str) -> list[str]:
        """Each place where a secret shows, with what is around it; the secret is left out."""
        data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return [
            f"…{data[max(0, hit.start() - 60) : hit.start()]!r} SECRET"
            for hit in self._pattern.finditer(data)
        ]

    def files(self, *folders: Path, digest: bool = True) -> dict[Path, int]:
        """Every file below these folders with a secret in it, and its mode.

        With ``digest``, also those with no more than the digest of one.
        """
        sought = b"\n".join([*self.forms, *(self.digests if digest else [])])
        done = subprocess.run(
            ["grep", "-rlaZF", "--devices=skip", "--file=-", *map(str, folders)],
            input=sought,
            capture_output=True,
            timeout=300,
        )
        assert done.returncode in (0, 1), done.stderr
        paths = [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
        return {path: path.stat().st_mode & 0o7777 for path in paths}

    @contextmanager
    def watched_processes(self) -> Iterator[list[str]]:
        """What every process of this machine shows of a secret meanwhile.

        A command line is for everybody to see. An environment may hold a secret only where the
        test has put it there, in a command of its own.
        """
        over = threading.Event()
        seen: dict[str, None] = {}

        def look() -> None:
            while not over.wait(_LOOK):
                for process in Path("/proc").iterdir():
                    if process.name.isdigit() and int(process.name) != os.getpid():
                        self._look_at(process, seen)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        shown: list[str] = []
        try:
            yield shown
        finally:
            over.set()
            thread.join()
            shown += seen

    def _look_at(self, process: Path, seen: dict[str, None]) -> None:
        with suppress(OSError):  # it has ended, or is somebody else's
            command = (process / "cmdline").read_bytes()
            for hit in self.within(command):
                seen[f"command line: {hit}"] = None
            environment = (process / "environ").read_bytes()
            if f"{MARK}=".encode() not in environment and self.within(environment):
                name = command.replace(b"\0", b" ")[:200].decode(errors="replace")
                seen[f"environment of {name}"] = None


def allowed_only(found: Mapping[Path, int], allowed: Sequence[Path]) -> None:
    """Nothing but the files that are meant to hold a secret does, and these only for their owner.

    Raises:
        AssertionError: another file does, or others can read one.
    """
    others = {str(path): oct(mode) for path, mode in found.items() if path not in allowed}
    assert others == {}
    open_ = {str(path): oct(mode) for path, mode in found.items() if mode & 0o077}
    assert open_ == {}
