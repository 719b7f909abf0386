"""What a data scientist writes: what a model needs, and nothing about where it runs."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from homeport.catalogue.addresses import METADATA_NAMES, disguise_around, metadata_around
from homeport.catalogue.container import CODE, LIBRARIES, METRICS_PORT, SERVE_VARIABLE, SERVING_PORT, TAKEN
from homeport.catalogue.credentials import promises_credential
from homeport.catalogue.servers import SERVERS, Server
from homeport.specs.documents import Document
from homeport.specs.fields import (
    DNS_LABEL,
    ENTRY_POINT,
    ENV_NAME,
    MIG_PROFILE,
    MOUNT_PATH,
    AlsoCalled,
    Cidr,
    Cpu,
    DebianPackage,
    Demand,
    DnsLabel,
    FileInFolder,
    HostName,
    HttpPath,
    LabelValue,
    Memory,
    Port,
    Repository,
    Spec,
    plain_text,
    unshown,
)

T = TypeVar("T")

CANARY_SUFFIX = "-canary"
"""The longest suffix of a derived name. A model's name leaves room for it within 63 characters."""


def _no_secret(name: str) -> str:
    if promises_credential(name):
        raise ValueError(
            "a name that does not suggest a secret, because values in `env` are stored and shown in plain text; a secret "
            "belongs in `secrets`"
        )
    return name


MAX_NAMES = 1000
"""The most names in a list that each cost work: files to copy, models to call."""


def _secret_option(argument: str) -> str | None:
    """The option of an argument, if its name suggests a secret."""
    option, stated, _ = argument.partition("=")
    return option if (stated or option.startswith("-")) and promises_credential(option) else None


def _argument(found: str) -> str:
    return found if _secret_option(found) else plain_text("args", found)  # a rule about all arguments names the option


EnvName = Annotated[str, Field(pattern=ENV_NAME), AfterValidator(_no_secret)]
EnvValue = Annotated[str, AfterValidator(partial(plain_text, "env"))]
Argument = Annotated[str, AfterValidator(_argument)]


def _is_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


class Gpu(Spec):
    """GPUs that one replica needs."""

    kinds: list[DnsLabel] = Field(
        min_length=1, description="Acceptable kinds of GPU, the preferred one first, such as [l4, a10g]."
    )
    count: int = Field(
        default=1, ge=1, le=16, strict=True, description="GPUs (or slices of them) per replica, 1 to 16. Default 1."
    )
    mig: str | None = Field(
        default=None,
        pattern=MIG_PROFILE,
        description="MIG profile of a GPU slice: compute slices and memory, such as 1g.10gb. Default: a whole GPU.",
    )
    shared: bool = Field(
        default=False,
        description="A time-sliced share of a GPU is enough. Other pods use the same GPU and its memory. Default false.",
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
            # Two shares are not more of the GPU than one. NVIDIA's device plugin and GKE both advise refusing this.
            raise ValueError("a `count` of 1 with `shared`, because another share gives no more of the GPU")
        return self


class Resources(Spec):
    """What one replica needs. Requests equal limits, so a replica gets exactly this and keeps it."""

    cpu: Cpu | None = Field(
        default=None, description='Cores per replica, such as 2, 0.5 or "500m". Default: the environment\'s.'
    )
    memory: Memory | None = Field(
        default=None, description="Memory per replica with a unit, such as 4Gi. Default: the environment's."
    )
    tmp: Memory = Field(default="256Mi", description="Size of /tmp, the only writable directory. Default 256Mi.")
    shm: Memory | None = Field(
        default=None,
        description="Size of /dev/shm, such as 1Gi; it counts as part of `memory`. Default: the server's value, or the "
        "node's 64Mi.",
    )
    gpu: Gpu | None = Field(default=None, description="GPUs per replica. Default: none.")


class ScaleTarget(Spec):
    """The load at which another replica is started. With several targets, the one that needs the most replicas decides."""

    cpu: int | None = Field(
        default=None,
        ge=1,
        le=100,
        strict=True,
        description="Mean cpu use in percent of the request, 1 to 100. Default: 70 if no target is stated, otherwise not "
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
        description="Requests in flight per replica, 1 or more, if KEDA counts them in the environment. Default: not "
        "watched.",
    )
    requests_per_second: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Requests per second per replica, 1 or more, if KEDA counts them in the environment. Default: not "
        "watched.",
    )
    queue_length: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="Waiting messages per replica, 1 or more, if KEDA counts them in the environment. Default: not "
        "watched.",
    )

    @property
    def resources(self) -> dict[str, int]:
        """Targets that the cluster itself measures, by name."""
        stated = {"cpu": self.cpu, "memory": self.memory}
        return _stated(stated) or ({} if self.demand else {"cpu": 70})

    @property
    def demand(self) -> dict[Demand, int]:
        """Targets by name that are counted before a replica takes them. Only KEDA can watch these."""
        return _stated({name: getattr(self, name) for name in get_args(Demand)})


def _stated(targets: Mapping[T, int | None]) -> dict[T, int]:
    return {name: number for name, number in targets.items() if number is not None}


class Scale(Spec):
    """How many replicas run, and when one is added or removed."""

    min: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        strict=True,
        description="Minimum number of replicas, 0 to 1000. 0 needs a target that is counted while no replica runs. "
        "Default: the environment's.",
    )
    max: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        strict=True,
        description="Maximum number of replicas, 1 to 1000; equal to `min` for a fixed number. Default: the environment's.",
    )
    target: ScaleTarget = Field(default=ScaleTarget(), description="The load at which another replica is started.")
    up_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        strict=True,
        description="Seconds that a higher load must last before replicas are added, 0 to 3600. Default 0, because "
        "requests are already waiting and a replica takes time to start.",
    )
    down_seconds: int = Field(
        default=300,
        ge=0,
        le=3600,
        strict=True,
        description="Seconds that a lower load must last before replicas are removed, 0 to 3600. Default 300, because "
        "load often returns, and an extra replica costs less than starting one again.",
    )

    @field_validator("max")
    @classmethod
    def _min_up_to_max(cls, found: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min")
        if found is not None and least is not None and found < least:
            raise ValueError(f"`scale.min` ({least}) or more")
        return found


class Health(Spec):
    """HTTP paths that answer 200 when the server is healthy."""

    live: HttpPath = Field(
        description="Path that answers 200 while the server runs; Kubernetes restarts a replica that stops answering."
    )
    ready: HttpPath = Field(
        description="Path that answers 200 while the model can take requests; it gets none otherwise."
    )


class Metrics(Spec):
    """Where Prometheus metrics are served."""

    port: Port = Field(description="TCP port, 1 to 65535.")
    path: HttpPath = Field(default="/metrics", description="HTTP path. Default /metrics.")


class Egress(Spec):
    """One destination outside the cluster that the model may reach: a network or a host name."""

    cidr: Cidr | None = Field(
        default=None,
        description="Network in CIDR form, such as 203.0.113.0/24. If it contains private networks, as 0.0.0.0/0 does, "
        "only its public addresses are allowed.",
    )
    host: HostName | None = Field(
        default=None,
        description="Host name instead of a network, such as features.example.com, if the environment's network plugin "
        "supports host names.",
    )
    port: Port = Field(description="Port, 1 to 65535.")
    protocol: Literal["TCP", "UDP"] = Field(default="TCP", description="TCP or UDP. Default TCP.")
    reason: str = Field(min_length=1, description="Why the model needs it, for reviewers.")

    @field_validator("cidr")
    @classmethod
    def _no_metadata(cls, found: str | None) -> str | None:
        if found and (network := disguise_around(found)):
            raise ValueError(
                f"the network of IPv4 itself, such as 203.0.113.0/24, or one of IPv6 outside {network}, whose addresses "
                "stand for those of IPv4"
            )
        if found and (network := metadata_around(found)):
            raise ValueError(
                f"a network outside {network}, where nodes get their credentials; the environment's `identities` "
                "allow what a model's cloud identity needs"
            )
        return found

    @field_validator("host")
    @classmethod
    def _outside(cls, found: str | None) -> str | None:
        if found and (found in METADATA_NAMES or found.endswith((".svc", ".local"))):
            raise ValueError("the name of a host outside the cluster; use `calls` to reach other models")
        return found

    @model_validator(mode="after")
    def _cidr_or_host(self) -> Self:
        if (self.cidr is None) == (self.host is None):
            raise ValueError("exactly one of `cidr` and `host`")
        return self


class Build(Spec):
    """How the model's image is built from its folder, which contains its `model.yaml`."""

    base: LabelValue | None = Field(
        default=None,
        description="Name of one of the environment's base images, such as python-3.11; it decides the version of "
        "Python. Default: the only base image, if there is just one.",
    )
    requirements: FileInFolder | None = Field(
        default=None,
        description="Requirements or lock file of Python packages by their names, such as requirements.txt, without options "
        "or addresses. If it has hashes, every package in it needs one. Default: only the server and its dependencies.",
    )
    packages: list[DebianPackage] = Field(
        default=[], description="Debian packages, which the environment must allow. Default: none."
    )
    serve: str | None = Field(
        default=None,
        pattern=ENTRY_POINT,
        description="Class or function that answers requests, as module:Class or module:function, such as model:predict. "
        "Default: decided by the model files or by model-settings.json.",
    )
    files: list[FileInFolder] = Field(
        default=[],
        max_length=MAX_NAMES,
        description="Files and folders of the model's folder that are copied into the image, at most 1,000. Default: all, except hidden "
        "files and those that its .dockerignore excludes.",
    )
    dockerfile: FileInFolder | None = Field(
        default=None, description="Your own Dockerfile, instead of all fields above. Default: homeport writes one."
    )

    @field_validator("files")
    @classmethod
    def _files_once(cls, found: list[str]) -> list[str]:
        if len(set(found)) < len(found):
            raise ValueError("each name once")
        return found

    @model_validator(mode="after")
    def _own_dockerfile_alone(self) -> Self:
        if self.dockerfile and len(self.model_fields_set) > 1:
            others = ", ".join(f"`{name}`" for name in type(self).model_fields if name in self.model_fields_set)
            raise ValueError(f"`dockerfile` without other fields, because it decides them itself (found {others})")
        return self


class Weights(Spec):
    """Files that are too large for the image of the code: in their own image, or on a volume. Always read-only."""

    image: Repository | None = Field(
        default=None,
        description="Repository of an image that contains only these files, without tag or digest. The environment's "
        "models.yaml states version and digest.",
    )
    claim: DnsLabel | None = Field(
        default=None,
        description="Name of a claim on a volume, instead of an image; the environment's `claims` decide which volume.",
    )
    path: Annotated[str, Field(pattern=MOUNT_PATH)] = Field(
        default="/weights", description="Folder of the container in which they are mounted. Default /weights."
    )

    @field_validator("path")
    @classmethod
    def _beside_others(cls, found: str) -> str:
        for taken in TAKEN:
            if _is_in(found, taken) or _is_in(taken, found):
                raise ValueError(f"a folder that is not {taken}, inside it or around it, such as /weights")
        return found

    @model_validator(mode="after")
    def _image_or_claim(self) -> Self:
        if (self.image is None) == (self.claim is None):
            raise ValueError("exactly one of `image` and `claim`")
        return self


class Secret(Spec):
    """One secret that the model reads as a file. The environment decides where it comes from."""

    name: DnsLabel = Field(
        description="Name of the secret and of its file in the folder /run/secrets/homeport. The variable "
        "HOMEPORT_SECRETS has the path of this folder."
    )
    reason: str = Field(min_length=1, description="Why the model needs it, for reviewers.")


class Model(Spec):
    """A model as its data scientist describes it: what it needs, never where it runs (`model.yaml`)."""

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=63 - len(CANARY_SUFFIX))] = Field(
        description="Name of the model: lower-case letters, digits and `-`, at most 56 characters."
    )
    owner: LabelValue = Field(description="Team that is responsible for the model; the environment maps it to a group.")
    image: Repository | None = Field(
        default=None,
        description="Image repository without tag or digest; the environment's models.yaml states version and digest. "
        "Instead of `build`.",
    )
    build: Build | None = Field(
        default=None,
        validate_default=True,
        description="How the image is built from the model's folder. Instead of `image`.",
    )
    server: Literal["kserve", "ray-serve", "tgi", "triton", "vllm"] | None = Field(
        default=None,
        description="Server that the image contains, instead of `protocol`. Sets the defaults of port, health, metrics, "
        "/dev/shm, /tmp, `startup_seconds` and cache folders. Default: homeport-server, or another that speaks `protocol`.",
    )
    protocol: Literal["open-inference", "http"] = Field(
        default="open-inference",
        description="`open-inference` has defaults for port, health and metrics; with `http`, state port and health. "
        "Default open-inference.",
    )
    args: list[Argument] = Field(
        default=[], description="Arguments of the server, never secrets. Default: the image's."
    )
    port: Annotated[Port | None, AlsoCalled("containerPort")] = Field(
        default=None,
        validate_default=True,
        description="TCP port of the server. Default: the server's; 8080 for open-inference.",
    )
    health: Annotated[
        Health | None, AlsoCalled("livenessProbe"), AlsoCalled("readinessProbe"), AlsoCalled("startupProbe")
    ] = Field(
        default=None,
        validate_default=True,
        description="Health paths. Default: the server's; /v2/health/live and /v2/health/ready for open-inference.",
    )
    metrics: Metrics | None = Field(
        default=None,
        description="Prometheus metrics. Default: the server's; /metrics on 8082 for open-inference; none for http.",
    )
    resources: Resources = Field(default=Resources(), description="What one replica needs.")
    scale: Annotated[Scale, AlsoCalled("replicas"), AlsoCalled("autoscaling")] = Field(
        default=Scale(), description="How many replicas run."
    )
    startup_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="Maximum seconds from the start of the server until the model is ready, 1 to 3600. Default: the "
        "server's value, or 60.",
    )
    drain_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        strict=True,
        description="Maximum seconds that a request takes, 1 to 3600; a stopping replica finishes its requests. Default 30.",
    )
    calls: list[DnsLabel] = Field(
        default=[],
        max_length=MAX_NAMES,
        description="Names of the models that this model calls, at most 1,000. Those of other teams name the owner in `callers`. Default: "
        "none.",
    )
    callers: list[LabelValue] = Field(
        default=[], description="Teams besides the owner whose models may call this one. Default: none."
    )
    egress: list[Egress] = Field(default=[], description="Destinations outside the cluster. Default: none.")
    env: dict[EnvName, EnvValue] = Field(
        default={}, description="Variables of the container, never secrets. Default: none."
    )
    weights: Weights | None = Field(
        default=None, description="Large files of the model, separate from its code. Default: none, or in the image."
    )
    secrets: list[Secret] = Field(default=[], description="Secrets that the model reads as files. Default: none.")

    @model_validator(mode="before")
    @classmethod
    def _needs_of_the_server(cls, found: Any) -> Any:
        name = found.get("server") if isinstance(found, Mapping) else None
        return _with_server(found, SERVERS[name]) if isinstance(name, str) and name in SERVERS else found

    @field_validator("calls")
    @classmethod
    def _calls_others_once(cls, found: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("name") in found:
            raise ValueError("names of other models, because a model does not call itself")
        if len(set(found)) < len(found):
            raise ValueError("each name once")
        return found

    @field_validator("env")
    @classmethod
    def _serve_is_stated_once(cls, found: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        build = info.data.get("build")
        if build and build.serve and SERVE_VARIABLE in found:
            raise ValueError(f"no {SERVE_VARIABLE}, because `build.serve` says what is served")
        return found

    @field_validator("secrets")
    @classmethod
    def _secrets_once(cls, found: list[Secret]) -> list[Secret]:
        if len({secret.name for secret in found}) < len(found):
            raise ValueError("each name once")
        return found

    @field_validator("weights")
    @classmethod
    def _weights_hide_no_code(cls, found: Weights | None, info: ValidationInfo) -> Weights | None:
        build = info.data.get("build")
        if found and build and not build.dockerfile:
            for folder in (CODE, LIBRARIES):
                if _is_in(folder, found.path):
                    raise ValueError(f"a `path` other than {found.path}, which hides {folder} of the built image")
            if _is_in(found.path, LIBRARIES):
                raise ValueError(f"a `path` outside {LIBRARIES}, which has the libraries of the built image")
        return found

    # Rules about several fields are at the last of them: a rule about the whole model would wait until all else is right.

    @field_validator("args")
    @classmethod
    def _no_secret_arguments(cls, found: list[str]) -> list[str]:
        if option := next(filter(None, map(_secret_option, found)), None):
            accepted = "`args` without secrets, because they are stored and shown in plain text; use `secrets`"
            raise unshown(f"{option}, which suggests a secret", accepted)
        return found

    @field_validator("build")
    @classmethod
    def _image_or_build(cls, found: Build | None, info: ValidationInfo) -> Build | None:
        if "image" in info.data and (info.data["image"] is None) == (found is None):
            raise ValueError("exactly one of `image` (an existing one) and `build` (from the model's folder)")
        return found

    @field_validator("protocol", mode="before")
    @classmethod
    def _server_or_protocol(cls, found: Any, info: ValidationInfo) -> Any:
        if info.data.get("server"):
            raise ValueError(
                "`server` or `protocol`, not both, because a `server` decides everything that `protocol` does"
            )
        return found

    @field_validator("port", "health")
    @classmethod
    def _protocol_is_complete(cls, found: T, info: ValidationInfo) -> T:
        if found is None and info.data.get("protocol") == "http":
            raise ValueError("a value with protocol `http`, because only open-inference has a default")
        return found

    def lets_in(self, caller: "Model") -> bool:
        """Whether a model that states this one in `calls` may call it: one of the same owner, or of a team in `callers`."""
        return caller.owner in {self.owner, *self.callers}

    @property
    def serving_port(self) -> int:
        """TCP port that takes inference requests."""
        return self.port or SERVING_PORT

    @property
    def health_paths(self) -> Health:
        """Paths of liveness and readiness. Default: those of the Open Inference Protocol."""
        return self.health or Health(live="/v2/health/live", ready="/v2/health/ready")

    @property
    def metrics_endpoint(self) -> Metrics | None:
        """Where Prometheus metrics are served, or None."""
        return self.metrics or (Metrics(port=METRICS_PORT) if self.as_mlserver else None)

    @property
    def as_mlserver(self) -> bool:
        """Whether the image serves like MLServer, the protocol's reference server, as homeport-server does."""
        return self.server is None and self.protocol == "open-inference"

    @cached_property
    def digest(self) -> str:
        """`sha256:` digest of what the spec means, independent of how it is written and equal in every environment.

        A field with its default value counts as left out, so a field that a later homeport adds changes no digest. The
        order counts in lists, not in mappings.
        """
        meaning = self._canonical.model_dump(mode="json", exclude_defaults=True)
        return "sha256:" + hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    @property
    def _canonical(self) -> Self:
        """The same model with the protocol's values filled in, and without a target that equals the default."""
        target, usual = self.scale.target, ScaleTarget()
        scale = {"target": usual} if target == usual.model_copy(update=usual.resources) else {}
        filled = {"port": self.serving_port, "health": self.health_paths, "metrics": self.metrics_endpoint}
        return self.model_copy(update={**filled, "scale": self.scale.model_copy(update=scale)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a `model.yaml`.

        Raises:
            SpecError: The file is missing, is not YAML or is not a valid model. The error names each problem's line and field.
        """
        return Document.read(Path(path)).validate(cls)


def _with_server(found: Mapping[str, Any], server: Server) -> dict[str, Any]:
    """What the server needs, overridden by what the model states."""
    spec = _over(server.spec, found)
    if isinstance(spec["metrics"], Mapping):
        spec["metrics"] = {"port": spec["port"], **spec["metrics"]}
    return spec


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if above[key] is None:  # an empty field counts as left out
            merged[key] = below[key]
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            merged[key] = _over(below[key], above[key])
    return merged
