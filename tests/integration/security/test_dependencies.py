"""Known vulnerabilities in what the lock files name, by pip-audit.

It asks PyPI about every single package of a lock, which is no thing to do at each run of the
tests: ``ROLECALL_AUDIT=1`` asks for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.deployed import ROOT

LOCKS = [
    ROOT / "requirements.lock",
    *sorted((ROOT / "roles" / "python" / "locks").glob("*.txt")),
]

#: Vulnerabilities that are known and do no harm here, with the reason.
ACCEPTED: dict[str, str] = {}


def audit(lock: Path) -> list[str]:
    """``PACKAGE VERSION: ID (fixed in …)`` for each that is known; skips where none can be asked.

    Nothing is installed or built: a lock with hashes names everything.
    """
    if os.environ.get("ROLECALL_AUDIT") != "1":
        pytest.skip("ROLECALL_AUDIT=1 asks PyPI about every package")
    if find_spec("pip_audit") is None:
        pytest.skip("pip-audit is not installed (requirements-test.lock has it)")
    try:
        urllib.request.urlopen("https://pypi.org/pypi/pip-audit/json", timeout=20).close()
    except OSError as error:
        pytest.skip(f"the vulnerability database (pypi.org) cannot be reached: {error}")
    command = ["pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--format=json", f"--requirement={lock}"],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    packages = json.loads(done.stdout)["dependencies"]
    if all("skip_reason" in package for package in packages):
        pytest.skip("pypi.org tells nothing of vulnerabilities here, as a mirror does not")
    return [
        f"{package['name']} {package['version']}: {one['id']} (fixed in "
        f"{', '.join(one['fix_versions']) or 'no release'})"
        for package in packages
        for one in package.get("vulns", ())
        if not {one["id"], *one["aliases"]} & set(ACCEPTED)
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_nothing_with_a_known_vulnerability(lock: Path) -> None:
    assert audit(lock) == []


def test_the_audit_finds_a_vulnerability_that_is_known(tmp_path: Path) -> None:
    """CVE-2020-28493, in jinja2 2.11.2: a database that says nothing would pass unseen."""
    lock = tmp_path / "lock.txt"
    digest = "f0a4641d3cf955324a89c04f3d94663aa4d638abe8f733ecd3582848e1c37035"
    lock.write_text(f"jinja2==2.11.2 --hash=sha256:{digest}\n")
    assert any(said.startswith("jinja2 2.11.2: ") for said in audit(lock))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_package_by_version_and_hash(lock: Path) -> None:
    """So that what is installed is what was looked at."""
    entries = lock.read_text().replace("\\\n", " ").splitlines()
    named = [line for line in entries if line.strip() and not line.lstrip().startswith("#")]
    assert named
    for line in named:
        assert "==" in line or " @ " in line, line
        assert "--hash=sha256:" in line, line
