"""The field types that both specs share: quantities, names, paths; each says what it accepts when it refuses.

Quantities are kept in the form in which the Kubernetes API server stores them (`1000m` becomes `1`, `2048Mi` becomes
`2Gi`), so what a manifest says is what the cluster answers.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_NUMBER = r"(\d+(?:\.\d+)?)"
_CPU = re.compile(rf"{_NUMBER}(m?)")
_MEMORY = re.compile(rf"{_NUMBER}({'|'.join([*BINARY, *DECIMAL])})")

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1123 label that starts with a letter, as the name of a Service must (RFC 1035)."""
LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
HTTP_PATH = r"^/[^\s?#]*$"
MOUNT_PATH = r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"
CONFIG_KEY = r"^[A-Za-z0-9_-]+$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
REPOSITORY = r"^[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$"
REGISTRY = r"^[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
BASE_IMAGE = (
    r"^(\{registry\}|[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?)(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$"
)
DEBIAN_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
ENTRY_POINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
# Not `..`, and nothing that a Dockerfile or a shell would read otherwise than as a name.
FILE_IN_FOLDER = r"^\.?[A-Za-z0-9_][A-Za-z0-9_.+-]*(/\.?[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
MIG_PROFILE = r"^[1-7]g\.[1-9][0-9]*gb$"
ROLE_ARN = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$"
GOOGLE_SERVICE_ACCOUNT = r"^[a-z][a-z0-9-]+@[a-z0-9.:-]+\.gserviceaccount\.com$"
HOST_NAME = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

PATTERNS = {
    DNS_LABEL: "an RFC 1123 name: lower-case letters, digits and `-`, a letter first and no `-` last",
    LABEL_VALUE: "at most 63 letters, digits, `_`, `.` and `-`, a letter or digit first and last",
    HTTP_PATH: "the path of a URL from its `/` on, such as /healthz",
    MOUNT_PATH: "the path of a folder from its `/` on, such as /weights, in letters, digits, `_`, `-` and `.`",
    CONFIG_KEY: "a key of Pulumi's configuration in letters, digits, `_` and `-`",
    DIGEST: "sha256: and 64 hexadecimal digits",
    REPOSITORY: "a repository with its registry and without tag or digest, such as registry.example.com/team/model",
    REGISTRY: "a registry, or a folder in it, such as registry.example.com/models",
    BASE_IMAGE: "an image with its registry or {registry}, and a tag or digest, such as {registry}/base/python-3.11:1",
    DEBIAN_PACKAGE: "name of a Debian package, such as libgomp1",
    ENTRY_POINT: "module:Class or module:function, such as model:predict",
    FILE_IN_FOLDER: "path of a file or folder in the model's folder, such as model.py, without .. or spaces",
    ENV_NAME: "letters, digits and `_`, no digit first",
    MIG_PROFILE: "a MIG profile: 1 to 7 compute slices and their memory in GB, such as 1g.10gb",
    ROLE_ARN: "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/fraud-score",
    GOOGLE_SERVICE_ACCOUNT: "a Google service account, such as fraud-score@project.iam.gserviceaccount.com",
    HOST_NAME: "the full name of one host in lower-case letters, such as features.example.com",
    UUID: "a UUID, such as 00000000-0000-0000-0000-000000000000",
}
"""What each pattern accepts, in words."""


class Spec(BaseModel):
    """Base of everything that people write: unknown fields are errors and a read spec never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def millicores(cpu: str) -> int:
    """Thousandths of a core in a cpu quantity: `500m` is 500, `2` is 2000."""
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def cpu_quantity(thousandths: int) -> str:
    """The canonical quantity for thousandths of a core."""
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def byte_count(memory: str) -> int:
    """Bytes in a canonical memory quantity: `1Ki` is 1024, `1k` is 1000."""
    digits = memory.rstrip("KMGTki")
    unit = memory[len(digits) :]
    return int(digits) * (BINARY | DECIMAL | {"": 1})[unit]


def memory_quantity(count: int) -> str:
    """The canonical quantity for a number of bytes: the largest unit that leaves a whole number."""
    for units in (BINARY, DECIMAL):
        for unit, size in reversed(units.items()):
            if count % size == 0:
                return f"{count // size}{unit}"
    return str(count)


def _cpu(found: Any) -> str:
    match = _CPU.fullmatch(str(found)) if isinstance(found, int | float | str) and not isinstance(found, bool) else None
    thousandths = Decimal(match[1]) * (1 if match[2] else 1000) if match else Decimal(0)
    if not thousandths or thousandths % 1:
        raise ValueError('cores above 0 in steps of 0.001, such as 2, 0.5 or "500m"')
    return cpu_quantity(int(thousandths))


def _memory(found: Any) -> str:
    match = _MEMORY.fullmatch(found) if isinstance(found, str) else None
    count = Decimal(match[1]) * (BINARY | DECIMAL)[match[2]] if match else Decimal(0)
    if not count or count % 1:
        raise ValueError("bytes above 0 with a unit, such as 512Mi or 4Gi")
    return memory_quantity(int(count))


def _version(found: Any) -> Any:
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str):
        raise ValueError('text in quotes, such as "3" or "1.10" (without quotes YAML reads 1.10 as the number 1.1)')
    return found


def _cidr(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"a network such as 203.0.113.0/24 ({error})") from None


Demand = Literal["concurrency", "requests_per_second", "queue_length"]
"""What can be asked of a model: requests under way, requests a second, messages that wait for it."""

Cidr = Annotated[str, AfterValidator(_cidr)]
"""A network: `203.0.113.0/24`."""

HostName = Annotated[str, Field(pattern=HOST_NAME, max_length=253)]
"""The full name of a host: `features.example.com`."""

Repository = Annotated[str, Field(pattern=REPOSITORY)]
"""Repository of an image, without tag or digest."""

DebianPackage = Annotated[str, Field(pattern=DEBIAN_PACKAGE)]
"""Name of a Debian package: `libgomp1`."""

FileInFolder = Annotated[str, Field(pattern=FILE_IN_FOLDER)]
"""Path of a file or folder in the model's own folder: `model.py`."""

Cpu = Annotated[
    str,
    BeforeValidator(_cpu),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{_CPU.pattern}$"}]}
    ),
]
"""Cores: `2`, `0.5` or `500m`."""

Memory = Annotated[str, BeforeValidator(_memory), WithJsonSchema({"type": "string", "pattern": f"^{_MEMORY.pattern}$"})]
"""Bytes with a unit: `512Mi`, `4Gi`."""

DnsLabel = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
"""A name that Kubernetes accepts for any object."""

Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
"""A TCP or UDP port, 1 to 65535."""

HttpPath = Annotated[str, Field(pattern=HTTP_PATH)]
"""The path of a URL, from its slash on, without a query."""

Version = Annotated[
    str,
    BeforeValidator(_version),
    Field(pattern=LABEL_VALUE),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
"""The version of a model: at once an image tag and the value of a label, so up to 63 letters, digits, `_`, `.`, `-`."""

Digest = Annotated[str, Field(pattern=DIGEST)]
"""The digest of an image, `sha256:` and 64 hexadecimal digits."""

LabelValue = Annotated[str, Field(pattern=LABEL_VALUE)]
"""The value of a Kubernetes label."""
