"""A Triton model repository as the other roles see it."""

from __future__ import annotations

from dataclasses import dataclass

from rolecall.api import Artifact, Tree


@dataclass(frozen=True)
class Repository:
    """A repository on a host.

    Attributes:
        made_by: the resource that makes it.
        path: the directory that Triton is given.
        description: the path of repository.json, which says what a client has to know: kind,
            models, ``end_id`` and ``pad_id``, decoupled; empty where there is none.
    """

    made_by: Artifact | Tree
    path: str
    description: str = ""

    @classmethod
    def built(cls, artifact: Artifact) -> Repository:
        """The repository in ``artifact``, made by roles/repo/fill."""
        return cls(artifact, f"{artifact.path}/models", f"{artifact.path}/repository.json")
