"""The `homeport` command: what it prints where, with which exit code, and every message."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.core import TyperOption
from typer.testing import CliRunner, Result

from homeport.cli import app

ENVIRONMENT = "cluster: {identifier: dev}\nlimits: {replicas: 5}\n"
MODEL = "name: iris\nowner: ds\nimage: registry.example.com/iris\n"
LIVE = 'models:\n  iris:\n    spec: ../../iris.yaml\n    stable: {version: "1"}\n'
ROOT = Path(__file__).parents[2]
OK = (
    "{0}: ok, 1 model, 11 objects, from 3 files\n"
    "{0}: an update takes at most: iris 1 to 3 x (start 60 s + stability 5 s) = 65 to 195 s\n"
)
"""What is said of a stack with the model."""


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two stacks with one model, in the working directory."""
    for stack in ("dev", "prod"):
        folder = tmp_path / "stacks" / stack
        folder.mkdir(parents=True)
        (folder / "environment.yaml").write_text(ENVIRONMENT.replace("dev", stack))
        (folder / "models.yaml").write_text(LIVE)
    (tmp_path / "iris.yaml").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    for variable in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def homeport(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, arguments, env=env, prog_name="homeport")


def test_check_shows_whose_updates_cost_capacity(repository: Path) -> None:
    (repository / "stacks" / "dev" / "environment.yaml").write_text(
        "cloud: gke\ncluster: {identifier: dev}\nrelax: {gpu_downtime: all in use}\n"
    )
    model = repository / "iris.yaml"
    model.write_text(MODEL + "resources: {gpu: {kinds: [l4]}}\n")
    lines = ["dev: relaxed gpu_downtime: all in use", "dev: iris is down during each update"]
    assert homeport("check", "dev").stdout.splitlines()[2:] == lines
    assert json.loads(homeport("check", "dev", "-o", "json").stdout)["stacks"][0]["in_place"] == {"iris": 1}
    model.write_text(model.read_text() + "scale: {min: 3, max: 3}\n")
    assert homeport("check", "dev").stdout.splitlines()[-1] == "dev: iris serves with 2 of 3 replicas during updates"


def test_check_tells_what_updates_take_and_wait_for(repository: Path) -> None:
    (repository / "stacks" / "dev" / "environment.yaml").write_text(
        "cluster: {identifier: dev}\nmax_surge: 2\nlimits: {total: {cpu: 2, memory: 8Gi}}\n"
    )
    names = ["iris", *(f"m{index}" for index in range(6))]
    for seconds, name in enumerate(names, 10):
        (repository / f"{name}.yaml").write_text(
            MODEL.replace("iris", name)
            + f"scale: {{min: 1, max: 2}}\nstartup_seconds: {seconds}\nresources: {{cpu: 100m}}\n"
        )
    live = LIVE + "".join(LIVE.partition("\n")[2].replace("iris", name) for name in names[1:])
    (repository / "stacks" / "dev" / "models.yaml").write_text(live)
    _, updates, *waits = homeport("check", "dev").stdout.splitlines()
    assert updates == (
        "dev: an update takes at most: "
        + "; ".join(
            f"m{index} 1 x (start {11 + index} s + stability 5 s) = {16 + index} s" for index in (5, 4, 3, 2, 1)
        )
        + "; 2 shorter ones"
    )
    assert waits == []
    (repository / "m0.yaml").write_text(
        MODEL.replace("iris", "m0") + "scale: {min: 1, max: 2}\nresources: {cpu: 400m}\n"
    )
    wait = (
        "with all models at their maximum replicas, an update waits for room: m0 800m, iris 200m, m1 200m, m2 200m, m3 200m (and "
        "2 models) more, and limits.total.cpu has 0 left"
    )
    assert homeport("check", "dev").stdout.splitlines()[-1] == f"dev: {wait}"
    assert f"::notice::dev: {wait}\n" in homeport("check", "dev", "-o", "github").stdout
    (checked,) = json.loads(homeport("check", "dev", "-o", "json").stdout)["stacks"]
    assert (len(checked["updates"]), checked["waits"]) == (7, [wait])


def test_check_tells_what_variables_override(repository: Path) -> None:
    (repository / "stacks" / "dev" / "environment.yaml").write_text(ENVIRONMENT + "images: {registry: r.example.com}\n")
    variables = {"HOMEPORT_REGISTRY": "127.0.0.1:5000", "HOMEPORT_CONTEXT": "kind"}
    assert homeport("check", env=variables).stdout == (
        f"{OK.format('dev')}"
        "dev: cluster.context is kind (HOMEPORT_CONTEXT)\n"
        "dev: cluster.identifier is kind (HOMEPORT_CONTEXT)\n"
        "dev: images.registry is 127.0.0.1:5000 (HOMEPORT_REGISTRY)\n"
        f"{OK.format('prod')}"
        "prod: cluster.context is kind (HOMEPORT_CONTEXT)\n"
        "prod: cluster.identifier is kind (HOMEPORT_CONTEXT)\n"
    )
    (dev,) = json.loads(homeport("check", "dev", "-o", "json", env=variables).stdout)["stacks"]
    assert dev["overrides"][-1] == {
        "variable": "HOMEPORT_REGISTRY",
        "field": "images.registry",
        "value": "127.0.0.1:5000",
    }
    github = homeport("check", "dev", "-o", "github", env=variables).stdout
    assert "::notice::dev: images.registry is 127.0.0.1:5000 (HOMEPORT_REGISTRY)\n" in github


def test_check_refuses_a_variable_as_it_does_a_field(repository: Path) -> None:
    (repository / "stacks" / "dev" / "environment.yaml").write_text(ENVIRONMENT + "images: {registry: r.example.com}\n")
    (repository / "iris.yaml").write_text(MODEL + "startup: 3\n")
    result = homeport("check", "dev", env={"HOMEPORT_REGISTRY": "not a registry!"})
    assert result.exit_code == 1
    variable, field, end = result.stdout.splitlines()
    assert variable == (
        'HOMEPORT_REGISTRY: found "not a registry!", accepted: a registry, or a folder in it, such as '
        "registry.example.com/models [dev]"
    )
    assert field.startswith("iris.yaml:4: startup: unknown field")
    assert end == "dev: 2 problems"
    assert homeport("render", "dev", env={"HOMEPORT_REGISTRY": "not a registry!"}).exit_code == 1


def refusal(result: Result) -> str:
    """The message of a usage error, without the frame around it."""
    assert result.exit_code == 2
    assert result.stdout == ""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split("Error", 1)[1].split())


def test_check_tells_of_each_stack_what_was_checked() -> None:
    result = homeport("check")
    assert result.exit_code == 0
    assert result.stdout == OK.format("dev") + OK.format("prod")
    assert result.stderr == ""


def test_check_of_one_stack(repository: Path) -> None:
    (repository / "stacks" / "prod" / "models.yaml").write_text("models: 3\n")
    assert homeport("check", "dev").exit_code == 0


def test_check_reports_all_problems_of_all_files_each_once(repository: Path) -> None:
    (repository / "iris.yaml").write_text(MODEL + "scale: {max: 9}\nstartup: 3\n")
    (repository / "stacks" / "prod" / "environment.yaml").write_text("cluster: {}\n")
    result = homeport("check")
    assert result.exit_code == 1
    unknown = next(line for line in result.stdout.splitlines() if "startup" in line)
    assert unknown.startswith("iris.yaml:5: startup: unknown field, perhaps `startup_seconds` is meant, accepted: ")
    assert unknown.endswith("[dev, prod]")
    assert result.stdout.splitlines()[1:] == [
        "stacks/prod/environment.yaml:1: cluster.identifier: missing, required: Name of the cluster for Pulumi. Only a "
        "change of this name makes Pulumi replace what is deployed. [prod]",
        "dev: 1 problem",
        "prod: 2 problems",
    ]


def test_check_names_model_field_value_and_ceiling(repository: Path) -> None:
    (repository / "iris.yaml").write_text(MODEL + "scale: {max: 9}\n")
    assert homeport("check", "dev").stdout.splitlines() == [
        "iris.yaml:4: iris.scale.max: found 9 replicas, accepted: 5 or fewer (limits.replicas) [dev]",
        "dev: 1 problem",
    ]


def test_check_for_programs(repository: Path) -> None:
    (repository / "stacks" / "prod" / "environment.yaml").write_text(ENVIRONMENT + "teams: 1.5\n")
    result = homeport("check", "--output", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "ok": False,
        "stacks": [
            {
                "stack": "dev",
                "ok": True,
                "files": ["stacks/dev/environment.yaml", "stacks/dev/models.yaml", "iris.yaml"],
                "models": {"iris": "1"},
                "objects": 11,
                "overrides": [],
                "relaxed": {},
                "in_place": {},
                "commits_unknown": None,
                "unused_grants": [],
                "hints": [],
                "updates": {
                    "iris": {
                        "steps": [1, 3],
                        "start_seconds": 60,
                        "stability_seconds": 5,
                        "drain_seconds": 0,
                        "seconds": [65, 195],
                    }
                },
                "waits": [],
                "problems": [],
            },
            {
                "stack": "prod",
                "ok": False,
                "files": [],
                "models": {},
                "objects": 0,
                "overrides": [],
                "relaxed": {},
                "in_place": {},
                "commits_unknown": None,
                "unused_grants": [],
                "hints": [],
                "updates": {},
                "waits": [],
                "problems": [
                    {
                        "file": "stacks/prod/environment.yaml",
                        "line": 3,
                        "field": "teams",
                        "message": "found 1.5, accepted: a mapping",
                    }
                ],
            },
        ],
    }


def test_check_on_github_annotates_lines(repository: Path) -> None:
    (repository / "iris.yaml").write_text(MODEL + "scale: {max: 9}\n")
    result = homeport("check", env={"GITHUB_ACTIONS": "true"})
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "::error file=iris.yaml,line=4,title=dev%2C prod::iris.scale.max: found 9 replicas, accepted: 5 or fewer "
        "(limits.replicas)",
        "dev: 1 problem",
        "prod: 1 problem",
    ]
    assert homeport("check", "-o", "text", env={"GITHUB_ACTIONS": "true"}).stdout.startswith("iris.yaml:4: ")


def test_annotations_are_of_files_in_the_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "iris.yaml").write_text(MODEL + "scale: {max: 9}\n")
    monkeypatch.chdir(repository / "stacks")
    shown = homeport(
        "check", "dev", "--stacks", ".", env={"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(repository)}
    )
    assert shown.stdout.startswith("::error file=iris.yaml,line=4,title=dev::")


def test_annotation_is_one_line(repository: Path) -> None:
    (repository / "iris.yaml").write_text(MODEL + 'scale: {max: "100%\\n"}\n')
    shown = homeport("check", "dev", "-o", "github").stdout
    assert shown.splitlines()[0] == (
        '::error file=iris.yaml,line=4,title=dev::scale.max: found "100%25\\n", accepted: a whole number'
    )


def test_stack_that_is_not_there() -> None:
    assert refusal(homeport("check", "test")) == (
        'Invalid value for STACK: found "test", accepted: dev, prod (in stacks)'
    )


def test_stack_by_the_whole_of_pulumis_name() -> None:
    assert homeport("check", "acme/models/dev", "dev").stdout == OK.format("dev")


def test_an_option_takes_the_same_thing_in_every_command() -> None:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    options = [each for command in commands for each in command.params if isinstance(each, TyperOption)]
    taken = {(name, each.metavar) for each in options for name in each.opts}
    assert {("--stack", "NAME"), ("--stacks", "DIR")} <= taken
    assert len(taken) == len({name for name, _ in taken})


@pytest.mark.parametrize("command", ["check", "render"])
def test_folder_without_stacks(command: str) -> None:
    assert refusal(homeport(command, "--stacks", "nowhere")) == (
        "Invalid value for --stacks: found no nowhere/*/environment.yaml: name the folder that contains the stacks"
    )


def test_format_that_is_not_known() -> None:
    assert "'xml' is not one of 'text', 'json', 'github'" in refusal(homeport("check", "--output", "xml"))


def test_render_to_files_and_to_nowhere_at_once() -> None:
    assert refusal(homeport("render", "--stdout", "--out", "x")) == (
        "Invalid value for --out: cannot be combined with --stdout"
    )


def test_render_says_what_it_did(repository: Path) -> None:
    assert homeport("render").stdout == (
        "rendered/dev: 1 written, 0 unchanged, 0 removed\nrendered/prod: 1 written, 0 unchanged, 0 removed\n"
    )
    (repository / "stacks" / "dev" / "models.yaml").write_text("models: {}\n")
    assert homeport("render", "--out", "rendered").stdout == (
        "rendered/dev: 0 written, 0 unchanged, 1 removed\nrendered/prod: 0 written, 1 unchanged, 0 removed\n"
    )


def test_render_writes_nothing_with_problems_anywhere(repository: Path) -> None:
    (repository / "stacks" / "prod" / "models.yaml").write_text("models: 3\n")
    result = homeport("render")
    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == (
        "",
        "stacks/prod/models.yaml:1: models: found 3, accepted: a mapping [prod]\n",
    )
    assert not (repository / "rendered").exists()


def test_render_leaves_files_of_others_alone(repository: Path) -> None:
    mine = repository / "rendered" / "dev" / "iris.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine: true\n")
    result = homeport("render", "dev")
    assert result.exit_code == 1
    assert result.stderr == (
        "rendered/dev/iris.yaml: found a file that homeport did not write: move it away, or choose another folder\n"
    )
    assert mine.read_text() == "mine: true\n"


def test_render_into_a_file() -> None:
    Path("taken").write_text("")
    assert refusal(homeport("render", "dev", "--out", "taken")) == (
        "Invalid value for --out: cannot write taken/dev: Not a directory"
    )


def test_render_to_standard_output(repository: Path) -> None:
    result = homeport("render", "dev", "--stdout")
    assert result.stdout.count("---\n") == 10
    assert result.stdout.startswith("apiVersion: v1\nkind: Namespace\n")
    assert not (repository / "rendered").exists()


def test_version_and_help() -> None:
    assert homeport("--version").stdout == f"homeport {version('homeport')}\n"
    assert homeport("--help").exit_code == 0
    assert "--install-completion" in homeport("--help").stdout
    for command in ("check", "render", "schema"):
        assert f"homeport {command}" in homeport(command, "--help").stdout.split("Example")[1]


def test_checking_and_rendering_need_nothing_that_windows_lacks() -> None:
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('fcntl', 'resource', 'pwd', 'grp', 'termios')))\n"
        "import homeport.cli, homeport.images.build_context\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_installed_command_imports_nothing_heavy() -> None:
    program = (
        "import sys, homeport.cli\n"
        "for arguments in (['check'], ['render'], ['schema', 'model']):\n"
        "    sys.argv = ['homeport', *arguments]\n"
        "    try:\n"
        "        homeport.cli.main()\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, end.code\n"
        "heavy = ('pulumi', 'pulumi_kubernetes', 'pulumi_docker_build', 'nbformat', 'pyflakes')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in heavy])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()[-1] == "[]"
    command = Path(sys.executable).with_name("homeport")
    assert subprocess.check_output([command, "--version"], text=True).startswith("homeport ")


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_color_is_for_terminals(variables: dict[str, str], colored: bool) -> None:
    reader, writer = os.openpty()
    command = [str(Path(sys.executable).with_name("homeport")), "check", "dev"]
    subprocess.run(command, stdout=writer, env=os.environ | variables, check=True)
    assert (b"\x1b[" in os.read(reader, 1000)) is colored
    assert b"\x1b" not in subprocess.check_output(command)
    os.close(reader)
    os.close(writer)


def test_stacks_of_this_repository_are_all_right() -> None:
    result = homeport("check", "--stacks", str(ROOT / "stacks"))
    assert result.exit_code == 0, result.stdout


def test_check_shows_what_does_not_hold(repository: Path) -> None:
    (repository / "stacks" / "dev" / "environment.yaml").write_text(
        ENVIRONMENT + "relax: {apparmor: no AppArmor here}\n"
    )
    line = "dev: relaxed apparmor: no AppArmor here"
    assert homeport("check", "dev").stdout.splitlines()[2:] == [line]
    assert json.loads(homeport("check", "dev", "-o", "json").stdout)["stacks"][0]["relaxed"] == {
        "apparmor": "no AppArmor here"
    }
    assert f"::notice::{line}" in homeport("check", "dev", "-o", "github").stdout.splitlines()


def test_check_of_one_stack_compares_it_with_the_others(repository: Path) -> None:
    (repository / "stacks" / "prod" / "environment.yaml").write_text(ENVIRONMENT)  # the cluster of dev
    result = homeport("check", "dev")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "stacks/dev/models.yaml:2: models.iris: found the namespace iris on the cluster dev, which iris of prod has, "
        "accepted: another `namespace` or `cluster.identifier` in one of the environments [dev]",
        "dev: 1 problem",
    ]


def test_check_lists_grants_that_no_model_has(repository: Path) -> None:
    environment = ENVIRONMENT + "secrets: {gone: {token: {config: token}}}\n"
    (repository / "stacks" / "dev" / "environment.yaml").write_text(environment)
    line = "dev: secrets.gone is for a model that is not live here"
    result = homeport("check", "dev")
    assert (result.exit_code, result.stdout.splitlines()[2:]) == (0, [line])
    (dev,) = json.loads(homeport("check", "dev", "-o", "json").stdout)["stacks"]
    assert dev["unused_grants"] == ["secrets.gone"]
    assert f"::notice::{line}" in homeport("check", "dev", "-o", "github").stdout.splitlines()
