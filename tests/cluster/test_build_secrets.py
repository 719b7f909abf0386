"""On a real builder: what a hostile folder and hostile packages find of the machine's credentials, which is nothing."""

import base64
import hashlib
import json
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sandbox.image import NAME, TAG
from tests.cluster.test_images import fetched
from tests.support import Cluster, Program, write_program
from tests.wheels import source, wheel

PROGRAM = """\
import json
import pulumi
from homeport import ModelImage, ModelImageArgs

with open("arguments.json") as file:
    image = ModelImage("hostile", ModelImageArgs(**json.load(file), folder="model", version="1"))
pulumi.export("ref", image.ref)
"""
SERVER = f"9.{secrets.randbelow(10**9)}"
"""Of homeport-server: here a wheel without content, so that a build takes seconds; another one each time, so that it is
built and not taken from the builder's cache."""

STEAL = "import glob, os; open('/opt/venv/stolen', 'a').write(repr((dict(os.environ), [open(f).read() for f in glob.glob('/run/secrets/*')])))"
"""What a package would do if any code of it ran."""
MASK = "#!/bin/sh\n(env; cat /run/secrets/*) > /opt/venv/stolen\n"
"""The same as a program."""


@dataclass
class Index:
    """A package index that only answers who has the password."""

    folder: Path
    password: str = field(default_factory=lambda: f"pw-{secrets.token_hex(12)}")
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://user:{self.password}@127.0.0.1:{self.port}/simple"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("index"))
    wanted = "Basic " + base64.b64encode(f"user:{index.password}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            if self.path.startswith("/simple") and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=index")
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    for name in ("homeport-server", "spy", "mask", "thief"):
        (index.folder / "simple" / name).mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(index.folder))) as server:
        index.port = server.server_address[1]
        wheel(index.folder / "simple/homeport-server", "homeport-server", SERVER, **{"homeport_server.py": ""})
        wheel(index.folder / "simple/spy", "spy", **{"spy.pth": STEAL, "sitecustomize.py": STEAL})
        wheel(index.folder / "simple/mask", "mask", DATA__scripts__python=MASK)
        source(
            index.folder,
            "evil",
            f"{STEAL}\nimport urllib.request\nurllib.request.urlopen('http://127.0.0.1:{index.port}/ran')\n",
        )
        wheel(index.folder / "simple/thief", "thief", requires=f"evil @ http://127.0.0.1:{index.port}/evil-1.tar.gz")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield index
        server.shutdown()
        thread.join()


Built = Callable[..., tuple[Program, str]]


@pytest.fixture
def built(builder: Cluster, registry: str, index: Index, tmp_path: Path) -> Built:
    """Builds a model's folder; returns the program and what `pulumi up` printed."""

    def build(
        files: dict[str, str], *, links: dict[str, str] | None = None, fails: bool = False, **build: Any
    ) -> tuple[Program, str]:
        folder = write_program(tmp_path / "program", "hostile", PROGRAM)
        images = {
            "registry": f"{registry}/{secrets.token_hex(4)}",
            "bases": {"python-3.11": f"{registry}/{NAME}:{TAG}"},
            "pip": ["PIP_INDEX_URL"],
            "server": SERVER,
        }
        environment = {"cluster": {"identifier": "dev"}, "images": images}
        model = {"name": "hostile", "owner": "test", "build": build}
        (folder / "arguments.json").write_text(json.dumps({"model": model, "environment": environment}))
        for name, text in files.items():
            (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "model" / name).write_text(text)
        for name, target in (links or {}).items():
            (folder / "model" / name).symlink_to(target)
        program = Program(builder, folder, tmp_path / "state", "dev")
        kept = {name: value for name, value in program.variables.items() if not name.startswith("PIP_")}
        program.variables = kept | {"PIP_INDEX_URL": index.url, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
        return program, program("up", "--yes", "--skip-preview", "--stack=dev", fails=fails)

    return build


@dataclass
class Content:
    """What is in a pushed image: its configuration with its history, and the files of its layers."""

    config: str
    files: dict[str, bytes]
    links: dict[str, str]


def content(registry: str, reference: str) -> Content:
    name, _, tag_and_digest = reference.removeprefix(f"{registry}/").partition(":")
    digest = tag_and_digest.partition("@")[2]
    manifest = fetched(registry, f"/v2/{name}/manifests/{digest}")
    found = Content(
        json.dumps([manifest, fetched(registry, f"/v2/{name}/blobs/{manifest['config']['digest']}")]), {}, {}
    )
    for layer in manifest["layers"]:
        # The tool, because this Python has no zstd.
        blob = subprocess.run(
            ["curl", "-sS", f"http://{registry}/v2/{name}/blobs/{layer['digest']}"], capture_output=True, check=True
        ).stdout
        tool = ["zstd", "-dc"] if layer["mediaType"].endswith("zstd") else ["gzip", "-dc"]
        data = subprocess.run(tool, input=blob, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            for member in archive:
                if member.isfile() and (stream := archive.extractfile(member)):
                    found.files[member.name] = stream.read()
                elif member.issym():
                    found.links[member.name] = member.linkname
    return found


LOCKED = "spy==1 --hash=sha256:{digest}\n"


@pytest.mark.parametrize("requirements", ["spy\n", "mask\n", LOCKED])
def test_a_package_finds_no_credentials_and_none_are_kept_or_shown(
    requirements: str, built: Built, registry: str, index: Index
) -> None:
    digest = hashlib.sha256((index.folder / "simple/spy/spy-1-py3-none-any.whl").read_bytes()).hexdigest()
    files = {
        "model.py": "def predict(): ...\n",
        "requirements.txt": f"# ${{PIP_INDEX_URL}}\n{requirements.format(digest=digest)}",
        ".git/config": "token\n",
        "sub/.git": "token\n",
        "sub/data.csv": "a\n",
        ".env": "token\n",
        ".dockerignore": "!**/.git\n!.env\n",
    }
    program, shown = built(files, requirements="requirements.txt")
    assert f"Looking in indexes: http://user:****@127.0.0.1:{index.port}/simple" in shown
    image = content(registry, program.outputs()["ref"])
    assert any(f"site-packages/{requirements[:3]}" in name for name in image.files)
    assert any(f"/simple/{requirements[:3]}" in path for path in index.asked)
    assert not any("stolen" in name for name in image.files)
    told = {"output": shown, "history": image.config, "state": json.dumps(program.state())}
    told |= {name: data.decode(errors="replace") for name, data in image.files.items()}
    assert [where for where, text in told.items() if index.password in text] == []
    # Of the folder only what is meant is in the image.
    assert {name for name in image.files if name.startswith("model/")} == {
        "model/model.py",
        "model/requirements.txt",
        "model/sub/data.csv",
    }


def test_a_source_that_a_wheel_depends_on_does_not_run(built: Built, index: Index) -> None:
    _, shown = built({"requirements.txt": "thief\n"}, fails=True, requirements="requirements.txt")
    assert "pip would run code of a package, accepted: wheels only" in shown
    assert "/evil-1.tar.gz" in index.asked
    assert "/ran" not in index.asked
    assert index.password not in shown


DOCKERFILE = """\
# syntax=127.0.0.1:1/someone/elses:frontend
FROM {registry}/{base}
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=PIP_INDEX_URL (env; cat /run/secrets/*) > /secrets; ls -A /run/secrets > /names || true
COPY . /context/
RUN --mount=type=bind,target=/bound find /bound > /bound.txt
"""


def test_a_dockerfile_of_the_authors_own_sees_neither_credentials_nor_what_git_keeps(
    built: Built, registry: str, index: Index
) -> None:
    files = {
        "Dockerfile": DOCKERFILE.format(registry=registry, base=f"{NAME}:{TAG}"),
        "Dockerfile.dockerignore": "!**/.git\n",
        ".git/config": "token\n",
        "sub/.GIT/config": "token\n",
        "a/b/.git": "token\n",
        "data.csv": "a\n",
    }
    program, shown = built(files, dockerfile="Dockerfile")
    image = content(registry, program.outputs()["ref"])
    assert "context/data.csv" in image.files
    assert not any(".git" in name.lower() for name in [*image.files, *image.links])
    assert b".git" not in image.files["bound.txt"].lower()
    assert b"data.csv" in image.files["bound.txt"]
    assert image.files["names"] == b""
    assert index.password not in shown + image.config + image.files["secrets"].decode()


def test_a_link_inside_of_the_folder_is_a_link_in_the_image(built: Built, registry: str) -> None:
    program, _ = built({"data/a.csv": "a\n"}, links={"link.csv": "data/a.csv", "data/back": "../data"})
    image = content(registry, program.outputs()["ref"])
    assert {name: target for name, target in image.links.items() if name.startswith("model/")} == {
        "model/link.csv": "data/a.csv",
        "model/data/back": "../data",
    }


def test_a_link_that_leads_out_ends_the_update_before_a_build(built: Built, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of the machine\n")
    _, shown = built({"data/a.csv": "a\n"}, links={"link.csv": "../../token"}, fails=True)
    assert "hostile.model.build: found link.csv: a link that leads out, or to nothing" in shown
    assert "of the machine" not in shown
