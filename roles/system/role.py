"""The packages of the operating system that a deployment needs."""

from collections.abc import Iterator

from rolecall.api import Host, Package, Resource, Settings, Skip, Unless, role


class System(Settings):
    """Settings of the role ``system``."""

    packages: tuple[str, ...] = ()
    """Packages to install, such as openmpi-bin. Only these need root; an empty list needs none."""


@role(System)
def system(host: Host, settings: System) -> Iterator[Resource | Skip]:
    """Install packages, where there are any to install."""
    if not settings.packages:
        yield Skip("package:none", "no package is asked for")
    for package in settings.packages:
        yield Package(package)
    if host.facts.package_manager == "apt":
        # Debian splits Python's venv module off; an interpreter that has it needs nothing.
        yield Unless("python3 -c 'import venv, ensurepip'", Package("python3-venv"))
