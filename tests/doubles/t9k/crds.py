"""The CRDs, written from the API reference. A PodSpec is any object, as pruning would need all."""

from __future__ import annotations

from typing import Any

GROUP, VERSION = "tensorstack.dev", "v1beta1"
API = f"{GROUP}/{VERSION}"

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer", "format": "int32"}
BOOLEAN: Schema = {"type": "boolean"}
QUANTITY: Schema = {"anyOf": [{"type": "integer"}, STRING], "x-kubernetes-int-or-string": True}
ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def struct(required: tuple[str, ...] = (), /, **fields: Schema) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        **({"required": list(required)} if required else {}),
    }


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def mapping(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


RESOURCES = struct(
    limits=mapping(QUANTITY),
    requests=mapping(QUANTITY),
    claims=array(struct(("name",), name=STRING)),
)
METADATA = struct(labels=mapping(STRING), annotations=mapping(STRING))
TEMPLATE = struct(metadata=METADATA, spec=ANY)
LOGGER = struct(
    urls=array(STRING),
    mode={**STRING, "enum": ["all", "request", "response"]},
    resources=RESOURCES,
)
STORAGE = struct(
    pvc=struct(("name",), name=STRING, subPath=STRING, mountPath=STRING),
    s3=struct(secretRef=struct(name=STRING), uri=STRING, mountPath=STRING),
)
DEPLOYMENT: Schema = {
    "minReplicas": INTEGER,
    "maxReplicas": INTEGER,
    "template": TEMPLATE,
    "logger": LOGGER,
    "storage": STORAGE,
}
PREDICTOR = struct(
    model=struct(runtime=STRING, parameters=mapping(STRING)),
    containersResources=array(struct(name=STRING, resources=RESOURCES)),
    **DEPLOYMENT,
)
SPEC = struct(
    ("default",),
    default=STRING,
    canary=STRING,
    canaryTrafficPercent={
        **INTEGER,
        "minimum": 0,
        "maximum": 100,
        "exclusiveMinimum": True,
        "exclusiveMaximum": True,
    },
    scheduler=struct(t9kScheduler=struct(queue=STRING)),
    runMode=ANY,
    transformer=struct(**DEPLOYMENT),
    releases=array(struct(("name",), name=STRING, predictor=PREDICTOR)),
)
CONDITION = struct(
    ("type", "status"),
    type=STRING,
    status={**STRING, "enum": ["True", "False", "Unknown"]},
    reason=STRING,
    message=STRING,
    lastTransitionTime={**STRING, "format": "date-time"},
)
STATE: Schema = {
    "ready": BOOLEAN,
    "url": STRING,
    "reason": STRING,
    "message": STRING,
    "readyReplicas": INTEGER,
    "totalReplicas": INTEGER,
}
STATUS = struct(
    address=struct(url=STRING),
    defaultRelease=STRING,
    canaryRelease=STRING,
    conditions=array(CONDITION),
    releases=array(struct(name=STRING, trafficPercent=INTEGER, **STATE)),
    transformer=struct(**STATE),
)


def column(name: str, path: str) -> dict[str, str]:
    return {"name": name, "type": "string", "jsonPath": path}


#: As ``kubectl get mls`` shows them in the manual.
COLUMNS = [
    column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
    column("URL", ".status.address.url"),
]


def definition(
    kind: str, short: tuple[str, ...], columns: list[dict[str, str]], spec: Schema, status: Schema
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    root = struct(
        apiVersion=STRING, kind=STRING, metadata={"type": "object"}, spec=spec, status=status
    )
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


CRDS = (
    definition("MLService", ("mls",), COLUMNS, SPEC, STATUS),
    definition("MLServiceRuntime", (), [], struct(enabled=BOOLEAN, template=TEMPLATE), ANY),
)
