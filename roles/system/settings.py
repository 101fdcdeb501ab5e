"""Settings of the role ``system``."""

from roles.published import Published


class System(Published):
    """Settings of the role ``system``."""

    packages: tuple[str, ...] = ()
    """Packages to install, such as openmpi-bin. Only these need root; an empty list needs none."""

    remove: tuple[str, ...] = ()
    """Files to remove, as root; absolute paths. They are gone for good."""
