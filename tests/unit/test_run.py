"""`homeport run` short of running: what it refuses, which limits it chooses, and what a virtual environment depends on."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from homeport.cli import app
from homeport.commands import virtualenv
from homeport.commands.run import prepare, python_version
from homeport.commands.run_limits import limits
from homeport.images.requirements import Requirements

SPEC = "name: fraud\nowner: risk\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HOMEPORT_SERVER_PACKAGE", raising=False)
    (tmp_path / "fraud").mkdir()
    (tmp_path / "fraud" / "model.py").write_text("def predict(amount: float): ...\n")
    return tmp_path / "fraud"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Requirements, str, str]]:
    """What virtual environments are made from, in place of making them."""
    found: list[tuple[Requirements, str, str]] = []

    def make(_: Path, requirements: Requirements, python: str, server: str) -> None:
        found.append((requirements, python, server))
        (_ / "bin").mkdir(parents=True)

    monkeypatch.setattr(virtualenv, "_make", make)
    return found


@pytest.fixture
def port() -> Iterator[int]:
    """One that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def homeport(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments], prog_name="homeport")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (None, "fraud/model.yaml: no such file (looked in "),
        ("build: {serve: model}\n", 'fraud/model.yaml:3: build.serve: found "model", accepted: '),
        (
            "build: {requirements: all.txt, files: [a.py]}\n",
            'fraud/model.yaml:3: build.requirements: found "all.txt", accepted: path of a file in fraud (no such file)\n'
            'fraud/model.yaml:3: build.files[0]: found "a.py", accepted: path of a file in fraud (no such file)\n',
        ),
        (
            "build: {dockerfile: Dockerfile}\nresources: {cpu: 500m, memory: 512Mi}\n",
            "`homeport run` does not serve a model with its own Dockerfile; instead, run: docker build -t fraud -f "
            "fraud/Dockerfile fraud && docker run --rm --read-only --tmpfs /tmp --cpus=0.5 --memory=536870912 "
            "-p 127.0.0.1:8080:8080 fraud\n",
        ),
        (
            "image: registry.example.com/fraud\nprotocol: http\nport: 9000\nhealth: {live: /l, ready: /r}\n"
            "resources: {cpu: 2, memory: 4Gi}\n",
            "`homeport run` needs `build`, and the model has `image`; instead, run: docker run --rm --read-only --tmpfs /tmp "
            "--cpus=2 --memory=4294967296 -p 127.0.0.1:9000:9000 registry.example.com/fraud:VERSION\n",
        ),
    ],
)
def test_what_cannot_be_served_here(folder: Path, spec: str | None, reason: str) -> None:
    if spec:
        (folder / "model.yaml").write_text(SPEC + spec)
    (folder / "Dockerfile").touch()
    result = homeport("fraud")
    assert result.exit_code == 1
    assert result.stderr.startswith(reason)
    assert result.stdout == ""


def test_secrets_are_files_of_the_users_own(
    folder: Path, made: list[tuple[Requirements, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.yaml").write_text(f"{SPEC}build: {{}}\nsecrets:\n- {{name: licence, reason: the solver}}\n")
    expected = 'fraud/model.yaml:5: secrets[0]: found no value of "licence": set the variable HOMEPORT_SECRETS to a folder outside'
    monkeypatch.delenv("HOMEPORT_SECRETS", raising=False)
    assert homeport("fraud").stderr.startswith(expected)
    (tmp_path / "mine").mkdir()
    (folder / "licence").write_text("in the image")
    for wrong in ("mine", "fraud"):
        monkeypatch.setenv("HOMEPORT_SECRETS", wrong)
        assert homeport("fraud").stderr.endswith(f"that has a file of this name (found {wrong})\n")
    monkeypatch.setenv("HOMEPORT_SECRETS", "mine")
    (tmp_path / "mine" / "licence").write_text("not to be printed")
    assert made == []
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    serving = prepare(Path("fraud"), port, "homeport-server")
    assert serving.variables["HOMEPORT_SECRETS"] == str(tmp_path / "mine")
    assert "not to be printed" not in str(serving)


def test_mistakes_in_the_code_are_told_before_anything_is_installed(
    folder: Path, made: list[tuple[Requirements, str, str]]
) -> None:
    (folder / "model.yaml").write_text(SPEC + "build: {serve: model:predict, requirements: requirements.txt}\n")
    (folder / "requirements.txt").write_text("our-library\n")
    (folder / "model.py").write_text("def predict(amount): ...\n")
    assert homeport("fraud").stderr.startswith("fraud/model.py:1: found `amount` without an annotation, accepted: ")
    assert made == []
    (folder / "model.py").write_text("import sklearn\ndef predict(amount: float): ...\n")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    assert (
        prepare(Path("fraud"), port, "homeport-server").lines[0].startswith("fraud/model.py:1: found `import sklearn`")
    )


def test_a_port_that_is_taken(folder: Path, port: int) -> None:
    (folder / "model.yaml").write_text(SPEC + "build: {serve: model:predict}\n")
    assert homeport("fraud", "--port", str(port)).stderr == (
        f"port {port} of 127.0.0.1 is in use: choose another --port\n"
    )
    assert homeport("fraud", "--port", str(port - 2)).stderr.startswith(f"port {port} of 127.0.0.1 is in use")


def test_a_virtualenv_is_made_once_for_what_it_is_made_from(
    made: list[tuple[Requirements, str, str]], tmp_path: Path
) -> None:
    requirements, nothing = Requirements.read(b"numpy\n"), Requirements()
    server = tmp_path / "server"
    server.mkdir()
    (server / "a.py").write_text("")
    first = virtualenv.virtualenv(requirements, "3.11", str(server))
    assert first.is_relative_to(tmp_path / "cache" / "virtualenvs")
    assert virtualenv.virtualenv(requirements, "3.11", str(server)) == first
    assert made == [(requirements, "3.11", str(server))]
    others = [
        virtualenv.virtualenv(requirements, "3.12", str(server)),
        virtualenv.virtualenv(requirements, "3.11", "homeport-server==1"),
        virtualenv.virtualenv(nothing, "3.11", str(server)),
    ]
    (server / "a.py").write_text("changed")
    others.append(virtualenv.virtualenv(requirements, "3.11", str(server)))
    others.append(virtualenv.virtualenv(Requirements.read(b"numpy==2\n"), "3.11", str(server)))
    assert len({first, *others}) == 6


def test_a_virtualenv_that_failed_is_made_again(
    folder: Path, made: list[tuple[Requirements, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(place: Path, *_: object) -> None:
        (place / "bin").mkdir(parents=True)
        raise virtualenv.VirtualenvError("no network")

    with monkeypatch.context() as patched:
        patched.setattr(virtualenv, "_make", fail)
        (folder / "model.yaml").write_text(SPEC + "build: {serve: model:predict}\n")
        result = homeport("fraud", "--port", "1234")
        assert (result.exit_code, result.stderr) == (1, "no network\n")
    virtualenv.virtualenv(Requirements(), f"3.{sys.version_info.minor}", virtualenv.server_package())
    assert len(made) == 1


@pytest.mark.usefixtures("made")
def test_a_virtualenv_that_is_not_used_for_long_goes_when_another_is_made() -> None:
    month = 31 * 24 * 60 * 60
    old, used = (virtualenv.virtualenv(Requirements(), python, "a==1").parent.parent for python in ("3.11", "3.12"))
    for each in (old, used):
        os.utime(each / "complete", (each.stat().st_mtime - month,) * 2)
    virtualenv.virtualenv(Requirements(), "3.12", "a==1")
    assert old.exists()
    virtualenv.virtualenv(Requirements(), "3.13", "a==1")
    assert (old.exists(), used.exists()) == (False, True)


def test_a_tool_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no network >&2\nexit 3\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(
        virtualenv.VirtualenvError, match=r"uv venv .* failed with exit code 3; its output above says why"
    ):
        virtualenv.virtualenv(Requirements(), "3.11", "homeport-server==1")


def test_a_python_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(virtualenv.VirtualenvError, match=r"found no python3\.99 on PATH: install it, or install uv"):
        virtualenv.virtualenv(Requirements(), "3.99", "homeport-server==1")


def test_where_the_server_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Path(virtualenv.server_package(), "homeport_server", "__main__.py").is_file()
    monkeypatch.setattr(virtualenv, "_CHECKOUT", tmp_path)
    assert virtualenv.server_package().startswith("homeport-server==")
    monkeypatch.setenv("HOMEPORT_SERVER_PACKAGE", "../server.whl")
    assert virtualenv.server_package() == "../server.whl"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can bind a process to cores")
@pytest.mark.parametrize(
    ("cpu", "line"), [("500m", "limited to 1, because this machine can only limit whole cores"), ("1", "limited")]
)
def test_limits_that_a_process_keeps_itself(monkeypatch: pytest.MonkeyPatch, cpu: str, line: str) -> None:
    monkeypatch.setattr("homeport.commands.run_limits._scope", lambda *_: None)
    found = limits(cpu, "512Mi")
    assert found.command == ()
    assert found.lines == (
        f"cpu {cpu}: {line}",
        "memory 512Mi: limited; above it Python raises MemoryError here, and the process is killed when deployed",
    )
    script = "import os, resource; print(len(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_DATA))"
    own = f"from homeport.commands.run_limits import limits; limits({cpu!r}, '512Mi').apply()"
    done = subprocess.run(
        [sys.executable, "-c", f"{own}\n{script}"],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"1 ({512 << 20}, {512 << 20})\n"


@pytest.mark.parametrize(
    ("base", "version"),
    [
        ("python-3.12", "3.12"),
        ("cuda-12.3.1-py3.13", "3.13"),
        ("cuda-12.3.1", f"3.{sys.version_info.minor}"),
        (None, f"3.{sys.version_info.minor}"),
    ],
)
def test_the_version_of_python_is_in_the_name_of_the_base(base: str | None, version: str) -> None:
    assert python_version(base) == version


def test_a_command_that_limits_gets_the_users_variables_and_the_server_only_its_own() -> None:
    """With `env` in place of systemd-run, which passes its own variables on as well."""
    script = (
        "from pathlib import Path\n"
        "from homeport import Model\nfrom homeport.commands.run import Serving\nfrom homeport.commands.run_limits import Limits\n"
        "model = Model(name='a', owner='b', image='c.example.com/d')\n"
        "limits = Limits(('env', 'SEEN_BY_SYSTEMD=1'), lambda: None, ())\n"
        "command = ['/bin/sh', '-c', 'echo $OWN $SEEN_BY_SYSTEMD; exit 3']\n"
        "Serving(model, Path(), 8080, limits, command, {'OWN': 'a b'}).serve()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "a b\n")


def test_limits_on_a_machine_that_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.commands.run_limits._scope", lambda *_: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    found = limits("2", "4Gi")
    reason = "not limited, because this machine cannot do it"
    assert found.lines == (f"cpu 2: {reason}", f"memory 4Gi: {reason}")
    found.apply()


@pytest.mark.parametrize(
    ("holds", "held"),
    [("50000 100000\n536870912", True), ("536870912", False), ("max 100000\nmax", False), ("50000 100000\nmax", False)],
    ids=["both", "memory only", "none", "cpu only"],
)
def test_limits_of_a_users_systemd_count_only_if_the_cgroup_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, holds: str, held: bool
) -> None:
    """With a systemd-run that says what its cgroup would; a systemd of the user is not to be had in a test."""
    (tmp_path / "holds").write_text(holds)
    command = tmp_path / "systemd-run"
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/holds\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = limits("500m", "512Mi")
    asked = (tmp_path / "asked").read_text()
    assert "--property=CPUQuota=50% --property=MemoryMax=536870912 --property=MemorySwapMax=0" in asked
    assert bool(found.command) == held
    if held:
        assert found.lines == ("cpu 500m and memory 512Mi: limited, as when deployed",)
