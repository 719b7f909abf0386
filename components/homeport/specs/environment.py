"""What a platform engineer writes: what an environment offers to models, and the limits that it sets."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
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

from homeport.catalogue import kubernetes
from homeport.catalogue.clouds import CLOUDS, IDENTITIES
from homeport.catalogue.credentials import credential, promises_credential
from homeport.catalogue.identities import IdentityKind
from homeport.catalogue.namespaces import EXTERNAL_SECRETS, KEDA, KUBERNETES
from homeport.specs.documents import Document
from homeport.specs.fields import (
    ACCOUNT,
    BASE_IMAGE,
    CONFIG_KEY,
    DNS_LABEL,
    HOST_NAME,
    NAMES,
    REGISTRY,
    Cidr,
    Cpu,
    DebianPackage,
    Demand,
    Destination,
    DnsLabel,
    KubernetesVersion,
    LabelValue,
    Memory,
    Spec,
    Version,
)
from homeport.specs.overrides import overridden
from homeport.specs.problems import Location, dotted

_CREDENTIALS = re.compile("password|secret|token|api_?key|access_?key", re.IGNORECASE)

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
        description="Context in the kubeconfig. Default: the current context. HOMEPORT_CONTEXT overrides both this and "
        "`identifier`, and `version` is then unknown.",
    )
    identifier: str = Field(
        min_length=1,
        description="Name of the cluster for Pulumi. Only a change of this name makes Pulumi replace what is deployed.",
    )
    version: KubernetesVersion | None = Field(
        default=None,
        description='Kubernetes version of the cluster, such as "1.36"; 1.31 is the oldest that works. From 1.36 on, pods '
        "have their own user namespace. Default: unknown.",
    )

    @field_validator("version")
    @classmethod
    def _not_too_old(cls, found: str | None) -> str | None:
        if found and kubernetes.version(found) < kubernetes.OLDEST:
            raise ValueError(f"{kubernetes.text(kubernetes.OLDEST)} or newer")
        return found

    def has(self, since: kubernetes.Version) -> bool | None:
        """Whether the cluster has what exists since a version of Kubernetes; None if its version is unknown."""
        return None if self.version is None else kubernetes.version(self.version) >= since


class AllowedNamespace(Spec):
    """A namespace whose pods may reach every model."""

    namespace: DnsLabel = Field(description="Name of the namespace.")


class Gateway(AllowedNamespace):
    """Where requests from outside come from. With a `name`, it also decides which requests go to which version."""

    name: DnsLabel | None = Field(
        default=None,
        description="Name of the Gateway (Gateway API v1) that routes requests to models. Default: homeport creates no "
        "routes, and no model can have a canary.",
    )
    host: str | None = Field(
        default=None,
        description="Host name of a model behind the Gateway, such as {model}.models.example.com, where `{model}` is the "
        "model's name. Required with `name`.",
    )
    scheme: Literal["https", "http"] = Field(
        default="https", description="Scheme of the Gateway's listener, https or http. Default https."
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
    """A taint that a model tolerates."""

    key: str = Field(min_length=1, description="Key of the taint.")
    value: str | None = Field(default=None, description="Value of the taint. Default: any.")
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"] = Field(
        default="NoSchedule", description="Effect of the taint. Default NoSchedule."
    )


class Accelerator(Spec):
    """How nodes with one kind of GPU are found."""

    labels: dict[str, list[str]] = Field(
        min_length=1,
        description="Node labels, each with its accepted values, such as {gpu: [l4]}; a node must match all of them.",
    )
    tolerations: list[Toleration] = Field(default=[], description="Taints of these nodes. Default: none.")
    resource: str = Field(
        default="nvidia.com/gpu", description="Extended resource that a pod requests. Default nvidia.com/gpu."
    )


class GpuNodes(Spec):
    """How the platform set up its GPU nodes, if the cloud leaves that open."""

    discovery: bool = Field(
        default=False,
        description="NVIDIA nodes have the labels of GPU Feature Discovery, which identify the kind of GPU instead of the "
        "cloud's labels; always true on nvidia. Default false.",
    )
    mig_strategy: Literal["single", "mixed"] = Field(
        default="single",
        description="Strategy of NVIDIA's device plugin for MIG slices; with `mixed`, each profile has its own resource. "
        "Default single.",
    )
    rename_shared: bool = Field(
        default=False,
        description="NVIDIA's device plugin offers time-sliced GPUs as nvidia.com/gpu.shared (renameByDefault). "
        "Default false.",
    )
    tolerations: list[Toleration] = Field(
        default=[], description="Taints of GPU nodes in addition to those that the cloud sets. Default: none."
    )
    user_namespaces: bool = Field(
        default=False,
        description="Pods with GPUs have their own user namespace too, because the device plugin of these nodes works with "
        "it. Default false.",
    )


class OneIdentity(Spec):
    """A model's identity in the environment's cloud: exactly one of the fields, of that cloud."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._stated) != 1:
            raise ValueError(f"exactly one of {', '.join(IDENTITIES)}")
        return self

    @property
    def kind(self) -> IdentityKind:
        """The cloud's row for this kind of identity."""
        return next(IDENTITIES[field] for field in self._stated)

    @property
    def value(self) -> str:
        """Name of the identity in the cloud."""
        return next(str(value) for value in self._stated.values())

    @property
    def _stated(self) -> dict[str, Any]:
        return {field: value for field, value in self if value is not None}


def _identity_field(kind: IdentityKind) -> tuple[Any, Any]:
    """Type and default of the field for this kind of identity."""
    type_ = Annotated[str, Field(pattern=kind.pattern)] if kind.pattern else Literal[True]
    clouds = ", ".join(name for name, cloud in CLOUDS.items() if kind in cloud.identities)
    return type_ | None, Field(default=None, description=f"On {clouds}: {kind.description}")


if TYPE_CHECKING:
    Identity = OneIdentity
else:  # a field for each kind of identity in the rows of the clouds
    fields = {field: _identity_field(kind) for field, kind in IDENTITIES.items()}
    Identity = create_model("Identity", __base__=OneIdentity, __doc__=OneIdentity.__doc__, **fields)


class Trigger(Spec):
    """A KEDA trigger of any type, which counts one kind of demand."""

    type: str = Field(min_length=1, description="KEDA's name of the trigger type, such as prometheus or aws-sqs-queue.")
    metadata: dict[str, str] = Field(
        description="KEDA's settings of the trigger, never secrets. `{target}` is replaced by the number that the model "
        "states, `{model}` by its name, `{namespace}` by its namespace, `{instance}` by the name of one version's "
        "Deployment and Service."
    )
    authentication: DnsLabel | None = Field(
        default=None, description="Name of a ClusterTriggerAuthentication that holds the credentials. Default: none."
    )
    from_zero: bool = Field(
        default=False,
        description="The trigger also counts while no replica runs: a queue or a gateway does, a model's own metrics do "
        "not. If true, models may state `scale.min: 0`. Default false.",
    )

    @field_validator("metadata")
    @classmethod
    def _number_and_model_and_no_secret(cls, found: dict[str, str]) -> dict[str, str]:
        for name, value in found.items():
            if _CREDENTIALS.search(name) or promises_credential(name) or credential(value):
                raise ValueError(f"no credentials (found in {name}): put them into a ClusterTriggerAuthentication")
        values = list(found.values())
        if values.count("{target}") != 1:
            raise ValueError("one setting that is exactly {target}, such as threshold: '{target}'")
        if not any(name in value for name in ("{model}", "{namespace}", "{instance}") for value in values):
            raise ValueError("{model}, {namespace} or {instance} in a setting, so that each model has its own number")
        return found


class Keda(Spec):
    """KEDA, which scales models by demand. It must be able to read ScaledObjects in every namespace."""

    triggers: dict[Demand, Trigger] = Field(
        min_length=1,
        description="The trigger for each kind of demand that models may state as a target: `concurrency`, "
        "`requests_per_second`, `queue_length`.",
    )


class TotalLimits(Spec):
    """Limits for all models of an environment together. Each model and its canary count at their maximum replicas."""

    cpu: Cpu | None = Field(default=None, description="Maximum cores of all models. Default: not limited.")
    memory: Memory | None = Field(default=None, description="Maximum memory of all models. Default: not limited.")
    gpus: int | None = Field(
        default=None, ge=0, strict=True, description="Maximum GPUs of all models. Default: not limited."
    )


class Limits(Spec):
    """Limits for each version of a model, counted at its maximum replicas. What is left out is not limited."""

    cpu: Cpu | None = Field(default=None, description="Maximum cores of a model.")
    memory: Memory | None = Field(default=None, description="Maximum memory of a model.")
    gpus: int | None = Field(default=None, ge=0, strict=True, description="Maximum GPUs of a model.")
    replicas: int | None = Field(default=None, ge=1, strict=True, description="Maximum replicas of a model.")
    gpu_kinds: list[DnsLabel] | None = Field(default=None, description="Kinds of GPU that models may use.")
    registries: list[str] | None = Field(
        default=None,
        description="Registries, or folders in them, that images may come from, such as registry.example.com/team.",
    )
    tmp: Memory | None = Field(default=None, description="Maximum size of /tmp in each replica.")
    startup_seconds: int | None = Field(
        default=None, ge=1, strict=True, description="Maximum `startup_seconds` of a model."
    )
    drain_seconds: int | None = Field(
        default=None, ge=1, strict=True, description="Maximum `drain_seconds` of a model."
    )
    egress: list[Destination] | None = Field(
        default=None,
        description="Destination outside the cluster that models may state in `egress`: "
        "networks such as 10.0.8.0/24, and hosts such as features.example.com or *.example.com. A host must be named, "
        "because its owner decides where it leads.",
    )
    dockerfile: bool = Field(
        default=True,
        description="Models may have a Dockerfile of their own, for which `images.bases` and `images.packages` do not hold. "
        "Default true.",
    )
    reserved: list[Annotated[str, Field(pattern=NAMES)]] = Field(
        default=[],
        description="Names that are never a model's or its namespace's, `*` for any characters, such as [istio-*, "
        "*-system]. Always reserved: Kubernetes' own namespaces and those that this file names.",
    )
    total: TotalLimits = Field(default=TotalLimits(), description="Limits for all models together.")


class Require(Spec):
    """What every model in this environment must have."""

    digest: bool = Field(
        default=False, description="Every image must have a digest, so that it cannot change. Default false."
    )
    min_replicas: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="Minimum replicas of a model. Default 0: KEDA may scale to zero.",
    )


class Defaults(Spec):
    """Values for what a model does not state."""

    cpu: Cpu = Field(default="500m", description="Cores per replica. Default 500m.")
    memory: Memory = Field(default="512Mi", description="Memory per replica. Default 512Mi.")
    min_replicas: int = Field(
        default=1, ge=1, le=1000, strict=True, description="Minimum number of replicas. Default 1."
    )
    max_replicas: int = Field(
        default=3, ge=1, le=1000, strict=True, description="Maximum number of replicas. Default 3."
    )


class Network(Spec):
    """What enforces the isolation of models."""

    plugin: Literal["cilium"] | None = Field(
        default=None,
        description="Network plugin that supports more than NetworkPolicy; with `cilium`, models can reach hosts by name. "
        "Default: only NetworkPolicy.",
    )


class Images(Spec):
    """How images are built from models' folders, and where they are kept."""

    registry: str = Field(
        pattern=REGISTRY,
        description="Registry, or a folder in it, for built images; each has the name of its model. HOMEPORT_REGISTRY "
        "overrides it.",
    )
    bases: dict[LabelValue, Annotated[str, Field(pattern=BASE_IMAGE)]] = Field(
        default={},
        description="Approved base images by the name that models state, such as python-3.11. Each is a Debian with "
        "Python; `{registry}` is replaced by `registry`. Default: none, so every version without its own Dockerfile needs a "
        "digest.",
    )
    packages: list[DebianPackage] = Field(
        default=[], description="Debian packages that models may add to a base image. Default: none."
    )
    pip: list[PipVariable] = Field(
        default=[],
        description="Variables of the machine that runs Pulumi. In a build, pip gets them as a configuration file that is a "
        "build secret: index URLs with credentials, and the files that PIP_CERT and PIP_CONFIG_FILE name. A model's own "
        "Dockerfile does not get them. Default: none.",
    )
    builder: str | None = Field(
        default=None, min_length=1, description="Name of the buildx builder. Default: the current builder."
    )
    platforms: list[Literal["linux/amd64", "linux/arm64"]] = Field(
        default=[], description="Platforms that images are built for. Default: the builder's platform."
    )
    cache: bool = Field(
        default=False,
        description="Keep layers in the registry too, under the tag `cache`, for builders that do not have them. "
        "Default false.",
    )
    server: Version | None = Field(
        default=None, description="Version of homeport-server in built images. Default: the version of homeport."
    )

    @property
    def base_repositories(self) -> list[str]:
        """Repositories of the base images, each once, without tag or digest."""
        stated = (base.replace("{registry}", self.registry) for base in self.bases.values())
        return list(dict.fromkeys(re.sub(r"(:[^:/]*)?(@.*)?$", "", base) for base in stated))

    def base(self, name: str | None) -> str | None:
        """Reference of the base image with this name, or of the only one; None if there is no such image."""
        found = self.bases.get(name) if name else next(iter(self.bases.values())) if len(self.bases) == 1 else None
        return found and found.replace("{registry}", self.registry)


Reason = Annotated[str, Field(min_length=1)]


class Relax(Spec):
    """Controls that are relaxed here, each with the reason. All pods still meet Pod Security `restricted`."""

    apparmor: Reason | None = Field(
        default=None,
        description="Pods request no AppArmor profile, because nodes without AppArmor (those with SELinux) refuse it.",
    )
    cpu_limits: Reason | None = Field(
        default=None, description="Pods may use more cpu than they request while the node has spare cpu."
    )
    gpu_downtime: Reason | None = Field(
        default=None,
        description="No GPU is spare, so an update of a model with GPUs stops a replica before it starts a new one. A "
        "model with one replica is down until the new one is ready; any other serves with one replica fewer.",
    )
    image_pull: Reason | None = Field(
        default=None,
        description="A node uses an image that it already has without asking the registry, even if the registry has "
        "another image by now or would refuse it.",
    )
    user_namespaces: Reason | None = Field(
        default=None,
        description="Pods share the users of their node, because its kernel or runtime cannot map them.",
    )
    writable_root: Reason | None = Field(
        default=None, description="Containers may write to their root file system, up to their ephemeral storage."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _with_a_reason(cls, found: str | None) -> str:
        if found is None:
            raise ValueError("the reason")
        return found

    @property
    def reasons(self) -> dict[str, str]:
        """The relaxed controls by name, each with its reason."""
        return {name: reason for name, reason in self if reason is not None}

    @property
    def without_gpus(self) -> Self:
        """The part that applies to models without GPUs."""
        return self.model_copy(update={"gpu_downtime": None})


class Claim(Spec):
    """The volume for a claim of a model."""

    volume: DnsLabel = Field(
        description="Name of an existing PersistentVolume without a storage class and with the access mode ReadOnlyMany."
    )


class ExternalSecret(Spec):
    """A secret in a store that the External Secrets Operator reads."""

    store: DnsLabel = Field(description="Name of the store.")
    kind: Literal["ClusterSecretStore", "SecretStore"] = Field(
        default="ClusterSecretStore", description="Kind of the store. Default ClusterSecretStore."
    )
    key: str = Field(min_length=1, description="Name or path of the secret in the store.")
    property: str | None = Field(
        default=None, min_length=1, description="Property of a secret that has several. Default: the whole secret."
    )


class SecretSource(Spec):
    """Where the value of a secret comes from: exactly one of `config` and `external`."""

    config: Annotated[str, Field(pattern=CONFIG_KEY)] | None = Field(
        default=None,
        description="Key in the configuration of the Pulumi stack; `pulumi config set --secret KEY` sets its value and "
        "keeps it encrypted.",
    )
    external: ExternalSecret | None = Field(
        default=None, description="A secret in a store that the External Secrets Operator reads, as an ExternalSecret."
    )
    version: Version | None = Field(
        default=None,
        description="A change of this version replaces the pods, for servers that read the file only at start. Default: "
        "a new value only changes the file.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.config is None) == (self.external is None):
            raise ValueError("exactly one of `config` and `external`")
        return self


class Team(Spec):
    """A team that owns models."""

    group: str = Field(min_length=1, description="Group of cluster users who may read the team's pods and logs.")
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the team's models, relative to this file: only a model.yaml in it may state the team as its "
        "owner, and no other owner. Default: a model.yaml anywhere else may.",
    )
    models: list[DnsLabel] = Field(
        default=[],
        description="Names that only the team's models may have. They include every name to which `identities`, `claims` "
        "or `secrets` give something. Default: none.",
    )
    registries: list[str] | None = Field(
        default=None,
        description="Registries, or folders in them, that images and weights of the team's models may come from, besides "
        "what is built here. Default: all that `limits.registries` allows.",
    )


class Deployer(Spec):
    """The role that runs `pulumi up`, as the API server knows it: one of `user`, `group` and `service_account`."""

    user: str | None = Field(default=None, min_length=1, description="Name of a user, such as oidc:ci-prod.")
    group: str | None = Field(default=None, min_length=1, description="Name of a group, such as oidc:deployers.")
    service_account: Annotated[str, Field(pattern=ACCOUNT)] | None = Field(
        default=None, description="NAMESPACE/NAME of a ServiceAccount, such as ci/deployer."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(found is not None for found in (self.user, self.group, self.service_account)) != 1:
            raise ValueError("exactly one of `user`, `group` and `service_account`")
        return self


Mode = Literal["Deny", "Warn", "Audit"]
"""What the API server does with a request that a rule of the guard refuses."""


class GuardRules(Spec):
    """What the API server does with what each rule of the guard refuses: Deny, Warn or Audit."""

    writers: Mode = Field(
        default="Deny",
        description="Objects of models are written only by the deployer and by the cluster's controllers. Default Deny.",
    )
    pods: Mode = Field(
        default="Deny",
        description="Pods of models have the model's labels, the security settings that homeport states, and images that "
        "`limits.registries`, `teams.<name>.registries` and `require.digest` allow. Default Deny.",
    )
    policies: Mode = Field(
        default="Deny", description="There are no network policies but those that homeport makes. Default Deny."
    )
    namespaces: Mode = Field(
        default="Deny", description="Namespaces of models keep their name, owner and Pod Security labels. Default Deny."
    )
    deployer: Mode = Field(
        default="Deny",
        description="The deployer writes and deletes nothing outside the namespaces of this stack. With another value than "
        "Deny it can give itself the permissions that it has there in every namespace. Default Deny.",
    )


class Guard(Spec):
    """The guard: what the API server refuses, no matter who asks."""

    controllers: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description="Users and groups that may write objects of models, as the API server names them, such as "
        "system:serviceaccounts:kyverno; in addition to the deployer, Kubernetes itself and, where the environment has "
        "them, KEDA and the External Secrets Operator in the namespaces of their charts. Default: none.",
    )
    rules: GuardRules = Field(default=GuardRules(), description="The mode of each rule.")


class Environment(Spec):
    """A place where models run (`environment.yaml`)."""

    cloud: CloudName = Field(
        default="generic",
        description="Kind of cluster. It decides how GPU and spot nodes are found and which identities models can have. "
        "Default generic.",
    )
    cluster: Cluster = Field(description="The cluster.")
    namespace: str = Field(
        default="{model}",
        description="Name of a model's namespace; `{model}` is replaced by the model's name. Default {model}.",
    )
    protect: bool = Field(
        default=False,
        description="Pulumi refuses to delete or replace namespaces while this is true. Default false.",
    )
    gateway: Gateway | None = Field(
        default=None, description="Where requests from outside come from. Default: no such requests."
    )
    monitoring: AllowedNamespace | None = Field(
        default=None, description="Where metrics are collected from. Default: no metrics are collected."
    )
    keda: Keda | None = Field(
        default=None,
        description="KEDA, if the cluster has it, and what it counts. Default: models scale by cpu and memory only.",
    )
    limits: Limits = Field(default=Limits(), description="Limits for each model.")
    require: Require = Field(default=Require(), description="What every model in this environment must have.")
    defaults: Defaults = Field(default=Defaults(), description="Values for what a model does not state.")
    images: Images | None = Field(
        default=None, description="How images are built from models' folders. Default: no images are built."
    )
    network: Network = Field(default=Network(), description="What enforces the isolation of models.")
    relax: Relax = Field(
        default=Relax(), description="Controls that are relaxed here, each with the reason. Default: none."
    )
    teams: dict[LabelValue, Team] = Field(default={}, description="Teams by the name that models state as their owner.")
    deployer: Deployer | None = Field(
        default=None,
        description="The user, group or ServiceAccount that runs `pulumi up`, if it is not an administrator of the "
        "cluster. `homeport guard` prints its permissions. Default: homeport gives no one permissions to deploy.",
    )
    guard: Guard = Field(default=Guard(), description="What `homeport guard` lets the API server refuse.")
    accelerators: dict[DnsLabel, Accelerator] = Field(
        default={},
        description="Kinds of GPU by the name that models state, in addition to the cloud's known kinds, or replacing "
        "them. Default: none.",
    )
    gpu: GpuNodes = Field(default=GpuNodes(), description="How GPU nodes are set up, if the cloud leaves that open.")
    spot: bool = Field(
        default=False,
        description="Models run only on spot capacity, which the cloud may take back at any time; if false, never on it. "
        "Default false.",
    )
    priority_class: DnsLabel | None = Field(
        default=None, description="PriorityClass of every model's pods. Default: the cluster's."
    )
    identities: dict[DnsLabel, Identity] = Field(
        default={}, description="Cloud identities by name of the model. Default: none."
    )
    token_endpoint: Cidr | None = Field(
        default=None,
        description="Network of the service that issues tokens for identities (AWS STS, Microsoft Entra ID) on port 443, "
        "such as 10.0.8.0/24 for a private endpoint. Default: every public address.",
    )
    claims: dict[DnsLabel, dict[DnsLabel, Claim]] = Field(
        default={},
        description="Volumes with weights, by name of the model that may read them, then by name of its claim. "
        "Default: none.",
    )
    secrets: dict[DnsLabel, dict[DnsLabel, SecretSource]] = Field(
        default={},
        description="Where secrets come from, by name of the model that may read them, then by name of the secret. "
        "Default: none.",
    )
    provision_seconds: int = Field(
        default=180,
        ge=1,
        le=3600,
        strict=True,
        description="Maximum seconds to get a node and pull images, before the model starts. Default 180.",
    )
    max_surge: int = Field(
        default=1,
        ge=1,
        le=1000,
        strict=True,
        description="Replicas of a new version that an update starts at once, as Kubernetes' maxSurge; an old one stops only "
        "after a new one serves. More is faster, and needs room on the nodes for as many. Default 1.",
    )
    endpoint_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        strict=True,
        description="Seconds that a replica keeps serving after its endpoint is removed, until all proxies know of the "
        "removal. Default 10.",
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
        if name and CLOUDS[name].own_labels and found.model_fields_set - {"tolerations", "user_namespaces"}:
            raise ValueError(f"only `tolerations` and `user_namespaces` on {name}, whose own labels identify its GPUs")
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

    @field_validator("teams")
    @classmethod
    def _names_of_one_team(cls, found: dict[str, Team]) -> dict[str, Team]:
        if twice := _twice(name for team in found.values() for name in team.models):
            raise ValueError(f"each name in the `models` of one team, once (found {twice} twice)")
        return found

    @field_validator("identities", "claims", "secrets")
    @classmethod
    def _given_to_a_team(cls, found: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        teams: dict[str, Team] = info.data.get("teams", {})
        held = {name for team in teams.values() for name in team.models}
        if teams and (free := next((name for name in found if name not in held), None)):
            raise ValueError(
                f"names in the `models` of a team, so that no other team's model can take what they get (found {free})"
            )
        return found

    @field_validator("claims")
    @classmethod
    def _volumes_once(cls, found: dict[str, dict[str, Claim]]) -> dict[str, dict[str, Claim]]:
        if twice := _twice(claim.volume for claims in found.values() for claim in claims.values()):
            raise ValueError(
                f"each volume once, because a PersistentVolume is bound to one claim (found {twice} twice)"
            )
        return found

    def namespace_of(self, model: str) -> str:
        """Name of a model's namespace."""
        return self.namespace.replace("{model}", model)

    def host_of(self, model: str) -> str | None:
        """Host name under which the Gateway serves a model, or None if there is no Gateway."""
        return self.gateway.host.replace("{model}", model) if self.gateway and self.gateway.host else None

    @cached_property
    def holders(self) -> dict[str, str]:
        """The team that alone may use a name, by the name."""
        return {name: team for team, each in self.teams.items() for name in each.models}

    @cached_property
    def granted(self) -> dict[str, list[str]]:
        """Names of models that get something here, each with the fields that give it."""
        given: dict[str, Mapping[str, object]] = {
            "identities": self.identities,
            "claims": self.claims,
            "secrets": self.secrets,
        }
        names = dict.fromkeys(name for grants in given.values() for name in grants)
        return {name: [field for field, grants in given.items() if name in grants] for name in names}

    @cached_property
    def named_namespaces(self) -> dict[str, str]:
        """Namespaces that this environment names, each with the field that does."""
        return dict(_named_namespaces(self))

    @cached_property
    def reserved_namespaces(self) -> dict[str, str]:
        """Namespaces that are never a model's, `*` for any characters, each with who has it: a field, or a program."""
        secrets = (source for sources in self.secrets.values() for source in sources.values())
        return {
            **dict.fromkeys(KUBERNETES, "Kubernetes"),
            **({KEDA: "keda"} if self.keda else {}),
            **({EXTERNAL_SECRETS: "secrets"} if any(source.external for source in secrets) else {}),
            **self.named_namespaces,
            **dict.fromkeys(self.limits.reserved, "limits.reserved"),
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an `environment.yaml` and apply the overrides of HOMEPORT_CONTEXT and HOMEPORT_REGISTRY.

        Raises:
            SpecError: The file is missing, is not YAML or is not a valid environment, or a variable has a value that its
                field does not accept. The error names each problem's line and field, or the variable.
        """
        environment, _ = overridden(Document.read(Path(path)).validate(cls), os.environ)
        return environment


def _twice(names: Iterable[str]) -> str | None:
    """The first of the names that is there more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _named_namespaces(part: object, place: Location = ()) -> Iterator[tuple[str, str]]:
    """The namespaces that parts of an environment name, each with its field."""
    inner = dict(part) if isinstance(part, Spec | Mapping) else dict(enumerate(part)) if isinstance(part, list) else {}
    for name, value in inner.items():
        here = (*place, name)
        if place and isinstance(value, str) and (namespace := _named(name, value)):  # not the template for models
            yield namespace, dotted(here)
        yield from _named_namespaces(value, here)


def _named(field: str | int, value: str) -> str | None:
    """The namespace that a text names: as `namespace`, as NAMESPACE/NAME, or as the API server names ServiceAccounts."""
    if field == "namespace":
        return value
    if field == "service_account" and "/" in value:
        return value.partition("/")[0]
    accounts = re.fullmatch("system:serviceaccounts?:([^:]+)(:.*)?", value)
    return accounts and accounts[1]
