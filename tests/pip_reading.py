"""How pip itself reads a requirements file."""

from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import RequirementsFileParser, get_line_parser, handle_requirement_line

from homeport.images.requirements import Requirement

Read = tuple[str, tuple[str, ...], str, str, tuple[str, ...]]
"""Name, extras, versions, marker, hashes."""


def pip_reads(content: bytes, scratch: Path) -> list[Read]:
    """The packages of a file, as pip reads them. Fails if pip reads anything else, such as an option or an address."""
    file = scratch / "requirements.txt"
    file.write_bytes(content)
    lines = list(RequirementsFileParser(PipSession(), get_line_parser(None)).parse(str(file), constraint=False))
    assert all(line.requirement for line in lines), "an option"
    return [_package(install_req_from_parsed_requirement(handle_requirement_line(line))) for line in lines]


def understood(found: Requirement) -> Read:
    """The same of what homeport understood."""
    named = found.named
    marker = str(named.marker) if named.marker else ""
    return found.name, tuple(sorted(named.extras)), str(named.specifier), marker, tuple(sorted(found.hashes))


def _package(found: Any) -> Read:
    assert not found.editable
    assert found.link is None, found.link
    assert not found.config_settings
    hashes = (f"{kind}:{digest}" for kind, digests in found.hash_options.items() for digest in digests)
    marker = str(found.markers) if found.markers else ""
    return (
        canonicalize_name(found.req.name),
        tuple(sorted(found.extras)),
        str(found.req.specifier),
        marker,
        tuple(sorted(hashes)),
    )
