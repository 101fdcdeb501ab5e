"""What checks are given, by name: for their type hints."""

from __future__ import annotations

from rolecall.resource import Resource, Skip
from rolecall.verify.chosen import Machine
from rolecall.verify.told import told

__all__ = ["AsDeclared"]


class AsDeclared:
    """Asserts that resources are as they are declared, with the probes of the deploy."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __call__(self, *wanted: Resource | Skip) -> None:
        """Read everything of ``wanted``, contents included, and compare."""
        thorough = [one.thorough() if isinstance(one, Resource) else one for one in wanted]
        changes = self._machine.differences(thorough)
        name = self._machine.target.name
        assert not changes, (
            f"a deploy would change:\n{told(changes)}\n"
            f"next: ./inv plan --hosts {name} --verify-hashes says more, deploy puts it right"
        )
