"""The packages of the operating system that a deployment needs."""

from collections.abc import Iterator

from rolecall.api import Absent, Host, Package, Resource, Skip, Unless, role, words
from roles.bundle import places
from roles.bundle.needs import DebianPackages, Need
from roles.engine.settings import Engine
from roles.repo.settings import Repo
from roles.system.settings import System

# python3's shared library is where its prefix keeps it, or, if python3 is only a script that
# chooses one (pyenv), where that one or the system does.
_LIBPYTHON = """
python=$(readlink -f -- "$(command -v python3)")
for lib in "${python%/bin/*}"/lib/lib"${python##*/}".so.1.0 \\
  "${python%/bin/*}"/lib/*/lib"${python##*/}".so.1.0; do
  [ ! -e "$lib" ] || exit 0
done
python3 -I -S -c '
import ctypes, os, sys, sysconfig
lib = "libpython%d.%d.so.1.0" % sys.version_info[:2]
os.path.exists(os.path.join(sysconfig.get_config_var("LIBDIR") or "", lib)) or ctypes.CDLL(lib)
'
"""


def _needs_git(host: Host) -> bool:
    """Whether anything comes from a git repository: templates, examples."""
    kind = host.settings(Engine).kind
    return host.settings(Repo).kind in {"upstream", "llmapi"} or kind == "tensorrt_llm"


#: What nobody needs who takes all from a bundle.
_OVER_A_NETWORK = "ca-certificates"

#: What a deployment needs besides, and the test that an installation without it fails.
_BASE = {
    # Without authorities nothing comes over TLS; minimal installations have none.
    _OVER_A_NETWORK: "[ -s /etc/ssl/certs/ca-certificates.crt ]",
    "python3": "command -v python3",
    # Debian splits Python's venv module off; an interpreter that has it needs nothing.
    "python3-venv": "python3 -c 'import venv, ensurepip'",
    # Triton's python backend is linked with it. Every release names the library's package
    # otherwise; this one depends on it.
    "libpython3-dev": _LIBPYTHON,
}


def _base(host: Host) -> dict[str, str]:
    """What this deployment needs besides, with the tests."""
    return {**_BASE, **({"git": "command -v git"} if _needs_git(host) else {})}


def bundle_needs(host: Host) -> Iterator[Need]:
    """The packages; a host without apt has to have them."""
    facts = host.facts
    if facts.package_manager == "apt":
        packages = host.settings(System).packages
        base = {name: test for name, test in _base(host).items() if name != _OVER_A_NETWORK}
        tests = [*(f"dpkg-query -W {words(packages)}" for _ in packages[:1]), *base.values()]
        yield DebianPackages(
            (*packages, *base),
            f"{facts.os_id}-{facts.os_version}",
            facts.arch,
            unless=" && ".join(f"(\n{test}\n)" for test in tests),
        )


@role(System)
def system(host: Host, settings: System) -> Iterator[Resource | Skip]:
    """Install packages, where there are any to install."""
    if not settings.packages:
        yield Skip("package:none", "no package is asked for")
    source = places.packages(host)
    for package in settings.packages:
        yield Package(package, source=source)
    for path in settings.remove:
        yield Absent(path, sudo=True)
    if host.facts.package_manager == "apt":
        base = _base(host)
        if source:
            del base[_OVER_A_NETWORK]
        for package, test in base.items():
            yield Unless(test, Package(package, source=source))
