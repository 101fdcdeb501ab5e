"""The double of the controller: a Deployment and a Service for each release of an MLService."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from tests.doubles.t9k.crds import API, CRDS
from tests.doubles.t9k.pods import RejectedError, labels_of, pod_template, user_container

#: Of what state of the MLService a Deployment is: only a change of it makes new pods.
MADE_FROM = "double.tensorstack.dev/made-from"

MANAGER = "t9k-double"

#: Seconds between two looks.
EVERY = 0.3


def install(client: ApiClient, timeout: float = 30.0) -> None:
    """Install the CRDs, and wait until they are served."""
    dynamic = DynamicClient(client)
    definitions = dynamic.resources.get(
        api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition"
    )
    for crd in CRDS:
        definitions.server_side_apply(body=crd, field_manager=MANAGER, force_conflicts=True)
    until = time.monotonic() + timeout
    for crd in CRDS:
        while not _established(definitions.get(name=crd["metadata"]["name"]).to_dict()):
            assert time.monotonic() < until, f"{crd['metadata']['name']} is not served"
            time.sleep(0.1)


def _established(crd: Mapping[str, Any]) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


class Controller:
    """Serves the MLServices of one namespace, from ``with`` to its end.

    Attributes:
        errors: what went wrong in it, for a test to look at.
    """

    def __init__(self, client: ApiClient, namespace: str, domain: str = "svc") -> None:
        self.errors: list[str] = []
        self._client = client
        self._namespace = namespace
        self._domain = domain
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Controller:
        self._dynamic = DynamicClient(self._client)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        try:
            services = self._list(API, "MLService")
            runtimes = {one["metadata"]["name"]: one for one in self._list(API, "MLServiceRuntime")}
            for service in services:
                if not service["metadata"].get("deletionTimestamp"):
                    self._serve(service, runtimes)
        except ApiException as error:
            if error.status not in (404, 409):  # deleted or changed meanwhile: next time
                self.errors.append(traceback.format_exc())
        except Exception:
            self.errors.append(traceback.format_exc())

    def _serve(self, service: Mapping[str, Any], runtimes: Mapping[str, Any]) -> None:
        rejected: tuple[str, str] | None = None
        try:
            self._make(service, runtimes)
        except RejectedError as error:
            rejected = error.reason, str(error)
        except ApiException as error:
            said = str(json.loads(error.body)["message"])
            # What is no PodSpec at all, a server-side apply answers with 500.
            if error.status not in (400, 422) and "typed patch" not in said:
                raise
            rejected = "InvalidTemplate", said
        self._report(service, rejected)

    def _make(self, service: Mapping[str, Any], runtimes: Mapping[str, Any]) -> None:
        spec = service["spec"]
        for field in ("transformer", "canary"):
            if field in spec:
                raise RejectedError("NotInTheDouble", f"the double of T9k has no {field}")
        releases = spec.get("releases") or []
        if spec["default"] not in [release["name"] for release in releases]:
            raise RejectedError("InvalidDefault", f"there is no release {spec['default']}")
        there = {one["metadata"]["name"]: one for one in self._owned(service, "Deployment")}
        wanted = set()
        for release in releases:
            name = f"{service['metadata']['name']}-predict-{release['name']}"
            wanted.add(f"{name}-deployment")
            made_from = _digest([release, spec.get("scheduler")])
            present = there.get(f"{name}-deployment")
            known = (present or {"metadata": {}})["metadata"].get("annotations") or {}
            if known.get(MADE_FROM) == made_from:
                continue  # a runtime that has changed since changes nothing
            template = pod_template(
                service["metadata"]["name"], _runtime(release, runtimes), release
            )
            self._apply(_deployment(service, name, release, template, made_from))
            self._apply(_service(service, name, release, template))
        for name in there.keys() - wanted:
            self._kind("apps/v1", "Deployment").delete(name=name, namespace=self._namespace)
        default = next(one for one in releases if one["name"] == spec["default"])
        made = next(
            (
                one
                for one in self._owned(service, "Deployment")
                if one["metadata"]["name"].endswith(f"-predict-{default['name']}-deployment")
            ),
            None,
        )
        if made:
            name = service["metadata"]["name"]
            self._apply(_service(service, name, default, made["spec"]["template"]))

    def _report(self, service: Mapping[str, Any], rejected: tuple[str, str] | None) -> None:
        name = service["metadata"]["name"]
        made = {one["metadata"]["name"]: one for one in self._owned(service, "Deployment")}
        releases = [
            self._release(name, release, service["spec"]["default"], made)
            for release in service["spec"].get("releases") or ()
        ]
        is_ready = not rejected and all(one["ready"] for one in releases)
        reason, message = rejected or next(
            ((one["reason"], one["message"]) for one in releases if not one["ready"]), ("", "")
        )
        status = {
            "address": {"url": f"http://{name}.{self._namespace}.{self._domain}"},
            "defaultRelease": service["spec"]["default"],
            "conditions": _conditions(service, is_ready, reason, message),
            "releases": releases,
        }
        if status != (service.get("status") or {}):
            self._kind(API, "MLService").status.replace(
                body={**service, "status": status}, namespace=self._namespace
            )

    def _release(
        self, service: str, release: Mapping[str, Any], default: str, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        name = f"{service}-predict-{release['name']}"
        deployment = made.get(f"{name}-deployment") or {}
        status = deployment.get("status") or {}
        wanted = (deployment.get("spec") or {}).get("replicas", 0)
        current = status.get("observedGeneration", 0) >= (deployment.get("metadata") or {}).get(
            "generation", 1
        )
        is_ready = bool(
            deployment
            and current
            and status.get("updatedReplicas", 0) == wanted
            and status.get("availableReplicas", 0) == wanted
            and status.get("replicas", 0) == wanted
        )
        return {
            "name": release["name"],
            "ready": is_ready,
            "trafficPercent": 100 if release["name"] == default else 0,
            "url": f"http://{name}.{self._namespace}.{self._domain}",
            "readyReplicas": status.get("readyReplicas", 0),
            "totalReplicas": status.get("replicas", 0),
            "reason": "" if is_ready else "Deploying",
            "message": "" if is_ready else "its pods are not ready yet",
        }

    def _owned(self, service: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
        uid = service["metadata"]["uid"]
        return [
            one
            for one in self._list("apps/v1", kind)
            if any(ref["uid"] == uid for ref in one["metadata"].get("ownerReferences") or ())
        ]

    def _list(self, api: str, kind: str) -> list[dict[str, Any]]:
        found = self._kind(api, kind).get(namespace=self._namespace).to_dict()
        return list(found["items"])

    def _apply(self, body: dict[str, Any]) -> None:
        with suppress(KeyError):
            body["metadata"]["namespace"] = self._namespace
        self._kind(body["apiVersion"], body["kind"]).server_side_apply(
            body=body,
            namespace=self._namespace,
            field_manager=MANAGER,
            force_conflicts=True,
            field_validation="Strict",
        )

    def _kind(self, api: str, kind: str) -> Any:
        return self._dynamic.resources.get(api_version=api, kind=kind)


def _runtime(release: Mapping[str, Any], runtimes: Mapping[str, Any]) -> Mapping[str, Any]:
    predictor = release.get("predictor") or {}
    name = (predictor.get("model") or {}).get("runtime")
    if not name:
        raise RejectedError("NoRuntime", f"release {release['name']} names no runtime")
    if name not in runtimes:
        raise RejectedError("RuntimeNotFound", f"there is no MLServiceRuntime {name}")
    runtime: Mapping[str, Any] = runtimes[name]
    if not runtime["spec"].get("enabled"):
        raise RejectedError("RuntimeDisabled", f"MLServiceRuntime {name} is not enabled")
    return runtime


def _digest(thing: object) -> str:
    return hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()[:16]


def _metadata(service: Mapping[str, Any], name: str) -> dict[str, Any]:
    owner = {
        "apiVersion": API,
        "kind": "MLService",
        "name": service["metadata"]["name"],
        "uid": service["metadata"]["uid"],
        "controller": True,
    }
    return {"name": name, "ownerReferences": [owner]}


def _deployment(
    service: Mapping[str, Any],
    name: str,
    release: Mapping[str, Any],
    template: dict[str, Any],
    made_from: str,
) -> dict[str, Any]:
    replicas = release["predictor"].get("minReplicas", 1)
    metadata = _metadata(service, f"{name}-deployment")
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": {MADE_FROM: made_from}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels_of(service["metadata"]["name"], release["name"])},
            # A Knative revision starts before the one before it ends.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": template,
        },
    }


def _service(
    service: Mapping[str, Any], name: str, release: Mapping[str, Any], template: Mapping[str, Any]
) -> dict[str, Any]:
    port = user_container(template["spec"])["ports"][0]["containerPort"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(service, name),
        "spec": {
            "selector": labels_of(service["metadata"]["name"], release["name"]),
            "ports": [{"name": "http", "port": 80, "targetPort": port}],
        },
    }


def _conditions(
    service: Mapping[str, Any], is_ready: bool, reason: str, message: str
) -> list[dict[str, str]]:
    before = {one["type"]: one for one in (service.get("status") or {}).get("conditions") or ()}
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = []
    for kind, status, why, what in (
        ("Paused", "False", "", ""),
        ("Ready", "True" if is_ready else "False", reason, message),
    ):
        one = {"type": kind, "status": status, "reason": why, "message": what}
        same = before.get(kind, {}).get("status") == status
        one["lastTransitionTime"] = before[kind]["lastTransitionTime"] if same else now
        made.append(one)
    return made
