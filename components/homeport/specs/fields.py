"""The field types that the specs share: quantities, names, paths. Each has words for what it accepts."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from homeport.catalogue.clouds import IDENTITIES
from homeport.catalogue.credentials import credential
from homeport.specs.quantities import CPU, MEMORY, cpu, memory

UNSHOWN = "unshown"
"""Type of the errors that do not show what was found."""

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1123 label that starts with a letter, as the name of a Service must (RFC 1035)."""
ACCOUNT = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
HTTP_PATH = r"^/[^\s?#]*$"
MOUNT_PATH = r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"
CONFIG_KEY = r"^[A-Za-z0-9_-]+$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
# Without a dot, a port or `localhost`, nodes decide which registry is meant, and newer ones refuse it:
# https://github.com/distribution/reference/blob/main/normalize.go
_REGISTRY_HOST = (
    r"(localhost(:[0-9]+)?|[a-z0-9]+([._-][a-z0-9]+)*:[0-9]+|[a-z0-9]+([_-][a-z0-9]+)*(\.[a-z0-9]+([_-][a-z0-9]+)*)+)"
)
REPOSITORY = rf"^{_REGISTRY_HOST}(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$"
REGISTRY = rf"^{_REGISTRY_HOST}(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
BASE_IMAGE = (
    rf"^(\{{registry\}}|{_REGISTRY_HOST})(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$"
)
DEBIAN_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
ENTRY_POINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
# No `..`, and nothing that a Dockerfile or a shell would interpret as anything but a name.
FILE_IN_FOLDER = r"^\.?[A-Za-z0-9_][A-Za-z0-9_.+-]*(/\.?[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$"
RESERVED = frozenset({".git", ".homeport"})
"""Folders of a model's folder that no build sees: what git keeps, among it credentials, and what homeport generates."""
NAMES = r"^\*?[a-z0-9-]*[a-z0-9][a-z0-9-]*\*?$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
MIG_PROFILE = r"^[1-7]g\.[1-9][0-9]*gb$"
KUBERNETES_VERSION = r"^1\.[1-9][0-9]$"
HOST_NAME = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
HOST_NAMES = rf"^(\*\.)?{HOST_NAME[1:]}"

PATTERNS = {
    DNS_LABEL: "an RFC 1123 name: lower-case letters, digits and `-`, a letter first and no `-` last",
    ACCOUNT: "NAMESPACE/NAME of a ServiceAccount, such as ci/deployer",
    LABEL_VALUE: "at most 63 letters, digits, `_`, `.` and `-`, a letter or digit first and last",
    HTTP_PATH: "the path of a URL that starts with `/`, such as /healthz",
    MOUNT_PATH: "the absolute path of a folder, such as /weights, in letters, digits, `_`, `-` and `.`",
    CONFIG_KEY: "a key of Pulumi's configuration in letters, digits, `_` and `-`",
    DIGEST: "sha256: and 64 hexadecimal digits",
    REPOSITORY: "a repository with its registry and without tag or digest, such as registry.example.com/team/model",
    REGISTRY: "a registry, or a folder in it, such as registry.example.com/models",
    BASE_IMAGE: "an image with its registry or {registry}, and a tag or digest, such as {registry}/base/python-3.11:1",
    DEBIAN_PACKAGE: "the name of a Debian package, such as libgomp1",
    ENTRY_POINT: "module:Class or module:function, such as model:predict",
    FILE_IN_FOLDER: "the path of a file or folder in the model's folder, such as model.py, without .. or spaces",
    NAMES: "a name in lower-case letters, digits and `-`, with `*` for any characters before or after it, such as istio-* or "
    "*-system",
    ENV_NAME: "letters, digits and `_`, no digit first",
    MIG_PROFILE: "a MIG profile: 1 to 7 compute slices and their memory in GB, such as 1g.10gb",
    KUBERNETES_VERSION: 'a minor version of Kubernetes, such as "1.36"',
    HOST_NAME: "the full name of one host in lower-case letters, such as features.example.com",
} | {kind.pattern: kind.accepted for kind in IDENTITIES.values() if kind.pattern}
"""What each pattern accepts, in words."""


class Spec(BaseModel):
    """Base of all specs. Unknown fields are errors, and a spec never changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class AlsoCalled:
    """Metadata of a field: another word that people write for it, so that the error can name the field."""

    word: str


def unshown(found: str, accepted: str) -> PydanticCustomError:
    """The error of a value that no message may show, such as a secret. `found` says what it is, not what it says."""
    return PydanticCustomError(UNSHOWN, "found {found}, accepted: {accepted}", {"found": found, "accepted": accepted})


def plain_text(field: str, found: str) -> str:
    """The value of a field that is stored and shown in plain text.

    Raises:
        PydanticCustomError: It has a credential.
    """
    if form := credential(found):
        raise unshown(
            form, f"a value without secrets, because `{field}` is stored and shown in plain text; use `secrets`"
        )
    return found


def _version(found: Any) -> Any:
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str):
        raise ValueError('text in quotes, such as "3" or "1.10" (without quotes YAML reads 1.10 as the number 1.1)')
    return found


def _network(text: str) -> IPv4Network | IPv6Network:
    if "%" in text:  # the address of one of a machine's own links, which Kubernetes does not accept
        raise ValueError("found a zone (%)")
    return ip_network(text)


def _cidr(text: str) -> str:
    try:
        return str(_network(text))
    except ValueError as error:
        raise ValueError(f"a network such as 203.0.113.0/24 ({error})") from None


def _not_reserved(path: str) -> str:
    # Some file systems ignore case.
    if found := [part for part in path.split("/") if part.lower() in RESERVED]:
        raise ValueError(f"a file of the model, because nothing in {found[0]} can be part of an image")
    return path


def _destination(found: str) -> str:
    try:
        return found if re.fullmatch(HOST_NAMES, found) else str(_network(found))
    except ValueError:
        raise ValueError(
            "a network such as 10.0.8.0/24, or a host such as features.example.com or *.example.com"
        ) from None


Destination = Annotated[str, AfterValidator(_destination)]
"""A network or hosts outside the cluster: `10.0.8.0/24`, `features.example.com`, `*.example.com`."""

Demand = Literal["concurrency", "requests_per_second", "queue_length"]
"""Kinds of demand for a model: requests in flight, requests per second, messages that wait for it."""

Cidr = Annotated[str, AfterValidator(_cidr)]
"""A network: `203.0.113.0/24`."""

KubernetesVersion = Annotated[str, BeforeValidator(_version), Field(pattern=KUBERNETES_VERSION)]
"""A minor version of Kubernetes: `"1.36"`."""

HostName = Annotated[str, Field(pattern=HOST_NAME, max_length=253)]
"""The full name of a host: `features.example.com`."""

Repository = Annotated[str, Field(pattern=REPOSITORY)]
"""Repository of an image, without tag or digest."""

DebianPackage = Annotated[str, Field(pattern=DEBIAN_PACKAGE)]
"""Name of a Debian package: `libgomp1`."""

FileInFolder = Annotated[str, Field(pattern=FILE_IN_FOLDER, max_length=255), AfterValidator(_not_reserved)]
"""Path of a file or folder in the model's own folder: `model.py`; as long as a name in a file system may be."""

Cpu = Annotated[
    str,
    BeforeValidator(cpu),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{CPU.pattern}$"}]}
    ),
]
"""Cores: `2`, `0.5` or `500m`."""

Memory = Annotated[str, BeforeValidator(memory), WithJsonSchema({"type": "string", "pattern": f"^{MEMORY.pattern}$"})]
"""Bytes with a unit: `512Mi`, `4Gi`."""

DnsLabel = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
"""A name that Kubernetes accepts for any object."""

Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
"""A TCP or UDP port, 1 to 65535."""

HttpPath = Annotated[str, Field(pattern=HTTP_PATH)]
"""The path of a URL that starts with a slash, without a query."""

Version = Annotated[
    str,
    BeforeValidator(_version),
    Field(pattern=LABEL_VALUE),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
"""The version of a model. It is an image tag and a label's value, so at most 63 letters, digits, `_`, `.`, `-`."""

Digest = Annotated[str, Field(pattern=DIGEST)]
"""The digest of an image, `sha256:` and 64 hexadecimal digits."""

LabelValue = Annotated[str, Field(pattern=LABEL_VALUE)]
"""The value of a Kubernetes label."""
