"""Settings of the role ``k8s``: the service on a cluster, in either flavour."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from rolecall.api import Settings
from roles.k8s.t9k.settings import T9k
from roles.k8s.values import (
    HOSTNAME,
    LABEL,
    amount,
    check_affinity,
    check_annotations,
    check_labels,
    matching,
    quantity,
)
from roles.published import Published
from roles.server.settings import named_variables

Amount = Annotated[str, BeforeValidator(str), AfterValidator(amount)]
Quantity = Annotated[str, BeforeValidator(str), AfterValidator(quantity)]
Labels = Annotated[dict[str, str], AfterValidator(check_labels)]
Annotations = Annotated[dict[str, str], AfterValidator(check_annotations)]
Affinity = Annotated[dict[str, Any], AfterValidator(check_affinity)]
OptionalLabel = Annotated[str, AfterValidator(matching(rf"|{LABEL}", "a DNS label is needed"))]


class Registry(Settings):
    """Who pulls the image. Without a user the cluster's own means serve."""

    server: str = ""
    """The registry, such as registry.example:5000. Empty: the one in the image's name."""

    username: str = ""
    """The user's name."""

    password: SecretStr | None = None
    """The password or token: ``!env REGISTRY_PASSWORD``. It goes into a Secret of the namespace."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Registry:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password belong together")
        return self


class Gpu(Settings):
    """The GPUs of a pod."""

    resource: str = "nvidia.com/gpu"
    """What the cluster calls them: a device plugin's resource, such as nvidia.com/mig-3g.40gb or
    a shared GPU of the platform."""

    count: NonNegativeInt | None = None
    """How many. ``null``: as many as the model is split over, none for a recipe without a GPU."""


class Resources(Settings):
    """What a pod is given. Empty: what suits the recipe."""

    cpu: Quantity = ""
    """Limit of cores. Empty: 4 with a GPU, else none."""

    memory: Quantity = ""
    """Limit of memory, /dev/shm included. Empty: 64Gi with a GPU, else 4Gi."""

    cpu_request: Quantity = ""
    """Cores to set aside. Empty: as many as the limit, or 1 where there is none."""

    memory_request: Quantity = ""
    """Memory to set aside. Empty: as much as the limit."""


class OpenAi(Settings):
    """The container that speaks OpenAI's API, where ``server.openai`` asks for one."""

    resources: Resources = Resources(memory="1Gi", cpu_request="100m", memory_request="256Mi")
    """What it is given. An empty value is no limit, or sets nothing aside."""


class Scheduling(Settings):
    """Where pods run, as the API of Kubernetes has it."""

    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node has to have, such as ``{nvidia.com/gpu.product: NVIDIA-L40S}``."""

    tolerations: tuple[dict[str, Any], ...] = ()
    """Taints that do not matter, such as ``[{key: nvidia.com/gpu, operator: Exists}]``."""

    affinity: Affinity = Field(default_factory=dict)
    """Affinity of the pods that serve."""

    priority_class: str = ""
    """The PriorityClass."""

    runtime_class: str = ""
    """The RuntimeClass, such as nvidia."""


class Volume(Settings):
    """The volume that holds model, engine and model repository."""

    claim: OptionalLabel = ""
    """The PersistentVolumeClaim's name. Empty: NAME-data."""

    size: Amount = "100Gi"
    """Its size. A larger value grows it, where the storage class can."""

    storage_class: str = ""
    """Its StorageClass. Empty: the cluster's default."""

    access_modes: tuple[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"], ...] = (
        "ReadWriteOnce",
    )
    """How it may be mounted. Pods on several nodes need ReadWriteMany."""

    existing: bool = False
    """The claim is somebody else's: it is used, and never made, changed or removed. Say its
    ``access_modes`` here all the same."""

    one_node: bool | None = None
    """Keep all pods that mount it on one node. ``null``: where it can be mounted on one only."""

    @property
    def pinned(self) -> bool:
        """Whether the pods have to be on one node."""
        return "ReadWriteMany" not in self.access_modes if self.one_node is None else self.one_node

    @field_validator("access_modes")
    @classmethod
    def _there_is_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one is needed")
        if "ReadWriteOncePod" in value and len(value) > 1:
            raise ValueError("ReadWriteOncePod goes with no other")
        return value


class Prepare(Settings):
    """How the volume is filled before anything is served from it."""

    by: Literal["job", "notebook", "none"] = "job"
    """``job``: a Job runs the roles python, runtime, model, engine and repo of this project on the
    cluster. ``notebook``: you do, with ``./fab -H NOTEBOOK deploy``, from a pod that mounts the
    volume. ``none``: the pods that serve do so themselves, when they start."""

    image: str = ""
    """The Job's image, which has to be one of this project. Empty: k8s.image."""

    resources: Resources = Resources()
    """What the Job is given. Empty values: what the server is."""

    gpus: NonNegativeInt | None = None
    """GPUs of the Job. ``null``: as many as the server has where an engine is built on them, else
    none."""

    retries: NonNegativeInt = 2
    """How often a failed pod of the Job is followed by another. What it finished stays done."""

    deadline: PositiveInt = 21600
    """Seconds after which the Job is given up."""

    keep: NonNegativeInt = 86400
    """Seconds that a finished Job stays, with its log."""


class Exposure(Settings):
    """The Service in front of the pods; it has the ports of role server."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Who reaches it: the cluster alone, or others as well. Triton asks nobody for a password."""

    grpc: bool = True
    """Offer gRPC as well."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations, such as a cloud's for its load balancers."""


class Ingress(Settings):
    """An Ingress to the HTTP API, or to the OpenAI API."""

    host: str = ""
    """The host name. Empty: there is no Ingress."""

    class_name: str = ""
    """The IngressClass. Empty: the cluster's default."""

    tls_secret: str = ""
    """The Secret with the certificate; with it the address is https."""

    path: str = "/"
    """What paths begin with. Triton serves from /, so another needs a controller that rewrites."""

    port: Literal["http", "openai"] = "http"
    """Where it leads to: Triton's HTTP API, which asks nobody for a key, or the OpenAI API."""

    annotations: Annotations = Field(default_factory=dict)
    """What the controller is told. An answer may take long: raise its read timeout."""

    @model_validator(mode="after")
    def _host_is_one(self) -> Ingress:
        if self.host and not re.fullmatch(rf"(\*\.)?{HOSTNAME}", self.host):
            raise ValueError(f"host: {self.host!r} is no host name in lower case")
        if not self.host and self.model_fields_set - {"host"}:
            raise ValueError("an Ingress needs a host name: set ingress.host")
        if not self.path.startswith("/"):
            raise ValueError(f"path: {self.path!r} does not begin with /")
        return self


class Gateway(Settings):
    """An HTTPRoute from a Gateway (gateway.networking.k8s.io/v1)."""

    name: OptionalLabel = ""
    """The Gateway. Empty: there is no route."""

    namespace: OptionalLabel = ""
    """The Gateway's namespace. Empty: that of the service."""

    section: str = ""
    """The Gateway's listener. Empty: all that fit."""

    hostnames: tuple[str, ...] = ()
    """The host names that lead here; at least one."""

    path: str = "/"
    """What paths begin with."""

    port: Literal["http", "openai"] = "http"
    """Where it leads to: Triton's HTTP API, which asks nobody for a key, or the OpenAI API."""

    @model_validator(mode="after")
    def _names_are_given(self) -> Gateway:
        if self.name and not self.hostnames:
            raise ValueError("a route needs host names: set gateway.hostnames")
        if not self.name and self.model_fields_set - {"name"}:
            raise ValueError("a route needs a Gateway: set gateway.name")
        for host in self.hostnames:
            if not re.fullmatch(rf"(\*\.)?{HOSTNAME}", host):
                raise ValueError(f"hostnames: {host!r} is no host name in lower case")
        return self


class Autoscale(Settings):
    """A HorizontalPodAutoscaler on Triton's queue. It needs an adapter that serves the metric."""

    enabled: bool = False
    """Let the queue decide how many pods there are; ``k8s.replicas`` then says nothing."""

    min: PositiveInt = 1
    """The fewest pods."""

    max: PositiveInt = 4
    """The most pods."""

    metric: str = ""
    """The metric of a pod, as the custom metrics API names it. Empty: Triton's gauge of waiting
    requests, ``nv_trt_llm_request_metrics`` or, for kind llmapi,
    ``nv_inference_pending_request_count``."""

    selector: dict[str, str] | None = None
    """Labels of the metric. ``null``: ``request_type: waiting``, where the metric has that."""

    target: Amount = "4"
    """The average of it for each pod above which there are to be more."""

    calm: NonNegativeInt = 300
    """Seconds of less load before a pod goes."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> Autoscale:
        if self.min > self.max:
            raise ValueError(f"autoscale.min ({self.min}) is above autoscale.max ({self.max})")
        return self


class ServiceMonitor(Settings):
    """A ServiceMonitor for the Prometheus operator (monitoring.coreos.com/v1)."""

    enabled: bool = False
    """Make one; the cluster needs the operator."""

    interval: str = "30s"
    """How often metrics are read."""

    labels: Labels = Field(default_factory=dict)
    """The labels by which a Prometheus finds it, such as ``{release: prometheus}``."""


class NetworkPolicy(Settings):
    """Who may speak with the pods. Kubelet's probes and port-forwards always may."""

    enabled: bool = True
    """Make one: requests from the namespace and from those named here, metrics to monitoring."""

    namespaces: tuple[str, ...] = ()
    """Further namespaces that requests come from, such as the ingress controller's."""

    cidrs: tuple[str, ...] = ()
    """Networks that requests come from, such as 10.0.0.0/8: those of a load balancer's clients,
    or of nodes."""

    monitoring: Labels = Field(
        default_factory=lambda: {"kubernetes.io/metadata.name": "monitoring"}
    )
    """The labels of the namespace that metrics are read from."""

    deny_egress: bool = False
    """Let the pods that serve begin no connection of their own."""

    @model_validator(mode="after")
    def _serving_needs_no_network(self) -> NetworkPolicy:
        if self.deny_egress and not self.enabled:
            raise ValueError("deny_egress needs enabled: a policy says it")
        return self


class Probes(Settings):
    """The probes on Triton's health endpoints."""

    startup: PositiveInt | None = None
    """Seconds until every model has to be ready. ``null``: server.ready_timeout and a minute, and
    prepare.deadline on top where the pods prepare themselves."""

    period: PositiveInt = 5
    """Seconds between two probes."""

    timeout: PositiveInt = 5
    """Seconds that Triton has to answer one."""

    unready_after: PositiveInt = 3
    """Failures in a row after which a pod gets no requests."""

    restart_after: PositiveInt = 12
    """Failures in a row after which a pod is started again."""


class Security(Settings):
    """What pods may do. The defaults pass the Pod Security Standard ``restricted``."""

    user: PositiveInt | None = 10001
    """The user that all runs as. ``null``: the image's own, or the platform's choice (OpenShift);
    root is refused either way."""

    group: PositiveInt | None = 10001
    """The group of it and of the volume's files. ``null``: as ``user``."""

    read_only_root: bool = True
    """Nothing is written but the volume, /tmp and /dev/shm."""


class Rolling(Settings):
    """How a change replaces pods."""

    surge: Literal["auto", "always", "never"] = "auto"
    """``always``: the new pod is ready before the old one goes. ``never``: the old one goes first.
    ``auto``: never where it could wait for ever for what the old one holds (one pod with a GPU, a
    volume for one pod); with several pods on GPUs one may go and one may come; else always."""

    min_ready: NonNegativeInt = 5
    """Seconds that a new pod has to stay ready before the next is replaced."""

    drain: NonNegativeInt = 10
    """Seconds that a pod goes on serving after it was told to leave, until all the cluster sends
    its requests elsewhere."""

    history: NonNegativeInt = 3
    """Old ReplicaSets that are kept."""


class K8s(Published):
    """Settings of the role ``k8s``."""

    flavour: Literal["kubernetes", "t9k"] = "kubernetes"
    """``kubernetes``: a Deployment with all that belongs to it. ``t9k``: MLServiceRuntime and
    MLService of TensorStack."""

    name: str = "llm"
    """The name of the service and of its objects."""

    image: str = ""
    """The image that serves: ``./inv image --build --push REGISTRY/NAME`` makes and names it."""

    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When it is pulled."""

    image_pull_secrets: tuple[str, ...] = ()
    """Secrets of the namespace that it is pulled with."""

    registry: Registry = Registry()
    """Credentials to pull it with, of which a Secret is made."""

    replicas: NonNegativeInt = 1
    """How many pods serve."""

    gpu: Gpu = Gpu()
    """The GPUs of a pod."""

    resources: Resources = Resources()
    """CPU and memory of a pod."""

    openai: OpenAi = OpenAi()
    """The container that speaks OpenAI's API."""

    shm: bool = True
    """Mount a /dev/shm in memory. Triton's python backend has a region in it for each model
    instance, NCCL one for each GPU, and a pod's own has 64 MB."""

    shm_size: Quantity = ""
    """Its size, which counts as memory of the pod. Empty: runtime.shm_size."""

    scheduling: Scheduling = Scheduling()
    """Where pods run."""

    service_account: str = ""
    """The ServiceAccount. Empty: one of its own, without rights and without a token."""

    volume: Volume = Volume()
    """The volume that holds model, engine and model repository."""

    prepare: Prepare = Prepare()
    """How it is filled."""

    service: Exposure = Exposure()
    """The Service."""

    ingress: Ingress = Ingress()
    """The Ingress, if any."""

    gateway: Gateway = Gateway()
    """The route from a Gateway, if any."""

    autoscale: Autoscale = Autoscale()
    """Scaling by Triton's queue."""

    pdb: bool = True
    """Make a PodDisruptionBudget where there are two pods or more: one at a time may be evicted."""

    service_monitor: ServiceMonitor = ServiceMonitor()
    """Metrics for the Prometheus operator."""

    network_policy: NetworkPolicy = NetworkPolicy()
    """Who may speak with the pods."""

    probes: Probes = Probes()
    """Startup, readiness and liveness."""

    security: Security = Security()
    """What pods may do."""

    rolling: Rolling = Rolling()
    """How a change replaces pods."""

    env: dict[str, str] = Field(default_factory=dict)
    """Further variables of all containers, such as HTTPS_PROXY. No secrets: a plan shows them."""

    labels: Labels = Field(default_factory=dict)
    """Further labels of every object and pod."""

    annotations: Annotations = Field(default_factory=dict)
    """Further annotations of every object and pod."""

    t9k: T9k = T9k()
    """The settings of flavour ``t9k`` alone."""

    @property
    def serves_nothing(self) -> bool:
        """Whether no pod is wanted. On T9k a request brings one up."""
        return self.flavour == "kubernetes" and not (self.replicas or self.autoscale.enabled)

    @field_validator("name")
    @classmethod
    def _name_leaves_room(cls, value: str) -> str:
        # A Job's name goes into a label of its pods: 63 characters, of which we add up to 19.
        if not re.fullmatch(LABEL, value) or len(value) > 40 or value[0].isdigit():
            raise ValueError(
                f"{value!r} is no name: up to 40 lower-case letters, digits and hyphens are "
                "needed, the first a letter and the last no hyphen"
            )
        return value

    @field_validator("image")
    @classmethod
    def _image_is_a_reference(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z0-9][\w.:/@-]*", value):
            raise ValueError(f"{value!r} is no name of a container image")
        return value

    @field_validator("env")
    @classmethod
    def _env_has_names(cls, value: dict[str, str]) -> dict[str, str]:
        return named_variables(value)

    @model_validator(mode="after")
    def _who_is_invited_gets_in(self) -> K8s:
        policy = self.network_policy
        if self.flavour != "kubernetes" or not policy.enabled or policy.namespaces or policy.cidrs:
            return self
        way = (
            "ingress"
            if self.ingress.host
            else "gateway"
            if self.gateway.name
            else f"service of type {self.service.type}"
            if self.service.type != "ClusterIP"
            else ""
        )
        if way:
            raise ValueError(
                f"the {way} would reach no pod: the network policy lets in this namespace alone. "
                "Name where requests come from in network_policy.namespaces or "
                "network_policy.cidrs, or set network_policy.enabled to false"
            )
        return self

    @model_validator(mode="after")
    def _t9k_fits(self) -> K8s:
        if self.flavour != "t9k":
            return self
        service, most = f"{self.name}-predict-{self.t9k.release}", self.t9k.max_replicas
        if len(service) > 63:
            raise ValueError(
                f"the platform names the release {service}, which is {len(service)} characters "
                "long, and 63 may be: shorten name or t9k.release"
            )
        if most and most < self.replicas:
            raise ValueError(f"t9k.max_replicas ({most}) is below replicas ({self.replicas})")
        return self

    @model_validator(mode="after")
    def _one_pod_volume_has_one_pod(self) -> K8s:
        most = self.autoscale.max if self.autoscale.enabled else self.replicas
        if "ReadWriteOncePod" in self.volume.access_modes and most > 1:
            raise ValueError(
                f"up to {most} pods cannot share a volume of access mode ReadWriteOncePod; "
                "ReadWriteMany is for several nodes, ReadWriteOnce for one"
            )
        if "ReadWriteOncePod" in self.volume.access_modes and self.prepare.by == "job":
            raise ValueError(
                "the Job would wait for ever for a volume of access mode ReadWriteOncePod that a "
                "pod serves from; set prepare.by to none, or another access mode"
            )
        if "ReadWriteOncePod" in self.volume.access_modes and self.rolling.surge == "always":
            raise ValueError(
                "rolling.surge always starts a second pod beside the first, and a volume of "
                "access mode ReadWriteOncePod takes one"
            )
        return self
