"""Facts: what is true of a host whether or not Rolecall ever ran there.

They come with a run's first round trip. Only what stays the same between two runs belongs
here, because a run trusts the facts of the last one until the first answer confirms them; what
moves (free disk, a used port) is asked by the probe of the resource that depends on it. A role
brings facts of its own with ``@role(Settings, facts=SHELL_TEXT)``.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rolecall.resource import Observed
from rolecall.shell import quote


@dataclass(frozen=True)
class Facts:
    """A host as the roles see it.

    Attributes:
        home: the user's home directory.
        state_dir: where Rolecall keeps its own things on this host, absolute.
        os_id, os_version: ``ID`` and ``VERSION_ID`` of os-release, such as ``debian``, ``12``.
        arch: the machine as ``uname -m`` names it.
        memory_mib: RAM in MiB.
        libc: such as ``glibc 2.36``; empty where unknown.
        init: ``systemd`` where systemd runs as process 1, else ``none``.
        package_manager: ``apt``, ``dnf`` or ``none``.
        python: the path of ``python3``, or empty.
        python_version: such as ``3.11.7``.
        python_venv: that Python can make virtual environments with pip in them.
        extra: the facts that the project's roles bring, by name.
    """

    hostname: str
    user: str
    uid: int
    home: str
    state_dir: str
    os_id: str
    os_version: str
    arch: str
    cpus: int
    memory_mib: int
    libc: str
    init: str
    package_manager: str
    sudo: bool
    python: str
    python_version: str
    python_venv: bool
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """Whether commands run as root without sudo."""
        return self.uid == 0

    @property
    def python_release(self) -> tuple[int, int]:
        """Major and minor version of ``python3``; (0, 0) where there is none."""
        parts = self.python_version.split(".")
        return (int(parts[0]), int(parts[1])) if len(parts) > 1 else (0, 0)

    def named(self) -> dict[str, str | int | bool]:
        """Every fact by name, those that roles bring included."""
        known = asdict(self)
        return {**{name: known[name] for name in known if name != "extra"}, **self.extra}

    @classmethod
    def parse(cls, answer: Observed, extra: Observed | None = None) -> Facts:
        """Read the frames ``facts`` and ``extra`` of what :func:`script` makes a host say."""
        get = answer.get
        return cls(
            hostname=get("hostname"),
            user=get("user"),
            uid=int(get("uid", "-1")),
            home=get("home"),
            state_dir=get("state_dir"),
            os_id=get("os_id"),
            os_version=get("os_version"),
            arch=get("arch"),
            cpus=int(get("cpus", "1")),
            memory_mib=int(get("memory_kib", "0")) // 1024,
            libc=get("libc"),
            init=get("init"),
            package_manager=get("package_manager"),
            sudo=get("sudo") == "yes",
            python=get("python"),
            python_version=get("python_version"),
            python_venv=get("python_venv") == "True",
            extra=dict(extra.fields) if extra else {},
        )


_SCRIPT = r"""
rc_frame facts
rc_field hostname "$(uname -n)"
rc_field user "$(id -un 2>/dev/null || id -u)"
rc_field uid "$(id -u)"
rc_field home "$HOME"
rc_field state_dir "$rc_home"
rc_field arch "$(uname -m)"
(
  ID='' VERSION_ID=''
  [ ! -r /etc/os-release ] || . /etc/os-release
  rc_field os_id "$ID"
  rc_field os_version "$VERSION_ID"
)
rc_field cpus "$(nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
while read -r rc_key rc_value rc_unit; do
  [ "$rc_key" != MemTotal: ] || rc_field memory_kib "$rc_value"
done </proc/meminfo
rc_libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
rc_field libc "$rc_libc"
if [ -d /run/systemd/system ]; then rc_field init systemd; else rc_field init none; fi
if command -v apt-get >/dev/null; then rc_field package_manager apt
elif command -v dnf >/dev/null; then rc_field package_manager dnf
else rc_field package_manager none; fi
if command -v sudo >/dev/null; then rc_field sudo yes; else rc_field sudo no; fi
rc_python=$(command -v python3)
rc_field python "$rc_python"
[ -z "$rc_python" ] || "$rc_python" -I -S -c '
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
print("python_version=%d.%d.%d" % sys.version_info[:3])
print("python_venv=%s" % bool(find("venv") and find("ensurepip")))
' 2>/dev/null
rc_frame lock
if rc_held=$(readlink -- "$rc_home/lock") && rc_holds "$rc_held"; then
  printf '%s\n' "$rc_held"
fi
"""


#: What most facts derive from: a run that changes any of it asks for the facts once more.
READS = frozenset({"/bin/**", "/etc/os-release", "/lib/**", "/usr/**", "package/**"})


def script(extra: Sequence[str] = ()) -> str:
    """Shell text that tells a host's facts, those that roles bring, and who holds its lock.

    ``extra`` are the roles' texts. Each prints its facts with ``rc_field``, in a shell of its
    own; what else it prints is ignored. A text that ends within a quote gives no facts: the
    host's shell would wait for the rest of it.
    """
    texts = "".join(f"(eval {quote(text)})\n" for text in extra)
    return f"{_SCRIPT}rc_frame extra\n{texts}" if texts else _SCRIPT


@dataclass(frozen=True)
class FactsCache:
    """The controller's memory of each host's facts, so that a no-op run is one round trip.

    ``home`` is Rolecall's own directory on the host as set: each has facts of its own.
    """

    folder: Path

    def load(self, host: str, home: str) -> Facts | None:
        """The facts of the last run, or None; a cache that cannot be read is no cache."""
        try:
            data: Mapping[str, object] = json.loads(self._path(host, home).read_text())
            return Facts(**data)  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError):
            return None

    def save(self, host: str, home: str, facts: Facts) -> None:
        """Remember ``facts`` for the next run; what cannot be written is asked again."""
        path = self._path(host, home)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}")  # two runs may save at once
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(asdict(facts), indent=1))
            temporary.replace(path)

    def _path(self, host: str, home: str) -> Path:
        safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in host)
        return self.folder / f"{safe}-{hashlib.sha256(home.encode()).hexdigest()[:8]}.json"
