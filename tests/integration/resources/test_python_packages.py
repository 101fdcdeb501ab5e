import base64
import contextlib
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rolecall.resources.python_packages import PythonPackages
from rolecall.resources.venv import Venv
from tests.support import (
    SHELLS,
    assert_contract,
    converge,
    converge_killed,
    destroy,
    find_shell,
    settled,
)

PYTHON = str(Path(sys.base_prefix) / "bin/python3")


class Index:
    """A folder of wheels made here, which pip looks into instead of an index."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def add(self, name: str, version: str, modules: int = 1) -> str:
        """Build a wheel; return its line for a list of requirements."""
        stem = name.replace("-", "_")
        info = f"{stem}-{version}.dist-info"
        files = {f"{stem}/m{i}.py": f"value = '{version}'\n" for i in range(modules)}
        files[f"{stem}/__init__.py"] = f"__version__ = '{version}'\n"
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        record = []
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record.append(f"{path},sha256={digest.decode().rstrip('=')},{len(text)}\n")
        files[f"{info}/RECORD"] = "".join(record) + f"{info}/RECORD,,\n"
        wheel = self.folder / f"{stem}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return f"{name}=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    converge([Venv(str(folder / "venv"), python=PYTHON, below="3.99")], folder / "home")
    return folder / "venv"


@pytest.fixture
def venv(tmp_path, pristine):
    path = tmp_path / "a venv"
    shutil.copytree(pristine, path, symlinks=True)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    found = Index(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", found.folder.as_uri())
    return found


def version(venv: Path, package: str) -> str:
    code = f"import {package}; print({package}.__version__)"
    done = subprocess.run(
        [venv / "bin/python", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


@pytest.mark.parametrize("shell", SHELLS[:2])
def test_a_list_is_installed_upgraded_and_removed(tmp_path, venv, index, shell):
    shell, home = find_shell(shell, tmp_path), tmp_path / "home"
    one, two = index.add("demo-one", "1.0"), index.add("Demo.Two", "2.0+cpu")
    first = assert_contract([PythonPackages(str(venv), one + two)], home, shell)
    assert version(venv, "demo_one") == "1.0"
    steps = {(event.label, event.done, event.total) for event in first.progress}
    assert {("collecting", 2, 2), ("installing", 2, 2)} <= steps
    newer = PythonPackages(str(venv), index.add("demo-one", "1.1") + two)
    result = assert_contract([newer], home, shell)
    assert [(c.field, c.before, c.after) for c in result.done[newer.id].changes] == [
        ("demo-one", "1.0", "1.1")
    ]
    assert not (venv / ".rolecall/requirements.txt").exists()


def test_destroy_uninstalls_what_was_not_there_before(tmp_path, venv, index):
    one, two = index.add("demo-one", "1.0"), index.add("demo-one-2", "1.0")
    before = PythonPackages(str(venv), two)
    converge([before], tmp_path / "home-of-others")
    both = PythonPackages(str(venv), one + two)
    converge([both], tmp_path / "home")
    destroy(both, tmp_path / "home")
    assert version(venv, "demo_one") == ""
    settled([before], tmp_path / "home-of-others")


def test_markers_are_evaluated_on_the_host_once(tmp_path, venv, index):
    home = tmp_path / "home"
    old, new = index.add("demo", "1.0"), index.add("demo", "2.0")
    windows = index.add("demo-windows", "1.0")
    mark = lambda line, marker: line.replace(" \\", f" ; {marker} \\", 1)  # noqa: E731
    text = (
        mark(old, "python_version < '3.10'")
        + mark(new, "python_version >= '3.10'")
        + mark(windows, "sys_platform == 'win32'")
    )
    packages = PythonPackages(str(venv), text)
    assert_contract([packages], home)
    assert (version(venv, "demo"), version(venv, "demo_windows")) == ("2.0", "")
    shutil.rmtree(next(venv.glob("lib/python3*/site-packages/demo-*.dist-info")))
    missing = converge([packages], home, check=True)
    assert missing.outcomes[packages.id] == "would change"


@pytest.mark.parametrize("pattern", ["demo", "demo-1.0.dist-info", "demo-1.0.dist-info/METADATA"])
def test_an_install_killed_half_way_is_seen_and_done_again(tmp_path, venv, index, pattern):
    packages = PythonPackages(
        str(venv), index.add("demo", "1.0", modules=400) + index.add("other", "1.0")
    )
    home = tmp_path / "home"
    site = next(venv.glob("lib/python3*/site-packages"))
    converge_killed([packages], home, lambda: any(site.glob(pattern)))
    if (venv / ".rolecall/installing").exists():
        check = converge([packages], home, check=True)
        assert check.outcomes[packages.id] == "would change"
    after = converge([packages], home)
    assert after.outcomes.get(packages.id) in {"changed", "ok"}, after.text
    settled([packages], home)
    assert version(venv, "demo") == "1.0" and version(venv, "other") == "1.0"


def test_what_a_killed_install_left_behind_is_swept(tmp_path, venv, index):
    packages = PythonPackages(str(venv), index.add("demo", "1.0"))
    site = next(venv.glob("lib/python3*/site-packages"))
    (venv / ".rolecall").mkdir(exist_ok=True)
    (venv / ".rolecall/installing").write_text("gone:1:1")
    for name in ("demo/stale.py", "demo-0.9.dist-info/METADATA", "~emo/x"):
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text("")
    assert_contract([packages], tmp_path / "home")
    assert sorted(path.name for path in site.iterdir() if "emo" in path.name) == [
        "demo",
        "demo-1.0.dist-info",
    ]
    assert not (site / "demo/stale.py").exists()
    assert (site / "pip").exists()


def test_a_tampered_wheel_is_named_and_not_installed(tmp_path, venv, index):
    good, bad = index.add("good", "1.0"), index.add("demo", "1.0")
    index.add("demo", "1.0", modules=2)
    packages = PythonPackages(str(venv), good + bad)
    result = converge([packages], tmp_path / "home")
    assert result.outcomes[packages.id] == "failed"
    assert "demo==1.0: the file that came is not the one" in result.reason(packages)
    assert version(venv, "good") == version(venv, "demo") == ""
    assert not (venv / ".rolecall/installing").exists()


def test_an_unreachable_index_is_said_to_be_one(tmp_path, venv, index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    packages = PythonPackages(str(venv), index.add("demo", "1.0").replace("demo", "absent"))
    result = converge([packages], tmp_path / "home")
    assert "the package index cannot be reached" in result.reason(packages)


def test_a_version_that_no_index_has_is_named(tmp_path, venv, index):
    line = index.add("demo", "1.0").replace("1.0", "9.9")
    packages = PythonPackages(str(venv), line)
    result = converge([packages], tmp_path / "home")
    assert "demo==9.9: the package index of this host has no such version" in result.reason(
        packages
    )


def test_a_full_disk_is_said_to_be_one(tmp_path, pristine, index):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        venv = small / "venv"
        shutil.copytree(pristine, venv, symlinks=True)
        packages = PythonPackages(str(venv), index.add("demo", "1.0", modules=800))
        ballast = small / "ballast"
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(shutil.disk_usage(small).free - 400_000))
        result = converge([packages], tmp_path / "home")
        assert "the disk is full" in result.reason(packages)
        ballast.unlink()
        assert_contract([packages], tmp_path / "home")
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_without_an_environment_the_way_out_is_named(tmp_path, index):
    packages = PythonPackages(str(tmp_path / "venv"), index.add("demo", "1.0"))
    result = converge([packages], tmp_path / "home", check=True)
    assert "declare Venv(" in result.reason(packages)
