"""What a data scientist writes: the needs of a model, and nothing about where it runs."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from homeport.addresses import METADATA_NAMES, metadata_around
from homeport.documents import Document
from homeport.fields import (
    DNS_LABEL,
    ENV_NAME,
    MIG_PROFILE,
    Cidr,
    Cpu,
    Demand,
    DnsLabel,
    HostName,
    HttpPath,
    LabelValue,
    Memory,
    Port,
    Repository,
    Spec,
)

T = TypeVar("T")

CANARY_SUFFIX = "-canary"
"""The longest suffix that a derived name carries; a model's name leaves room for it within 63 characters."""

_SECRET_WORDS = {"PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY"}
_SECRET_ENDINGS = ("API_KEY", "ACCESS_KEY", "PRIVATE_KEY")


def _no_secret(name: str) -> str:
    words = name.upper()
    if _SECRET_WORDS & set(words.split("_")) or words.endswith(_SECRET_ENDINGS):
        raise ValueError("a name that does not promise a secret: values in `env` are stored and shown in plain text")
    return name


EnvName = Annotated[str, Field(pattern=ENV_NAME), AfterValidator(_no_secret)]


class Gpu(Spec):
    """The GPUs that one replica needs."""

    kinds: list[DnsLabel] = Field(
        min_length=1, description="Acceptable kinds of GPU, the best first, such as [l4, a10g]; any of them will do."
    )
    count: int = Field(
        default=1, ge=1, le=16, strict=True, description="GPUs (or slices of them) per replica, 1 to 16. Default 1."
    )
    mig: str | None = Field(
        default=None,
        pattern=MIG_PROFILE,
        description="Slice of a GPU, by its MIG profile: compute slices and memory, such as 1g.10gb. Default: whole.",
    )
    shared: bool = Field(
        default=False,
        description="A time-sliced share of a GPU is enough: other pods use it too, its memory among it. Default false.",
    )

    @field_validator("kinds")
    @classmethod
    def _kinds_once(cls, found: list[str]) -> list[str]:
        if len(set(found)) < len(found):
            raise ValueError("each kind once")
        return found

    @model_validator(mode="after")
    def _one_part_of_a_gpu(self) -> Self:
        if self.mig and self.shared:
            raise ValueError("`mig` or `shared`, not both")
        if self.shared and self.count > 1:
            # More than one share is not more of the GPU: NVIDIA's device plugin and GKE both advise to refuse it.
            raise ValueError("a `count` of 1 with `shared`: another share gives no more of the GPU")
        return self


class Resources(Spec):
    """What one replica needs. Requests equal limits, so a replica gets just this and keeps it."""

    cpu: Cpu | None = Field(
        default=None, description='Cores per replica, such as 2, 0.5 or "500m". Default: the environment\'s.'
    )
    memory: Memory | None = Field(
        default=None, description="Memory per replica with a unit, such as 4Gi. Default: the environment's."
    )
    tmp: Memory = Field(
        default="256Mi", description="Size of /tmp, the only directory that can be written. Default 256Mi."
    )
    gpu: Gpu | None = Field(default=None, description="GPUs per replica. Default: none.")


class ScaleTarget(Spec):
    """The load at which another replica is started. Of several targets the one that asks for most replicas decides."""

    cpu: int | None = Field(
        default=None,
        ge=1,
        le=100,
        strict=True,
        description="Mean cpu use in percent of the request, 1 to 100. Default: 70 where no target is stated, else not "
        "watched.",
    )
    memory: int | None = Field(
        default=None,
        ge=1,
        le=100,
        strict=True,
        description="Mean memory use in percent of the request, 1 to 100. Default: not watched.",
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Requests under way per replica, 1 or more, where the environment's KEDA counts them. Default: not "
        "watched.",
    )
    requests_per_second: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Requests per second and replica, 1 or more, where the environment's KEDA counts them. Default: not "
        "watched.",
    )
    queue_length: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Messages that wait per replica, 1 or more, where the environment's KEDA counts them. Default: not "
        "watched.",
    )

    @property
    def resources(self) -> dict[str, int]:
        """Targets that the cluster itself measures, by name."""
        stated = {"cpu": self.cpu, "memory": self.memory}
        return _stated(stated) or ({} if self.demand else {"cpu": 70})

    @property
    def demand(self) -> dict[Demand, int]:
        """Targets that are counted before a replica takes them, by name: only KEDA can watch these."""
        return _stated({name: getattr(self, name) for name in get_args(Demand)})


def _stated(targets: Mapping[T, int | None]) -> dict[T, int]:
    return {name: number for name, number in targets.items() if number is not None}


class Scale(Spec):
    """How many replicas run, and when one is added."""

    min: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        strict=True,
        description="Fewest replicas, 0 to 1000; 0 with a target that is counted while none runs. Default: the "
        "environment's.",
    )
    max: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        strict=True,
        description="Most replicas, 1 to 1000; equal to `min` for a fixed number. Default: the environment's.",
    )
    target: ScaleTarget = Field(default=ScaleTarget(), description="The load at which another replica is started.")
    up_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        strict=True,
        description="Seconds for which a higher load must last before replicas are added, 0 to 3600. Default 0: requests "
        "wait already, and a replica takes time to start.",
    )
    down_seconds: int = Field(
        default=300,
        ge=0,
        le=3600,
        strict=True,
        description="Seconds for which a lower load must last before replicas are taken away, 0 to 3600. Default 300: "
        "load comes back, and a replica too many costs less than one that must start again.",
    )

    @field_validator("max")
    @classmethod
    def _min_up_to_max(cls, found: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min")
        if found is not None and least is not None and found < least:
            raise ValueError(f"`scale.min` ({least}) or more")
        return found


class Health(Spec):
    """HTTP paths that answer 200 when all is well."""

    live: HttpPath = Field(
        description="Answers 200 while the server runs; a replica that stops answering is restarted."
    )
    ready: HttpPath = Field(description="Answers 200 while the model can take requests; only then does it get any.")


class Metrics(Spec):
    """Where Prometheus metrics are served."""

    port: Port = Field(description="TCP port, 1 to 65535.")
    path: HttpPath = Field(default="/metrics", description="HTTP path. Default /metrics.")


class Egress(Spec):
    """One destination outside the cluster that the model may reach: a network, or a host by its name."""

    cidr: Cidr | None = Field(
        default=None,
        description="Network in CIDR form, such as 203.0.113.0/24. Of one that has private networks in it, such as "
        "0.0.0.0/0, only the public addresses.",
    )
    host: HostName | None = Field(
        default=None,
        description="Name of a host in place of its network, such as features.example.com, where the environment's "
        "network plugin knows names.",
    )
    port: Port = Field(description="Port, 1 to 65535.")
    protocol: Literal["TCP", "UDP"] = Field(default="TCP", description="TCP or UDP. Default TCP.")
    reason: str = Field(min_length=1, description="Why the model needs it; shown to whoever reviews it.")

    @field_validator("cidr")
    @classmethod
    def _no_metadata(cls, found: str | None) -> str | None:
        if found and (network := metadata_around(found)):
            raise ValueError(
                f"a network outside {network}, where nodes get their credentials; what a model's cloud identity "
                "needs is opened by the environment's `identities`"
            )
        return found

    @field_validator("host")
    @classmethod
    def _outside(cls, found: str | None) -> str | None:
        if found and (found in METADATA_NAMES or found.endswith((".svc", ".local"))):
            raise ValueError("the name of a host outside the cluster; other models are reached by `calls`")
        return found

    @model_validator(mode="after")
    def _cidr_or_host(self) -> Self:
        if (self.cidr is None) == (self.host is None):
            raise ValueError("`cidr` or `host`, just one of them")
        return self


class Model(Spec):
    """A model as its data scientist describes it: what it needs, never where it runs (`model.yaml`)."""

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=63 - len(CANARY_SUFFIX))] = Field(
        description="Name of the model: lower-case letters, digits and `-`, at most 56 characters."
    )
    owner: LabelValue = Field(description="Team that answers for the model; the environment knows its group.")
    image: Repository = Field(
        description="Image repository without tag or digest: version and digest stand in the environment's models.yaml."
    )
    protocol: Literal["open-inference", "http"] = Field(
        default="open-inference",
        description="`open-inference` fixes port, health and metrics; `http` states them. Default open-inference.",
    )
    port: Port | None = Field(default=None, description="TCP port of the server. Default for open-inference: 8080.")
    health: Health | None = Field(
        default=None, description="Health paths. Default for open-inference: /v2/health/live and /v2/health/ready."
    )
    metrics: Metrics | None = Field(
        default=None, description="Prometheus metrics. Default for open-inference: /metrics on 8082; for http: none."
    )
    resources: Resources = Field(default=Resources(), description="What one replica needs.")
    scale: Scale = Field(default=Scale(), description="How many replicas run.")
    startup_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="Most seconds from the start of the server until the model is ready, 1 to 3600. Default 60.",
    )
    drain_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        strict=True,
        description="Most seconds that a request takes; a replica that stops finishes them. 1 to 3600. Default 30.",
    )
    calls: list[DnsLabel] = Field(default=[], description="Names of the models that this model calls. Default: none.")
    egress: list[Egress] = Field(default=[], description="Destinations outside the cluster. Default: none.")
    env: dict[EnvName, str] = Field(default={}, description="Environment variables, never secrets. Default: none.")

    @field_validator("calls")
    @classmethod
    def _calls_others_once(cls, found: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("name") in found:
            raise ValueError("names of other models: a model does not call itself")
        if len(set(found)) < len(found):
            raise ValueError("each name once")
        return found

    @model_validator(mode="after")
    def _protocol_is_complete(self) -> Self:
        if self.protocol == "http" and (self.port is None or self.health is None):
            missing = "port" if self.port is None else "health"
            raise ValueError(f"protocol `http` with `{missing}`: only open-inference has a default for it")
        return self

    @property
    def serving_port(self) -> int:
        """TCP port that takes inference requests."""
        return self.port or 8080

    @property
    def health_paths(self) -> Health:
        """Paths of liveness and readiness; those of the Open Inference Protocol unless stated."""
        return self.health or Health(live="/v2/health/live", ready="/v2/health/ready")

    @property
    def metrics_endpoint(self) -> Metrics | None:
        """Where Prometheus metrics are, or None. 8082 is the default of MLServer, the protocol's reference server."""
        return self.metrics or (Metrics(port=8082) if self.protocol == "open-inference" else None)

    @cached_property
    def digest(self) -> str:
        """`sha256:` digest of what the spec says, whatever its formatting: equal in every environment."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a `model.yaml`.

        Raises:
            SpecError: The file is missing, is not YAML or is not a model; names each problem's line and field.
        """
        return Document.read(Path(path)).validate(cls)
