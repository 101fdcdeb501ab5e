"""The manifests of a service: a pure function of the settings, in either flavour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rolecall.api import Host
from rolecall.cluster.objects import Object
from roles.k8s.settings import K8s


@dataclass(frozen=True)
class Manifests:
    """All objects of a service, in the order in which they are wanted.

    Attributes:
        secrets: what the others refer to by name; never rendered to a file.
        config: the immutable ConfigMap with the inventory of the pods that serve; None where
            they take none.
        prepare_config: the same for the Job. It is another one, so that a setting of the server
            changes nothing of the Job.
        volume: the claim; None where it is somebody else's.
        prepare: the Job; None where something else fills the volume.
        prepare_digest: what has to lie on the volume: image and settings, by digest.
        workload: what runs: Deployment, or MLServiceRuntime and MLService.
        claim: the name of the volume's claim, whoever made it.
    """

    claim: str
    prepare_digest: str
    workload: tuple[Object, ...]
    secrets: tuple[Object, ...] = field(default=(), repr=False)
    config: Object | None = None
    prepare_config: Object | None = None
    volume: Object | None = None
    prepare: Object | None = None
    others: tuple[Object, ...] = ()

    def supplies(self) -> Iterator[Object]:
        """What runs nothing: it is there before the Job and the workload."""
        yield from self.secrets
        yield from (one for one in (self.config, self.prepare_config, self.volume) if one)
        yield from self.others

    def all(self) -> Iterator[Object]:
        """Every object, in that order: what others rely on comes first."""
        yield from self.supplies()
        yield from (one for one in (self.prepare,) if one)
        yield from self.workload


def manifests(host: Host) -> Manifests:
    """The objects of ``host``'s service.

    Raises:
        ConfigError: a setting that the flavour needs is missing.
    """
    if host.settings(K8s).flavour == "t9k":
        from roles.k8s.t9k.manifests import t9k

        return t9k(host)
    from roles.k8s.kubernetes.manifests import kubernetes

    return kubernetes(host)
