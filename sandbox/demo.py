"""`python -m sandbox.demo`: deploys a real model, asks it for a prediction, and takes everything down again.

The deployment itself is plain `pulumi up` of stack dev. This module only prepares what it needs and shows the result. If
HOMEPORT_CONTEXT is set, it uses the cluster of that context in the kubeconfig and starts no sandbox.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from homeport import HomeportError, Release, Stack, manifests
from homeport.rollout import WAIT_VARIABLE
from homeport.specs.overrides import CONTEXT_VARIABLE, REGISTRY_VARIABLE
from sandbox import Sandbox, SandboxError, build, clusters, components, engine, events, jobs, machine, own_pulumi
from sandbox.image import base_packages, push_base
from sandbox.parts import CLUSTER
from sandbox.paths import Paths, cache
from sandbox.progress import Progress, duration

ROOT = Path(__file__).resolve().parent.parent
STACK = "dev"
MODEL = "iris"
EXAMPLE = ROOT / "examples" / MODEL

app = typer.Typer(
    help="Deploy the example model to a cluster on this machine, ask it for a prediction, and take it down again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)


@app.command()
def up() -> None:
    """Build what is missing, start the sandbox, deploy stack dev and ask its model for a prediction."""
    progress = Progress()
    environment = _cluster(progress)
    release = _release()
    _set_aside_unreadable_configuration()
    _pulumi(environment, "stack", "select", "--create", STACK)
    _update(environment, "up")
    changed = _changes(environment)
    out.print()
    out.print(_summary(release))
    out.print("\n[bold]Changed:[/bold] " + (", ".join(changed) if changed else "nothing, everything was up to date"))
    answer = _infer(environment, release, (EXAMPLE / "request.json").read_bytes())
    out.print(f"[bold]Asked[/bold] POST /v2/models/{MODEL}/infer with examples/{MODEL}/request.json")
    for output in answer["outputs"]:
        out.print(f"[bold]Prediction[/bold] {output['name']}: {output['data']}")
    out.print(_next_steps())
    if CONTEXT_VARIABLE not in os.environ:
        _bring_metrics(progress)


@app.command()
def down() -> None:
    """Destroy stack dev and stop the sandbox."""
    own_cluster = CONTEXT_VARIABLE in os.environ
    sandbox = Sandbox(STACK)
    if own_cluster or sandbox.status().running:
        environment = _own_cluster(Progress()) if own_cluster else os.environ | sandbox.env()
        stacks = json.loads(_pulumi(environment, "stack", "ls", "--json"))
        if any(stack["name"] == STACK for stack in stacks):
            # The program has the hooks that the objects have.
            _update({**environment, WAIT_VARIABLE: "false"}, "destroy", "--run-program")
    if not own_cluster:
        sandbox.stop()


def _release() -> Release:
    return next(each for each in Stack.read(ROOT / "stacks" / STACK).releases if each.model.name == MODEL)


def _cluster(progress: Progress) -> dict[str, str]:
    """The environment for pulumi and kubectl, with a cluster and a builder that share a registry."""
    own_pulumi.settle(progress, own_pulumi.on_terminal())
    if CONTEXT_VARIABLE in os.environ:
        _fill_own_registry(progress)
        return _own_cluster(progress)
    if build.missing(CLUSTER) and (advice := clusters.advice()):
        progress.say(advice)
    sandbox = Sandbox(STACK)
    sandbox.start(progress, images=True, metrics=False)
    return os.environ | sandbox.env()


def _bring_metrics(progress: Progress) -> None:
    """Start the metrics server, which no prediction needs."""
    sandbox = Sandbox(STACK)
    if components.metrics().name in sandbox.status().components:
        return
    out.print(f"\n[bold]Metrics[/bold] for the autoscaler follow; {MODEL} serves meanwhile, and Ctrl-C loses nothing.")
    sandbox.start(progress, images=True)
    out.print("[bold]Metrics[/bold] for the autoscaler are there.")


def _fill_own_registry(progress: Progress) -> None:
    images = Stack.read(ROOT / "stacks" / STACK).environment.images
    registry = images.registry if images else ""
    machine.require_packages(base_packages(cache()), progress)
    try:
        with progress.step("base image"):
            push_base(registry, cache(), progress.say)
    except (OSError, http.client.HTTPException) as error:
        raise SandboxError(
            f"no registry answers at {registry} ({error}); start one that your cluster pulls from, as "
            f"https://kind.sigs.k8s.io/docs/user/local-registry shows, or name yours in {REGISTRY_VARIABLE}. A builder "
            "that reaches it: docker buildx create --use --driver-opt network=host"
        ) from error


def _own_cluster(progress: Progress) -> dict[str, str]:
    if shutil.which("kubectl") is None:
        raise SandboxError("kubectl was not found on PATH; install it to use your own cluster")
    # Each cluster has its own state, because the sandbox's state describes the sandbox.
    name = re.sub("[^a-z0-9]+", "-", os.environ[CONTEXT_VARIABLE].lower())
    return os.environ | engine.prepare(Paths(f"to-{name[:16]}".strip("-")), progress)


def _pulumi(environment: Mapping[str, str], *arguments: str) -> str:
    """The output of pulumi."""
    command = ["pulumi", *arguments, "--non-interactive"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    _require_success(command, done.returncode)
    return done.stdout


def _update(environment: Mapping[str, str], operation: str, *options: str) -> None:
    """Run `pulumi up` or `pulumi destroy` visibly: with Pulumi's own display in a terminal, with lines in a log."""
    command = ["pulumi", operation, "--yes", "--skip-preview", f"--stack={STACK}", *options]
    if sys.stdout.isatty():
        with _orderly(command, environment) as process:
            process.wait()
    else:
        command += ["--json", "--color=never", "--non-interactive"]
        log, report, begun = events.Log(), Progress(out), time.monotonic()
        with (
            _orderly(command, environment, stdout=subprocess.PIPE, text=True) as process,
            report.live(lambda: f"{log.doing()}: {duration(time.monotonic() - begun)} so far"),
        ):
            for line in process.stdout or ():
                for text in log.read(line):
                    report.say(text)
    _require_success(command, process.returncode)


@contextmanager
def _orderly(command: list[str], environment: Mapping[str, str], **options: Any) -> "Iterator[subprocess.Popen[Any]]":
    """A pulumi process that may finish by itself after an interrupt, because killing it leaves its state uncertain."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, **options) as process:
        try:
            yield process
        except BaseException as why:
            if not isinstance(why, KeyboardInterrupt):  # from the terminal, which the process received too
                process.send_signal(signal.SIGINT)
            process.communicate()
            raise


def _require_success(command: list[str], code: int) -> None:
    if code != 0:
        raise SandboxError(f"{' '.join(command)} failed (exit code {code})")


def _set_aside_unreadable_configuration() -> None:
    """Remove a stack's configuration that is encrypted with the passphrase of a lost cache."""
    configuration, passphrase = ROOT / "stacks" / f"Pulumi.{STACK}.yaml", Paths(STACK).passphrase
    if configuration.exists() and configuration.stat().st_mtime < passphrase.stat().st_mtime:
        configuration.rename(configuration.with_suffix(".yaml.previous"))


def _changes(environment: Mapping[str, str]) -> list[str]:
    """What the last update did, such as `create 14`; empty if nothing changed."""
    history = json.loads(_pulumi(environment, "stack", "history", "--json", "--page-size=1"))
    return [f"{change} {count}" for change, count in history[0]["resourceChanges"].items() if change != "same"]


def _summary(release: Release) -> Table:
    table = Table(title=f"Model {release.model.name}, version {release.version}, in namespace {release.namespace}")
    table.add_column("Objects")
    table.add_column("Name")
    for manifest in manifests(release):
        table.add_row(manifest["kind"], manifest["metadata"]["name"])
    return table


def _infer(environment: Mapping[str, str], release: Release, body: bytes) -> Any:
    """The answer to an inference request through the model's Service."""
    with _forwarded(environment, release) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        path = f"/v2/models/{release.model.name}/infer"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    if response.status != http.client.OK:
        raise SandboxError(f"the model answered {response.status}: {content.decode(errors='replace')}")
    return json.loads(content)


@contextmanager
def _forwarded(environment: Mapping[str, str], release: Release) -> Iterator[int]:
    """A local port that forwards to the model's Service while the context lasts."""
    service = [f"--namespace={release.namespace}", f"service/{release.model.name}"]
    context = [f"--context={os.environ[CONTEXT_VARIABLE]}"] if CONTEXT_VARIABLE in os.environ else []
    command = ["kubectl", *context, "port-forward", *service, "--address=127.0.0.1", ":80"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as forwarder:
        try:
            assert forwarder.stdout is not None  # noqa: S101
            match = re.search(r"127\.0\.0\.1:(\d+)", forwarder.stdout.readline())
            if match is None:
                raise SandboxError(f"{' '.join(command)} did not open a port")
            yield int(match[1])
        finally:
            forwarder.terminate()


def _next_steps() -> str:
    steps = [
        (f"kubectl get all,networkpolicy,resourcequota -n {MODEL}", "shows the objects"),
        ("make demo", f"deploys what you change, such as scale in examples/{MODEL}/model.yaml"),
        ("make demo-down", "removes everything again"),
    ]
    if CONTEXT_VARIABLE not in os.environ:
        steps[:0] = [
            ('eval "$(.venv/bin/python -m sandbox env)"', "homeport, pulumi and kubectl for this shell"),
            (f"homeport init fraud-score --stack {STACK}", "creates your own model"),
        ]
    return "\n[bold]Try next[/bold]\n" + "\n".join(f"  {command:<51} # {what}" for command, what in steps)


def main() -> None:
    """Run the command. An error that the user can fix is a message, not a traceback."""
    jobs.end_in_order()
    try:
        app(prog_name="python -m sandbox.demo", standalone_mode=True)
    except (SandboxError, HomeportError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print("[red]error:[/red]", escape(str(error)))
        sys.exit(1)


if __name__ == "__main__":
    main()
