"""Quantities of cpu and memory, in the form in which the Kubernetes API server stores them.

`1000m` becomes `1` and `2048Mi` becomes `2Gi`, so that a manifest states the same text as the cluster returns.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS: Mapping[str, Decimal | int] = {"": 1, "m": Decimal("0.001"), **BINARY, **DECIMAL}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
CPU = re.compile(rf"{_NUMBER}(m?)")
MEMORY = re.compile(rf"{_NUMBER}({'|'.join([*BINARY, *DECIMAL])})")


def millicores(cpu: str) -> int:
    """Thousandths of a core in a cpu quantity: `500m` is 500, `2` is 2000."""
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def cpu_quantity(thousandths: int) -> str:
    """The canonical quantity of thousandths of a core."""
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def byte_count(memory: str) -> int:
    """Bytes in a canonical memory quantity: `1Ki` is 1024, `1k` is 1000."""
    digits = memory.rstrip("KMGTki")
    unit = memory[len(digits) :]
    return int(digits) * (BINARY | DECIMAL | {"": 1})[unit]


def memory_quantity(count: int) -> str:
    """The canonical quantity of a number of bytes, in the largest unit that gives a whole number."""
    for units in (BINARY, DECIMAL):
        for unit, size in reversed(units.items()):
            if count % size == 0:
                return f"{count // size}{unit}"
    return str(count)


def amount(quantity: str) -> Decimal:
    """The number that a quantity of the API server stands for, in cores, bytes or pieces."""
    digits = quantity.rstrip("mkKMGTi")
    return Decimal(digits) * _UNITS[quantity[len(digits) :]]


def cpu(found: Any) -> str:
    """The canonical form of a cpu quantity.

    Raises:
        ValueError: It is not a cpu quantity. The text says what is accepted.
    """
    match = CPU.fullmatch(str(found)) if isinstance(found, int | float | str) and not isinstance(found, bool) else None
    thousandths = Decimal(match[1]) * (1 if match[2] else 1000) if match else Decimal(0)
    if not thousandths or thousandths % 1:
        raise ValueError('cores above 0 in steps of 0.001, such as 2, 0.5 or "500m"')
    return cpu_quantity(int(thousandths))


def memory(found: Any) -> str:
    """The canonical form of a memory quantity.

    Raises:
        ValueError: It is not a memory quantity. The text says what is accepted.
    """
    match = MEMORY.fullmatch(found) if isinstance(found, str) else None
    count = Decimal(match[1]) * (BINARY | DECIMAL)[match[2]] if match else Decimal(0)
    if not count or count % 1:
        raise ValueError("bytes above 0 with a unit, such as 512Mi or 4Gi")
    return memory_quantity(int(count))
