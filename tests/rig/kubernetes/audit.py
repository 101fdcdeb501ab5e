"""What an API server was asked, from its own audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The user agent of the rig's own requests, which are left out.
RIG = "rolecall-test-rig"

#: Verbs that change nothing.
READS = frozenset({"get", "list", "watch"})

#: What the cluster's own parts ask of it is not written down. What goes on, such as a watch or a
#: log, is written when it begins (ResponseStarted) and once more when it ends. A deletion is
#: written with its body, where a client may say that it is a dry run.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
- level: None
  userGroups: ["system:serviceaccounts:kube-system", "system:nodes"]
- level: None
  nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"]
- level: Request
  verbs: [delete, deletecollection]
- level: Metadata
"""


@dataclass(frozen=True)
class Request:
    """One request as the server saw it.

    Attributes:
        verb: of Kubernetes: get, list, watch, create, update, patch, delete, deletecollection.
        resource: plural and with group and subresource: ``pods``, ``deployments.apps``,
            ``pods/log``; empty for a path that is no resource, such as ``/version``.
        namespace: empty for a request about all, or for what lies in none.
        name: of the object, empty for several.
        user: who asked.
        agent: the user agent, such as ``kubectl/v1.34.4 …``.
        path: with its query.
        status: of HTTP.
        dry: whether it was a dry run.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    user: str
    agent: str
    path: str
    status: int
    dry: bool

    @property
    def writes(self) -> bool:
        """Whether it could have changed an object."""
        asks = self.resource.endswith("reviews.authorization.k8s.io")
        return bool(self.resource) and self.verb not in READS and not self.dry and not asks


def read(log: Path, since: int) -> Iterator[Request]:
    """The requests that the log got from byte ``since`` on, without the rig's own."""
    with log.open("rb") as lines:
        lines.seek(since)
        events = [json.loads(line) for line in lines]
    for event in {each["auditID"]: each for each in events}.values():
        if not event.get("userAgent", "").startswith(RIG):
            yield _request(event)


def has(log: Path, since: int, mark: str) -> bool:
    """Whether the request that carries ``mark`` has been written down."""
    with log.open("rb") as lines:
        lines.seek(since)
        return mark.encode() in lines.read()


def _request(event: dict[str, Any]) -> Request:
    of = event.get("objectRef", {})
    group = of.get("apiGroup", "")
    resource = of.get("resource", "") + (f".{group}" if group else "")
    path = event["requestURI"]
    return Request(
        verb=event["verb"],
        resource=resource + (f"/{of['subresource']}" if "subresource" in of else ""),
        namespace=of.get("namespace", ""),
        name=of.get("name", ""),
        user=event["user"].get("username", ""),
        agent=event.get("userAgent", ""),
        path=path,
        status=event.get("responseStatus", {}).get("code", 0),
        dry="dryRun=All" in path or bool(event.get("requestObject", {}).get("dryRun")),
    )
