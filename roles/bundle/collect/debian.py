"""Debian packages with all that they depend on, as a flat repository for apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rolecall.errors import RolecallError
from roles.bundle.collect.folder import Folder, sha256
from roles.bundle.needs import DebianPackages
from roles.bundle.places import packages_folder

#: Debian's names of machines.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_CODENAMES = {
    "debian-11": "bullseye",
    "debian-12": "bookworm",
    "debian-13": "trixie",
    "ubuntu-22.04": "jammy",
    "ubuntu-24.04": "noble",
    "ubuntu-26.04": "resolute",
}

_KEYRINGS = Path("/usr/share/keyrings")

_WITHOUT = "or leave packages out, where the host has them: --without packages"


def collect(folder: Folder, need: DebianPackages, sources: tuple[str, ...]) -> list[str]:
    """Have the packages in the folder, and a list of them that apt reads.

    apt itself resolves, fetches and verifies them, with lists and a status of its own: what is
    installed here is of no account.

    Raises:
        RolecallError: apt is missing here, or cannot have them.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise RolecallError(
                f"{need.what} cannot be collected: there is no {program} here",
                f"run this on Debian or Ubuntu, {_WITHOUT}",
            )
    place = packages_folder(need.release, need.arch)
    archives = folder.root / place
    archives.mkdir(parents=True, exist_ok=True)
    apt = _apt(folder.staging("apt"), archives, need, sources)
    _run(need, *apt, "update")
    _run(need, *apt, "install", "--yes", "--download-only", "--no-install-recommends", *need.names)
    shutil.rmtree(archives / "partial", ignore_errors=True)
    (archives / "lock").unlink(missing_ok=True)
    others = {
        Path(path).name
        for key, piece in folder.pieces.items()
        for path in piece["files"]
        if key != need.key and path.startswith(f"{place}/") and path.endswith(".deb")
    }
    return _listed(folder, place, archives, sorted({*_files(need, apt), *others}))


def _apt(root: Path, archives: Path, need: DebianPackages, sources: tuple[str, ...]) -> list[str]:
    for name in ("lists/partial", "cache", "none"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    architecture = _ARCHITECTURES.get(need.arch, need.arch)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "APT::Default-Release": "",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "true",
        "Dir::State": str(root),
        "Dir::State::lists": str(root / "lists"),
        "Dir::State::status": str(root / "status"),
        "Dir::Cache": str(root / "cache"),
        "Dir::Cache::archives": str(archives),
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": str(root / "none"),
    }
    lines = sources or _own_sources(need)
    if lines:
        (root / "sources.list").write_text("".join(f"{line}\n" for line in lines))
        options["Dir::Etc::sourcelist"] = str(root / "sources.list")
        options["Dir::Etc::sourceparts"] = str(root / "none")
    return ["apt-get", *(part for item in options.items() for part in ("-o", "=".join(item)))]


def _own_sources(need: DebianPackages) -> tuple[str, ...]:
    """The distribution's own archive; nothing where this machine's sources are of the release.

    Raises:
        RolecallError: the archive or its keys are not known here.
    """
    if _release_here() == need.release:
        return ()
    system = need.release.partition("-")[0]
    codename = _CODENAMES.get(need.release)
    keyring = _KEYRINGS / f"{system}-archive-keyring.gpg"
    if codename is None:
        raise RolecallError(
            f"where {need.release} has its packages is not known",
            f"say it with bundle.apt_sources, {_WITHOUT}",
        )
    if not keyring.exists():
        raise RolecallError(
            f"{need.what} cannot be verified: there is no {keyring} here",
            f"install {system}-keyring or {system}-archive-keyring, or name sources with "
            f"bundle.apt_sources, {_WITHOUT}",
        )
    signed = f"deb [signed-by={keyring}]"
    if system == "debian":
        base = "http://deb.debian.org"
        return (
            f"{signed} {base}/debian {codename} main",
            f"{signed} {base}/debian {codename}-updates main",
            f"{signed} {base}/debian-security {codename}-security main",
        )
    ubuntu = "archive.ubuntu.com/ubuntu" if need.arch == "x86_64" else "ports.ubuntu.com"
    suites = (codename, f"{codename}-updates", f"{codename}-security")
    return tuple(f"{signed} http://{ubuntu} {suite} main universe" for suite in suites)


def _release_here() -> str:
    known: dict[str, str] = {}
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        known[name] = value.strip('"')
    return f"{known.get('ID', '')}-{known.get('VERSION_ID', '')}"


def _files(need: DebianPackages, apt: list[str]) -> list[str]:
    """The names of the files that an installation takes, as apt keeps them."""
    words = ("install", "--yes", "--print-uris", "--no-install-recommends", "--reinstall")
    # What lies in the archives is not printed: look as if there were none.
    elsewhere = ("-o", "Dir::Cache::archives=/nonexistent/")
    said = _run(need, *apt, *elsewhere, *words, *need.names)
    return [line.split()[1] for line in said.splitlines() if line.startswith("'")]


def _run(need: DebianPackages, *command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RolecallError(
            f"{need.what} cannot be had: {(done.stdout + done.stderr).strip()[-700:]}",
            f"check the network and the sources (bundle.apt_sources), {_WITHOUT}",
        )
    return done.stdout


def _listed(folder: Folder, place: str, archives: Path, names: list[str]) -> list[str]:
    """Take the files into the bundle, and write apt's list of them."""
    stanzas: list[str] = []
    files: list[str] = []
    for name in names:
        path = f"{place}/{name}"
        digest = sha256(archives / name)
        files.append(folder.adopt(path, "apt", digest))
        control = subprocess.run(
            ["dpkg-deb", "--field", archives / name], capture_output=True, text=True, check=True
        ).stdout.strip()
        size = (archives / name).stat().st_size
        stanzas.append(f"{control}\nFilename: ./{name}\nSize: {size}\nSHA256: {digest}\n")
    new = folder.staging("list") / "Packages"
    new.write_text("\n".join(stanzas))
    return [*files, folder.add(new, f"{place}/Packages", "apt")]
