"""What a data scientist writes: the needs of a model, and nothing about where it runs."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from homeport.catalogue.addresses import METADATA_NAMES, metadata_around
from homeport.catalogue.container import CODE, LIBRARIES, METRICS_PORT, SERVING_PORT, TAKEN
from homeport.catalogue.servers import SERVERS, Server
from homeport.specs.documents import Document
from homeport.specs.fields import (
    DNS_LABEL,
    ENTRY_POINT,
    ENV_NAME,
    MIG_PROFILE,
    MOUNT_PATH,
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
)

T = TypeVar("T")

CANARY_SUFFIX = "-canary"
"""The longest suffix that a derived name carries; a model's name leaves room for it within 63 characters."""

_SECRET_WORDS = {"PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY"}
_SECRET_ENDINGS = ("API_KEY", "ACCESS_KEY", "PRIVATE_KEY")


def _promises_secret(name: str) -> bool:
    words = name.upper()
    return bool(_SECRET_WORDS & set(words.split("_"))) or words.endswith(_SECRET_ENDINGS)


def _no_secret(name: str) -> str:
    if _promises_secret(name):
        raise ValueError(
            "a name that does not suggest a secret, because values in `env` are stored and shown in plain text"
        )
    return name


EnvName = Annotated[str, Field(pattern=ENV_NAME), AfterValidator(_no_secret)]


def _is_in(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


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
            raise ValueError("a `count` of 1 with `shared`, because another share gives no more of the GPU")
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
    shm: Memory | None = Field(
        default=None,
        description="Size of /dev/shm, a part of `memory`, such as 1Gi. Default: the server's; else the node's, 64Mi.",
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
    """How the model's image is built from its folder: the one in which its `model.yaml` is."""

    base: LabelValue | None = Field(
        default=None,
        description="Name of one of the environment's base images, such as python-3.11, which decides the version of "
        "Python. Default: the environment's only one.",
    )
    requirements: FileInFolder | None = Field(
        default=None,
        description="Requirements or lock file of Python packages, such as requirements.txt; with hashes in it, nothing "
        "without one is installed. Default: only the server and what it needs.",
    )
    packages: list[DebianPackage] = Field(
        default=[], description="Debian packages, each of those that the environment allows. Default: none."
    )
    serve: str | None = Field(
        default=None,
        pattern=ENTRY_POINT,
        description="What answers requests, as module:Class or module:function, such as model:predict. Default: the "
        "model files decide, or model-settings.json.",
    )
    files: list[FileInFolder] = Field(
        default=[],
        description="Files and folders of the model's folder that go into the image. Default: all but what its "
        ".dockerignore names, and what begins with a dot.",
    )
    dockerfile: FileInFolder | None = Field(
        default=None, description="A Dockerfile of one's own, in place of all of the above. Default: homeport's."
    )

    @model_validator(mode="after")
    def _own_dockerfile_alone(self) -> Self:
        if self.dockerfile and len(self.model_fields_set) > 1:
            others = ", ".join(f"`{name}`" for name in type(self).model_fields if name in self.model_fields_set)
            raise ValueError(f"`dockerfile` without other fields, because it decides them itself (found {others})")
        return self


class Weights(Spec):
    """Files that are too large for the image of the code: in an image of their own, or on a volume. Never written."""

    image: Repository | None = Field(
        default=None,
        description="Repository of an image that has only the files in it, without tag or digest: version and digest "
        "stand in the environment's models.yaml.",
    )
    claim: DnsLabel | None = Field(
        default=None,
        description="Name of a volume in place of an image; the environment's `claims` say which volume that is.",
    )
    path: Annotated[str, Field(pattern=MOUNT_PATH)] = Field(
        default="/weights", description="Folder in which the model finds them. Default /weights."
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
    """One secret that the model needs, as a file that it can read; where it comes from is the environment's to say."""

    name: DnsLabel = Field(
        description="Name of the secret and of its file in the folder /run/secrets/homeport, which the variable "
        "HOMEPORT_SECRETS names."
    )
    reason: str = Field(min_length=1, description="Why the model needs it; shown to whoever reviews it.")


class Model(Spec):
    """A model as its data scientist describes it: what it needs, never where it runs (`model.yaml`)."""

    name: Annotated[str, Field(pattern=DNS_LABEL, max_length=63 - len(CANARY_SUFFIX))] = Field(
        description="Name of the model: lower-case letters, digits and `-`, at most 56 characters."
    )
    owner: LabelValue = Field(description="Team that answers for the model; the environment knows its group.")
    image: Repository | None = Field(
        default=None,
        description="Image repository without tag or digest: version and digest stand in the environment's models.yaml. "
        "In place of `build`.",
    )
    build: Build | None = Field(
        default=None, description="How the image is built from the model's folder. In place of `image`."
    )
    server: Literal["kserve", "ray-serve", "tgi", "triton", "vllm"] | None = Field(
        default=None,
        description="Server that the image brings, in place of `protocol`: fixes port, health, metrics, /dev/shm, /tmp, "
        "`startup_seconds` and the folders of caches. Default: homeport-server, or another that speaks `protocol`.",
    )
    protocol: Literal["open-inference", "http"] = Field(
        default="open-inference",
        description="`open-inference` fixes port, health and metrics; `http` states them. Default open-inference.",
    )
    args: list[str] = Field(
        default=[], description="Arguments of the server, never secrets. Default: those of the image."
    )
    port: Port | None = Field(
        default=None, description="TCP port of the server. Default: the server's; for open-inference 8080."
    )
    health: Health | None = Field(
        default=None,
        description="Health paths. Default: the server's; for open-inference /v2/health/live and /v2/health/ready.",
    )
    metrics: Metrics | None = Field(
        default=None,
        description="Prometheus metrics. Default: the server's; for open-inference /metrics on 8082; for http none.",
    )
    resources: Resources = Field(default=Resources(), description="What one replica needs.")
    scale: Scale = Field(default=Scale(), description="How many replicas run.")
    startup_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="Most seconds from the start of the server until the model is ready, 1 to 3600. Default: the "
        "server's, else 60.",
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
    env: dict[EnvName, str] = Field(default={}, description="Variables of the container, never secrets. Default: none.")
    weights: Weights | None = Field(
        default=None, description="Large files of the model, apart from its code. Default: none, or in the image."
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

    @model_validator(mode="after")
    def _no_secret_arguments(self) -> Self:
        # Said of the whole model, as an error of the field would show what it found.
        for option in (argument.partition("=")[0] for argument in self.args if argument.startswith("-")):
            if _promises_secret(option.strip("-").replace("-", "_")):
                raise ValueError(
                    f"`args` without {option}, which suggests a secret: `args` are stored and shown in plain text"
                )
        return self

    @model_validator(mode="after")
    def _image_or_build(self) -> Self:
        if (self.image is None) == (self.build is None):
            raise ValueError("exactly one of `image` (an existing one) and `build` (from the model's folder)")
        return self

    @model_validator(mode="after")
    def _protocol_is_complete(self) -> Self:
        if self.server and "protocol" in self.model_fields_set:
            raise ValueError(
                "`server` or `protocol`, not both, because a `server` decides everything that `protocol` does"
            )
        if self.protocol == "http" and (self.port is None or self.health is None):
            missing = "port" if self.port is None else "health"
            raise ValueError(f"protocol `http` with `{missing}`, for which only open-inference has a default")
        return self

    @property
    def serving_port(self) -> int:
        """TCP port that takes inference requests."""
        return self.port or SERVING_PORT

    @property
    def health_paths(self) -> Health:
        """Paths of liveness and readiness; those of the Open Inference Protocol unless stated."""
        return self.health or Health(live="/v2/health/live", ready="/v2/health/ready")

    @property
    def metrics_endpoint(self) -> Metrics | None:
        """Where Prometheus metrics are, or None."""
        return self.metrics or (Metrics(port=METRICS_PORT) if self.as_mlserver else None)

    @property
    def as_mlserver(self) -> bool:
        """Whether the image serves as MLServer does, the protocol's reference server, of which homeport-server is one."""
        return self.server is None and self.protocol == "open-inference"

    @cached_property
    def digest(self) -> str:
        """`sha256:` digest of what the spec means, however it is written: equal in every environment.

        A default counts as left out, so a field that a later homeport adds changes no digest. Lists count in their order,
        mappings do not.
        """
        meaning = self._canonical.model_dump(mode="json", exclude_defaults=True)
        return "sha256:" + hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    @property
    def _canonical(self) -> Self:
        """The same model, with what follows from the protocol filled in, and without a target that is the usual one."""
        target, usual = self.scale.target, ScaleTarget()
        scale = {"target": usual} if target == usual.model_copy(update=usual.resources) else {}
        filled = {"port": self.serving_port, "health": self.health_paths, "metrics": self.metrics_endpoint}
        return self.model_copy(update={**filled, "scale": self.scale.model_copy(update=scale)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a `model.yaml`.

        Raises:
            SpecError: The file is missing, is not YAML or is not a model; names each problem's line and field.
        """
        return Document.read(Path(path)).validate(cls)


def _with_server(found: Mapping[str, Any], server: Server) -> dict[str, Any]:
    """What a model states, over what its server needs."""
    spec = _over(server.spec, found)
    if isinstance(spec["metrics"], Mapping):
        spec["metrics"] = {"port": spec["port"], **spec["metrics"]}
    return spec


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if above[key] is None:  # a field that was left empty says nothing
            merged[key] = below[key]
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            merged[key] = _over(below[key], above[key])
    return merged
