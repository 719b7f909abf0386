"""What a platform engineer writes: what a place offers to models, and the bounds it sets them."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from homeport.documents import Document
from homeport.fields import DNS_LABEL, Cpu, Digest, DnsLabel, LabelValue, Memory, Spec, Version

Cloud = Literal["generic"]


class Cluster(Spec):
    """The cluster of an environment."""

    context: str | None = Field(
        default=None, description="Context in the kubeconfig. Default: its current one. HOMEPORT_CONTEXT overrides it."
    )
    identifier: str = Field(
        min_length=1,
        description="Name of the cluster for Pulumi: only a change of it replaces what is deployed.",
    )


class Peer(Spec):
    """A namespace from which every model may be reached."""

    namespace: DnsLabel = Field(description="Name of the namespace.")


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


class Limits(Spec):
    """Ceilings for each model, counted at its most replicas. What is left out is not limited."""

    cpu: Cpu | None = Field(default=None, description="Most cores of a model.")
    memory: Memory | None = Field(default=None, description="Most memory of a model.")
    gpus: int | None = Field(default=None, ge=0, strict=True, description="Most GPUs of a model.")
    replicas: int | None = Field(default=None, ge=1, strict=True, description="Most replicas of a model.")
    gpu_kinds: list[DnsLabel] | None = Field(default=None, description="Kinds of GPU that models may ask for.")
    registries: list[str] | None = Field(
        default=None,
        description="Registries, or folders in them, that images may come from: registry.example.com/team.",
    )


class Require(Spec):
    """What every model must have here."""

    digest: bool = Field(
        default=False, description="Images are named by digest too, so none can change. Default false."
    )
    min_replicas: int = Field(default=1, ge=1, strict=True, description="Fewest replicas of a model. Default 1.")


class Defaults(Spec):
    """What a model gets that does not say."""

    cpu: Cpu = Field(default="500m", description="Cores per replica. Default 500m.")
    memory: Memory = Field(default="512Mi", description="Memory per replica. Default 512Mi.")
    min_replicas: int = Field(default=1, ge=1, le=1000, strict=True, description="Fewest replicas. Default 1.")
    max_replicas: int = Field(default=3, ge=1, le=1000, strict=True, description="Most replicas. Default 3.")


class Team(Spec):
    """A team that owns models."""

    group: str = Field(min_length=1, description="Group of the cluster's users who may read the team's pods and logs.")


class Environment(Spec):
    """A place where models run (`environment.yaml`)."""

    cloud: Cloud = Field(default="generic", description="Kind of cluster, which decides how GPU nodes are found.")
    cluster: Cluster = Field(description="The cluster.")
    namespace: str = Field(
        default="{model}",
        description="Name of a model's namespace, `{model}` standing for the model's. Default {model}.",
    )
    protect: bool = Field(
        default=False,
        description="Pulumi refuses to delete or replace namespaces while this is true. Default false.",
    )
    gateway: Peer | None = Field(default=None, description="Where requests from outside come from. Default: none do.")
    monitoring: Peer | None = Field(
        default=None, description="Where metrics are collected from. Default: they are not."
    )
    limits: Limits = Field(default=Limits(), description="Ceilings for each model.")
    require: Require = Field(default=Require(), description="What every model must have here.")
    defaults: Defaults = Field(default=Defaults(), description="What a model gets that does not say.")
    teams: dict[LabelValue, Team] = Field(default={}, description="Teams by the name that models give as their owner.")
    accelerators: dict[DnsLabel, Accelerator] = Field(
        default={}, description="Kinds of GPU by the name that models ask for."
    )
    provision_seconds: int = Field(
        default=180,
        ge=1,
        le=3600,
        strict=True,
        description="Most seconds to get a node and pull an image, before a model's own start-up. Default 180.",
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

    def namespace_of(self, model: str) -> str:
        """Name of a model's namespace."""
        return self.namespace.replace("{model}", model)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an `environment.yaml`.

        Raises:
            SpecError: The file is missing, is not YAML or is not an environment; names each problem's line and field.
        """
        return Document.read(Path(path)).validate(cls)


class LiveVersion(Spec):
    """One version of a model that takes requests."""

    version: Version = Field(description='Version of the model and tag of its image, such as "3".')
    digest: Digest | None = Field(
        default=None, description="Digest of its image, sha256:...; without it the tag decides."
    )


class LiveModel(Spec):
    """What of one model is live in an environment."""

    spec: str = Field(min_length=1, description="Path of the model.yaml, relative to this file.")
    stable: LiveVersion = Field(description="The version that takes requests.")


class LiveModels(Spec):
    """Which version of which model is live in an environment (`models.yaml`)."""

    models: dict[Annotated[str, Field(pattern=DNS_LABEL)], LiveModel] = Field(
        description="Models by name, each with `spec` and `stable`."
    )
