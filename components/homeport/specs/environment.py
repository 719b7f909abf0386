"""What a platform engineer writes: what a place offers to models, and the bounds it sets them."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from homeport.catalogue.clouds import CLOUDS, IDENTITIES
from homeport.catalogue.identities import IdentityKind
from homeport.specs.documents import Document
from homeport.specs.fields import (
    BASE_IMAGE,
    CONFIG_KEY,
    DNS_LABEL,
    HOST_NAME,
    REGISTRY,
    Cidr,
    Cpu,
    DebianPackage,
    Demand,
    DnsLabel,
    LabelValue,
    Memory,
    Spec,
    Version,
)
from homeport.specs.overrides import overridden

_CREDENTIALS = re.compile("password|secret|token|api_?key|access_?key", re.IGNORECASE)
_CREDENTIALS_IN_URL = re.compile("://[^/@]*:[^/@]*@")

PipVariable = Literal["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_CONFIG_FILE"]


def _cloud(found: str) -> str:
    if found not in CLOUDS:
        raise ValueError(", ".join(CLOUDS))
    return found


CloudName = Annotated[str, AfterValidator(_cloud), WithJsonSchema({"type": "string", "enum": list(CLOUDS)})]
"""One of the catalogue's clouds."""


class Cluster(Spec):
    """The cluster of an environment."""

    context: str | None = Field(
        default=None,
        description="Context in the kubeconfig. Default: its current one. HOMEPORT_CONTEXT overrides it, and the "
        "`identifier` too.",
    )
    identifier: str = Field(
        min_length=1,
        description="Name of the cluster for Pulumi: only a change of it replaces what is deployed.",
    )


class AllowedNamespace(Spec):
    """A namespace from which every model may be reached."""

    namespace: DnsLabel = Field(description="Name of the namespace.")


class Gateway(AllowedNamespace):
    """Where requests from outside come from; with a `name`, which of them go to which version of a model."""

    name: DnsLabel | None = Field(
        default=None,
        description="Name of the Gateway (Gateway API v1) that routes requests to models. Default: routing is left to "
        "others, and no model can have a canary.",
    )
    host: str | None = Field(
        default=None,
        description="Host name of a model behind the Gateway, `{model}` standing for the model's name, such as "
        "{model}.models.example.com. Needed with `name`.",
    )
    scheme: Literal["https", "http"] = Field(
        default="https", description="How the Gateway's listener is spoken to, https or http. Default https."
    )

    @field_validator("host")
    @classmethod
    def _one_host_a_model(cls, found: str | None) -> str | None:
        if found is not None and ("{model}" not in found or not re.fullmatch(HOST_NAME, found.replace("{model}", "m"))):
            raise ValueError("the full name of a host with {model} in it, such as {model}.models.example.com")
        return found

    @model_validator(mode="after")
    def _name_with_host(self) -> Self:
        if (self.name is None) != (self.host is None):
            raise ValueError("`name` and `host` together, because a Gateway tells its routes apart by host name")
        return self


class Toleration(Spec):
    """A taint that a model may stand on."""

    key: str = Field(min_length=1, description="Key of the taint.")
    value: str | None = Field(default=None, description="Value of the taint. Default: any.")
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"] = Field(
        default="NoSchedule", description="Effect of the taint. Default NoSchedule."
    )


class Accelerator(Spec):
    """How the nodes that carry one kind of GPU are found."""

    labels: dict[str, list[str]] = Field(
        min_length=1,
        description="Node labels, each with its accepted values, such as {gpu: [l4]}; all of them must fit.",
    )
    tolerations: list[Toleration] = Field(default=[], description="Taints of these nodes. Default: none.")
    resource: str = Field(
        default="nvidia.com/gpu", description="Extended resource that a pod requests. Default nvidia.com/gpu."
    )


class GpuNodes(Spec):
    """How the platform set up its GPU nodes, where the cloud leaves that open."""

    discovery: bool = Field(
        default=False,
        description="NVIDIA nodes carry the labels of GPU Feature Discovery, which then tell the kind in place of the "
        "cloud's; always so on nvidia. Default false.",
    )
    mig_strategy: Literal["single", "mixed"] = Field(
        default="single",
        description="Strategy of NVIDIA's device plugin for MIG slices: `mixed` gives each profile a resource of its "
        "own. Default single.",
    )
    rename_shared: bool = Field(
        default=False,
        description="NVIDIA's device plugin offers time-sliced GPUs as nvidia.com/gpu.shared (renameByDefault). "
        "Default false.",
    )
    tolerations: list[Toleration] = Field(
        default=[], description="Taints of GPU nodes besides those that the cloud is known for. Default: none."
    )


class OneIdentity(Spec):
    """Who a model is to the environment's cloud: one of these, of that cloud."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._stated) != 1:
            raise ValueError(f"exactly one of {', '.join(IDENTITIES)}")
        return self

    @property
    def kind(self) -> IdentityKind:
        """What the cloud's row says of such an identity."""
        return next(IDENTITIES[field] for field in self._stated)

    @property
    def value(self) -> str:
        """Its name in the cloud."""
        return next(str(value) for value in self._stated.values())

    @property
    def _stated(self) -> dict[str, Any]:
        return {field: value for field, value in self if value is not None}


def _identity_field(kind: IdentityKind) -> tuple[Any, Any]:
    """Type and default of the field that states such an identity."""
    type_ = Annotated[str, Field(pattern=kind.pattern)] if kind.pattern else Literal[True]
    clouds = ", ".join(name for name, cloud in CLOUDS.items() if kind in cloud.identities)
    return type_ | None, Field(default=None, description=f"On {clouds}: {kind.description}")


if TYPE_CHECKING:
    Identity = OneIdentity
else:  # a field for each kind of identity that a cloud's row states
    fields = {field: _identity_field(kind) for field, kind in IDENTITIES.items()}
    Identity = create_model("Identity", __base__=OneIdentity, __doc__=OneIdentity.__doc__, **fields)


class Trigger(Spec):
    """What counts one kind of demand: a trigger of KEDA, of whatever type."""

    type: str = Field(
        min_length=1, description="Type of the trigger in KEDA's own words, such as prometheus or aws-sqs-queue."
    )
    metadata: dict[str, str] = Field(
        description="Settings of the trigger in KEDA's own words, never secrets. `{target}` stands for the number that "
        "the model states, `{model}` for its name, `{namespace}` for its namespace, `{instance}` for the name of one "
        "version's Deployment and Service."
    )
    authentication: DnsLabel | None = Field(
        default=None, description="Name of a ClusterTriggerAuthentication that holds the credentials. Default: none."
    )
    from_zero: bool = Field(
        default=False,
        description="It counts also while no replica runs, as a queue or a gateway does and a model's own metrics do "
        "not: models may then have `scale.min: 0`. Default false.",
    )

    @field_validator("metadata")
    @classmethod
    def _number_and_model_and_no_secret(cls, found: dict[str, str]) -> dict[str, str]:
        for name, value in found.items():
            if _CREDENTIALS.search(name) or _CREDENTIALS_IN_URL.search(value):
                raise ValueError(f"no credentials (found in {name}): put them into a ClusterTriggerAuthentication")
        values = list(found.values())
        if values.count("{target}") != 1:
            raise ValueError("one setting that is exactly {target}, such as threshold: '{target}'")
        if not any(name in value for name in ("{model}", "{namespace}", "{instance}") for value in values):
            raise ValueError("{model}, {namespace} or {instance} in a setting, so that each model has its own number")
        return found


class Keda(Spec):
    """KEDA, which scales by what is asked of models: a KEDA that can read ScaledObjects in every namespace."""

    triggers: dict[Demand, Trigger] = Field(
        min_length=1,
        description="What counts each kind of demand that models may state as a target: `concurrency`, "
        "`requests_per_second`, `queue_length`.",
    )


class TotalLimits(Spec):
    """Ceilings for all models of an environment together, each (and its canary) counted at its most replicas."""

    cpu: Cpu | None = Field(default=None, description="Most cores of all models. Default: not limited.")
    memory: Memory | None = Field(default=None, description="Most memory of all models. Default: not limited.")
    gpus: int | None = Field(
        default=None, ge=0, strict=True, description="Most GPUs of all models. Default: not limited."
    )


class Limits(Spec):
    """Ceilings for each version of a model, counted at its most replicas. What is left out is not limited."""

    cpu: Cpu | None = Field(default=None, description="Most cores of a model.")
    memory: Memory | None = Field(default=None, description="Most memory of a model.")
    gpus: int | None = Field(default=None, ge=0, strict=True, description="Most GPUs of a model.")
    replicas: int | None = Field(default=None, ge=1, strict=True, description="Most replicas of a model.")
    gpu_kinds: list[DnsLabel] | None = Field(default=None, description="Kinds of GPU that models may ask for.")
    registries: list[str] | None = Field(
        default=None,
        description="Registries, or folders in them, that images may come from: registry.example.com/team.",
    )
    total: TotalLimits = Field(default=TotalLimits(), description="Ceilings for all models together.")


class Require(Spec):
    """What every model must have here."""

    digest: bool = Field(
        default=False, description="Images are named by digest too, so none can change. Default false."
    )
    min_replicas: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="Fewest replicas of a model. Default 0: none is enough where KEDA can.",
    )


class Defaults(Spec):
    """What a model gets that does not say."""

    cpu: Cpu = Field(default="500m", description="Cores per replica. Default 500m.")
    memory: Memory = Field(default="512Mi", description="Memory per replica. Default 512Mi.")
    min_replicas: int = Field(default=1, ge=1, le=1000, strict=True, description="Fewest replicas. Default 1.")
    max_replicas: int = Field(default=3, ge=1, le=1000, strict=True, description="Most replicas. Default 3.")


class Network(Spec):
    """What enforces the isolation of models."""

    plugin: Literal["cilium"] | None = Field(
        default=None,
        description="Network plugin that can do more than NetworkPolicy: `cilium` lets models reach hosts by name. "
        "Default: only what NetworkPolicy can.",
    )


class Images(Spec):
    """How images are built from models' folders, and where they are kept."""

    registry: str = Field(
        pattern=REGISTRY,
        description="Registry, or a folder in it, that built images are pushed to and pulled from, each under the name "
        "of its model. HOMEPORT_REGISTRY overrides it.",
    )
    bases: dict[LabelValue, Annotated[str, Field(pattern=BASE_IMAGE)]] = Field(
        default={},
        description="Approved base images by the name that models ask for, such as python-3.11: a Debian with Python; "
        "`{registry}` stands for `registry`. Default: none, and only versions with a digest run here.",
    )
    packages: list[DebianPackage] = Field(
        default=[], description="Debian packages that models may add to a base image. Default: none."
    )
    pip: list[PipVariable] = Field(
        default=[],
        description="Variables of the machine that runs Pulumi that pip gets in a build, as build secrets, which no "
        "layer keeps: index URLs with credentials, and the files that PIP_CERT and PIP_CONFIG_FILE name. Default: none.",
    )
    builder: str | None = Field(
        default=None, min_length=1, description="Name of the buildx builder. Default: the current one."
    )
    platforms: list[Literal["linux/amd64", "linux/arm64"]] = Field(
        default=[], description="Platforms that images are built for. Default: the builder's own."
    )
    cache: bool = Field(
        default=False,
        description="Layers are also kept in the registry, under the tag `cache`, for builders without them. "
        "Default false.",
    )
    server: Version | None = Field(
        default=None, description="Version of homeport-server in built images. Default: that of homeport."
    )

    def base(self, name: str | None) -> str | None:
        """Reference of the base image that a model asks for, or of the only one; None if that does not tell."""
        found = self.bases.get(name) if name else next(iter(self.bases.values())) if len(self.bases) == 1 else None
        return found and found.replace("{registry}", self.registry)


Reason = Annotated[str, Field(min_length=1)]


class Relax(Spec):
    """Controls that do not hold here, each with the reason why. None of them leaves Pod Security `restricted`."""

    apparmor: Reason | None = Field(
        default=None,
        description="Pods ask for no AppArmor profile: nodes without AppArmor (those with SELinux) refuse pods that do.",
    )
    cpu_limits: Reason | None = Field(
        default=None, description="Pods may use more cpu than they request, when the node has some to spare."
    )
    gpu_downtime: Reason | None = Field(
        default=None,
        description="No GPU is spare, so an update of a model with GPUs stops a replica before it starts a new one: a "
        "model of one replica is down until the new one is ready, any other serves with one fewer.",
    )
    image_pull: Reason | None = Field(
        default=None,
        description="An image that a node has is used without asking its registry, which may have another by now or "
        "refuse it.",
    )
    writable_root: Reason | None = Field(
        default=None, description="Containers may write to their root file system, within their ephemeral storage."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _with_a_reason(cls, found: str | None) -> str:
        if found is None:
            raise ValueError("the reason")
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """The controls that do not hold, by name, and the reason that is given for each."""
        return {name: reason for name, reason in self if reason is not None}

    @property
    def without_gpus(self) -> Self:
        """What of it concerns models that have no GPUs."""
        return self.model_copy(update={"gpu_downtime": None})


class Claim(Spec):
    """What stands behind a claim of a model."""

    volume: DnsLabel = Field(
        description="Name of the PersistentVolume, which the platform has made: without a storage class, and with the "
        "access mode ReadOnlyMany."
    )


class ExternalSecret(Spec):
    """A secret in a store that the External Secrets Operator reads."""

    store: DnsLabel = Field(description="Name of the store.")
    kind: Literal["ClusterSecretStore", "SecretStore"] = Field(
        default="ClusterSecretStore", description="Kind of the store. Default ClusterSecretStore."
    )
    key: str = Field(min_length=1, description="Name or path of the secret in the store.")
    property: str | None = Field(
        default=None, min_length=1, description="Which part of a secret that has several. Default: all of it."
    )


class SecretSource(Spec):
    """Where the value of a secret comes from: one of these."""

    config: Annotated[str, Field(pattern=CONFIG_KEY)] | None = Field(
        default=None,
        description="Key in the configuration of the Pulumi stack, set by `pulumi config set --secret KEY`, which keeps "
        "it encrypted.",
    )
    external: ExternalSecret | None = Field(
        default=None, description="A secret in a store that the External Secrets Operator reads, as an ExternalSecret."
    )
    version: Version | None = Field(
        default=None,
        description="Another one replaces the pods, for servers that read the file only when they start. Default: a new "
        "value only changes the file.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.config is None) == (self.external is None):
            raise ValueError("exactly one of `config` and `external`")
        return self


class Team(Spec):
    """A team that owns models."""

    group: str = Field(min_length=1, description="Group of the cluster's users who may read the team's pods and logs.")


class Environment(Spec):
    """A place where models run (`environment.yaml`)."""

    cloud: CloudName = Field(
        default="generic",
        description="Kind of cluster, which decides how GPU and spot nodes are found, and which identities models can have. "
        "Default generic.",
    )
    cluster: Cluster = Field(description="The cluster.")
    namespace: str = Field(
        default="{model}",
        description="Name of a model's namespace, `{model}` standing for the model's. Default {model}.",
    )
    protect: bool = Field(
        default=False,
        description="Pulumi refuses to delete or replace namespaces while this is true. Default false.",
    )
    gateway: Gateway | None = Field(
        default=None, description="Where requests from outside come from. Default: none do."
    )
    monitoring: AllowedNamespace | None = Field(
        default=None, description="Where metrics are collected from. Default: they are not."
    )
    keda: Keda | None = Field(
        default=None,
        description="KEDA, where the cluster has it, and what it counts. Default: models scale by cpu and memory only.",
    )
    limits: Limits = Field(default=Limits(), description="Ceilings for each model.")
    require: Require = Field(default=Require(), description="What every model must have here.")
    defaults: Defaults = Field(default=Defaults(), description="What a model gets that does not say.")
    images: Images | None = Field(
        default=None, description="How images are built from models' folders. Default: they are not."
    )
    network: Network = Field(default=Network(), description="What enforces the isolation of models.")
    relax: Relax = Field(
        default=Relax(), description="Controls that do not hold here, each with the reason why. Default: none."
    )
    teams: dict[LabelValue, Team] = Field(default={}, description="Teams by the name that models give as their owner.")
    accelerators: dict[DnsLabel, Accelerator] = Field(
        default={},
        description="Kinds of GPU by the name that models ask for, besides those that the cloud is known to have, or "
        "in place of them. Default: none.",
    )
    gpu: GpuNodes = Field(default=GpuNodes(), description="How GPU nodes are set up, where the cloud leaves that open.")
    spot: bool = Field(
        default=False,
        description="Models run on spot capacity, which the cloud may take back at any time, and only there; "
        "otherwise never. Default false.",
    )
    priority_class: DnsLabel | None = Field(
        default=None, description="PriorityClass of every model's pods. Default: the cluster's."
    )
    identities: dict[DnsLabel, Identity] = Field(
        default={}, description="Who models are to the cloud, by name of the model. Default: nobody."
    )
    token_endpoint: Cidr | None = Field(
        default=None,
        description="Network of the service that gives identities their tokens (AWS STS, Microsoft Entra ID), reached "
        "on port 443, such as 10.0.8.0/24 of a private endpoint. Default: every public address.",
    )
    claims: dict[DnsLabel, dict[DnsLabel, Claim]] = Field(
        default={},
        description="Volumes with weights, by name of the model that may read them and of its claim. Default: none.",
    )
    secrets: dict[DnsLabel, dict[DnsLabel, SecretSource]] = Field(
        default={},
        description="Where secrets come from, by name of the model that may have them and of the secret. Default: none.",
    )
    provision_seconds: int = Field(
        default=180,
        ge=1,
        le=3600,
        strict=True,
        description="Most seconds to get a node and pull images, before a model's own start-up. Default 180.",
    )
    endpoint_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        strict=True,
        description="Seconds that a replica serves on after its withdrawal, until all have heard of it. Default 10.",
    )

    @field_validator("namespace")
    @classmethod
    def _one_namespace_a_model(cls, found: str) -> str:
        if "{model}" not in found or not re.fullmatch(DNS_LABEL, found.replace("{model}", "m")):
            raise ValueError("lower-case letters, digits and `-` around {model}, such as ml-{model}")
        return found

    @field_validator("gpu")
    @classmethod
    def _gpu_nodes_of_the_cloud(cls, found: GpuNodes, info: ValidationInfo) -> GpuNodes:
        name = info.data.get("cloud")
        if name and CLOUDS[name].own_labels and found.model_fields_set - {"tolerations"}:
            raise ValueError(f"only `tolerations` on {name}, whose own labels identify its GPUs")
        return found

    @field_validator("spot")
    @classmethod
    def _spot_where_nodes_tell(cls, found: bool, info: ValidationInfo) -> bool:
        name = info.data.get("cloud")
        if name and found and CLOUDS[name].spot is None:
            raise ValueError(f"false on {name}, whose nodes have no label for spot capacity")
        return found

    @field_validator("identities")
    @classmethod
    def _identities_of_the_cloud(cls, found: dict[str, Identity], info: ValidationInfo) -> dict[str, Identity]:
        name = info.data.get("cloud")
        kinds = CLOUDS[name].identities if name else IDENTITIES.values()
        for model, identity in found.items():
            if identity.kind not in kinds:
                accepted = f"only {' or '.join(kind.name for kind in kinds)}" if kinds else "none"
                raise ValueError(f"{accepted} on {name}, not {identity.kind.name} (of {model})")
        return found

    @field_validator("claims")
    @classmethod
    def _volumes_once(cls, found: dict[str, dict[str, Claim]]) -> dict[str, dict[str, Claim]]:
        volumes = [claim.volume for claims in found.values() for claim in claims.values()]
        if twice := next((volume for volume in volumes if volumes.count(volume) > 1), None):
            raise ValueError(
                f"each volume once, because a PersistentVolume is bound to one claim (found {twice} twice)"
            )
        return found

    def namespace_of(self, model: str) -> str:
        """Name of a model's namespace."""
        return self.namespace.replace("{model}", model)

    def host_of(self, model: str) -> str | None:
        """Name of the host under which the Gateway serves a model, or None if no Gateway is named."""
        return self.gateway.host.replace("{model}", model) if self.gateway and self.gateway.host else None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an `environment.yaml`, with what HOMEPORT_CONTEXT and HOMEPORT_REGISTRY override in it.

        Raises:
            SpecError: The file is missing, is not YAML or is not an environment, or a variable has a value that its
                field does not accept; names each problem's line and field, or the variable.
        """
        environment, _ = overridden(Document.read(Path(path)).validate(cls), os.environ)
        return environment
