"""Wheels and sources of packages that do more than a package should."""

import io
import tarfile
import zipfile
from pathlib import Path


def wheel(folder: Path, name: str, version: str = "1", requires: str = "", **files: str) -> Path:
    """A wheel. `requires` is what it depends on; `files` are its own, with `__` for a slash and `DATA` for its data."""
    dist = f"{name.replace('-', '_')}-{version}"
    content = {each.replace("__", "/").replace("DATA", f"{dist}.data"): text for each, text in files.items()}
    content |= {
        f"{dist}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{dist}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{dist}.dist-info/RECORD"] = "".join(f"{each},,\n" for each in [*content, f"{dist}.dist-info/RECORD"])
    file = folder / f"{dist}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for each, text in content.items():
            entry = zipfile.ZipInfo(each)
            entry.external_attr = 0o100755 << 16  # pip makes programs of the scripts that are
            archive.writestr(entry, text)
    return file


def source(folder: Path, name: str, code: str) -> Path:
    """A source distribution. The code runs when pip asks what the package needs."""
    files = {
        "pyproject.toml": "[build-system]\nrequires=[]\nbuild-backend='backend'\nbackend-path=['.']\n",
        "backend.py": code,
    }
    file = folder / f"{name}-1.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for each, text in files.items():
            member = tarfile.TarInfo(f"{name}-1/{each}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return file
