"""From runtime and release to the pods, and the rules for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.doubles.t9k.gotemplate import TemplateError, render

USER = "user-container"

#: By what lists are merged (k8s.io/api/core/v1, patchMergeKey); other lists are replaced.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


class RejectedError(Exception):
    """The MLService cannot be served; ``reason`` goes into its condition Ready."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def merge(base: Any, patch: Any, key: str = "") -> Any:
    """A strategic merge patch, without its directives."""
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        directives = [one for one in patch if one.startswith("$")]
        if directives:
            raise RejectedError("NotInTheDouble", f"the double of T9k knows no {directives[0]}")
        merged = {k: v for k, v in base.items() if not (k in patch and patch[k] is None)}
        for name, value in patch.items():
            if value is not None:
                merged[name] = merge(base[name], value, name) if name in base else value
        return merged
    if isinstance(base, list) and isinstance(patch, list) and key in MERGE_KEYS:
        return _merge_lists(base, patch, MERGE_KEYS[key])
    return patch


def _merge_lists(base: list[Any], patch: list[Any], by: str) -> list[Any]:
    changes = {one[by]: one for one in patch}
    known = {one[by] for one in base}
    merged = [merge(one, changes[one[by]]) if one[by] in changes else one for one in base]
    return merged + [one for one in patch if one[by] not in known]


def pod_template(
    service: str, runtime: Mapping[str, Any], release: Mapping[str, Any]
) -> dict[str, Any]:
    """The template of a release's pods.

    Raises:
        RejectedError: runtime or release break a rule of the manual.
    """
    predictor = release["predictor"]
    patch = predictor.get("template") or {}
    for container in (patch.get("spec") or {}).get("containers") or ():
        if "ports" in container:
            raise RejectedError(
                "InvalidTemplate",
                f"release {release['name']}: container {container.get('name')} of the template "
                "may not set ports",
            )
    template = merge(_filled(runtime["spec"]["template"], predictor), patch)
    spec = template["spec"]
    _check_ports(release["name"], spec["containers"])
    for resources in predictor.get("containersResources") or ():
        for container in spec["containers"]:
            if container["name"] == resources["name"]:
                container["resources"] = resources.get("resources") or {}
    _mount(spec, (predictor.get("storage") or {}))
    user = user_container(spec)
    user.setdefault("ports", [{"containerPort": 8080}])
    # Knative's own default (pkg/apis/serving/v1/revision_defaults.go).
    user.setdefault("readinessProbe", {"tcpSocket": {"port": user["ports"][0]["containerPort"]}})
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **labels_of(service, release["name"])}
    return {"metadata": {**metadata, "labels": labels}, "spec": spec}


def labels_of(service: str, release: str) -> dict[str, str]:
    """Knative's label of a service's pods (pkg/apis/serving/register.go, ServiceLabelKey)."""
    return {"serving.knative.dev/service": f"{service}-predict-{release}"}


def user_container(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The container that storage, logs and the port are about."""
    return next(one for one in spec["containers"] if one["name"] == USER)


def _filled(template: Mapping[str, Any], predictor: Mapping[str, Any]) -> dict[str, Any]:
    """The runtime's template with the parameters in its containers' args."""
    parameters = (predictor.get("model") or {}).get("parameters") or {}
    spec = dict(template.get("spec") or {})
    containers = [dict(container) for container in spec.get("containers") or ()]
    try:
        for container in containers:
            if "args" in container:
                container["args"] = [render(arg, parameters) for arg in container["args"]]
    except TemplateError as error:
        raise RejectedError("InvalidRuntime", str(error)) from error
    return {**template, "spec": {**spec, "containers": containers}}


def _check_ports(release: str, containers: Sequence[Mapping[str, Any]]) -> None:
    if USER not in [container["name"] for container in containers]:
        raise RejectedError(
            "InvalidRuntime", f"release {release}: there is no container called {USER}"
        )
    for container in containers:
        ports = len(container.get("ports") or ())
        if ports > (1 if container["name"] == USER else 0):
            raise RejectedError(
                "InvalidRuntime",
                f"release {release}: container {container['name']} has {ports} ports; only {USER} "
                "may have one",
            )


def _mount(spec: dict[str, Any], storage: Mapping[str, Any]) -> None:
    if "s3" in storage:
        raise RejectedError("NotInTheDouble", "the double of T9k has no s3")
    if not (pvc := storage.get("pvc")):
        return
    if str(pvc.get("subPath") or "").startswith("/"):
        raise RejectedError("InvalidStorage", f"subPath {pvc['subPath']} is not relative")
    volume = {"name": "t9k-model", "persistentVolumeClaim": {"claimName": pvc["name"]}}
    mount = {
        "name": "t9k-model",
        "mountPath": pvc.get("mountPath") or "/var/lib/t9k/model",
        **({"subPath": pvc["subPath"]} if pvc.get("subPath") else {}),
    }
    spec["volumes"] = [*(spec.get("volumes") or ()), volume]
    user = user_container(spec)
    user["volumeMounts"] = [*(user.get("volumeMounts") or ()), mount]
