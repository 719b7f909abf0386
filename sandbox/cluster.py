"""A sandbox: a one-node Kubernetes cluster in its own namespaces, and a Pulumi engine that uses it.

All of its processes are in one network namespace and one process namespace, and all of its mounts in one mount namespace.
So the kernel knows what belongs to it, even if a start or a stop is interrupted. `stop` ends every process in the network
namespace. When the first process of the process namespace ends, all others end too (including the containers). The mounts
disappear with the last process.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache as cached
from functools import partial
from pathlib import Path
from string import Template

from homeport.lock import locked
from homeport.specs.overrides import REGISTRY_VARIABLE
from sandbox import archive, build, cgroups, components, engine, machine, network, processes
from sandbox.certificates import Authority, signing_key
from sandbox.components import Component
from sandbox.errors import SandboxError
from sandbox.image import base_packages, make_base, push_base
from sandbox.jobs import Job
from sandbox.kubeconfig import kubeconfig
from sandbox.parts import BUILDER, CLUSTER, CONTAINERD, COREDNS, KUBERNETES, KWOK, METRICS_SERVER, PAUSE
from sandbox.paths import Paths, cache
from sandbox.processes import Process
from sandbox.progress import Progress

_NODE = "node"  # the record of the process that holds the namespaces
_BUILDERS = ("registry", "registry-outside", "buildkitd")
_FORWARDERS = ("forwarder-inside", "forwarder-outside")
_MANIFESTS = Path(__file__).parent / "manifests"
_START_SECONDS = 300.0
_POLL_SECONDS = 0.1

# The first process of the sandbox. Its own /run and the other mounts start empty and disappear with it.
_INITIALIZE = """\
set -e
mount -t tmpfs tmpfs /run
mkdir /run/homeport
mount --bind "$1" /run/homeport
for directory in /var/lib/cni /var/lib/kubelet /var/log/containers; do
    mkdir -p "$directory"
    mount -t tmpfs tmpfs "$directory"
done
echo 1 > /proc/sys/net/ipv4/ip_forward
# Without this, traffic between two pods of a node passes its packet filter by.
[ -e /proc/sys/net/bridge ] || modprobe br_netfilter
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
exec "$2"
"""

# A daemon has no parent among our processes, so it outlives them. In its own session it gets no Ctrl-C of the user.
_LAUNCH = 'setsid "$@" < /dev/null > "$0" 2>&1 & echo $!'


@dataclass(frozen=True)
class Status:
    """The state of a sandbox, read without changing its cluster."""

    name: str
    running: bool
    """Whether every started component runs and the API server reports that it is ready."""
    server: str | None
    components: dict[str, bool]
    """Name of each component that was started or that every sandbox has -> whether its process runs."""
    not_started: list[str]
    """Names of the optional components that were not requested."""
    kubeconfig: str
    logs: str
    state: str


class Sandbox:
    """The sandbox called `name`. Sandboxes with different names share only the built programs."""

    def __init__(self, name: str = "dev") -> None:
        self._paths = Paths(name)
        self._namespace = self._paths.full_name

    @property
    def name(self) -> str:
        """The name of the sandbox."""
        return self._paths.name

    @property
    def node(self) -> str:
        """The name of its one real node."""
        return self._paths.full_name

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the sandbox for this process alone while the block runs, and let the block start and stop it.

        It is for tests: two runs with one name would stop each other's cluster. When the process ends, the sandbox is free
        again, however it ended.

        Raises:
            SandboxError: Another process keeps it.
        """

        def refuse() -> None:
            raise SandboxError(
                f"process {self._paths.user.read_text() or 'unknown'} uses sandbox {self.name}, so it is neither started nor "
                "stopped: wait until that process has ended, or use another name"
            )

        with locked(self._paths.user, refuse):
            yield

    def start(
        self,
        progress: Progress | None = None,
        *,
        images: bool = False,
        metrics: bool = True,
        fake_nodes: bool = False,
    ) -> None:
        """Start the cluster, and return when it is ready with everything that was requested. Safe to call again.

        It first builds what is missing, which takes some minutes, once. If only part of the cluster runs, it is stopped
        and a new one is started. A running cluster gets the requested components that it lacks.

        Args:
            progress: Reports the progress.
            images: Start a builder and a registry with a base image, so that images can be built.
            metrics: Start the metrics server, so that `kubectl top` and autoscalers know what pods use.
            fake_nodes: Keep nodes with the annotation `kwok.x-k8s.io/node: fake`, and the pods on them, Ready.

        Raises:
            SandboxError: The machine lacks something, a build failed, or a component did not start.
        """
        progress = progress or Progress()
        machine.require_root()
        optional = (
            *(BUILDER if images else ()),
            *([METRICS_SERVER] if metrics else ()),
            *([KWOK] if fake_nodes else ()),
        )
        base = [Job("base image", partial(make_base, cache(), progress.say))] if images else []
        engine.download(self._paths, progress)
        machine.require_packages(machine.NODE_PACKAGES | (base_packages(cache()) if images else {}), progress)
        build.ensure((*engine.parts(), *CLUSTER, *optional), progress, beside=base)
        with self._locked(progress):
            engine.install(self._paths, progress)
            if self.status().running:
                progress.say(f"sandbox {self.name} is running")
                self._spawn_optional(metrics=metrics, fake_nodes=fake_nodes)
                if metrics:
                    self._await_metrics(progress)
                if images and not self._paths.registry.exists():
                    self._start_builder(progress)
                return
            if network.exists(self._namespace):
                with progress.step("removing an incomplete cluster"):
                    self._tear_down()
            begun = time.monotonic()
            try:
                self._start(progress, metrics=metrics, fake_nodes=fake_nodes)
                if images:
                    self._start_builder(progress)
            except BaseException:
                self._tear_down()  # the logs stay
                raise
            progress.say(f"sandbox {self.name} is ready after {time.monotonic() - begun:.1f}s")

    def stop(self, progress: Progress | None = None) -> None:
        """Stop the cluster and remove everything made for it except Pulumi's state. Safe to call if there is none."""
        progress = progress or Progress()
        machine.require_root()
        with self._locked(progress), progress.step(f"stopping sandbox {self.name}"):
            self._tear_down()
            _remove(self._paths.run)

    def status(self) -> Status:
        """Which components run, and where the files are."""
        records = processes.read(self._paths.processes)
        always = [_NODE, *_FORWARDERS, *(component.name for component in self._components())]
        optional = [components.metrics().name, components.fake_nodes().name, *_BUILDERS]
        expected = [*always, *(name for name in optional if name in records)]
        alive = {name: name in records and processes.alive(records[name]) for name in expected}
        ready = all(alive.values()) and self._answers()
        server = self._paths.run / "server"
        return Status(
            name=self.name,
            running=ready,
            server=server.read_text() if server.exists() else None,
            components=alive,
            not_started=[name for name in optional if name not in records],
            kubeconfig=str(self._paths.kubeconfig),
            logs=str(self._paths.logs),
            state=str(self._paths.state),
        )

    def env(self) -> dict[str, str]:
        """The environment variables with which the sandbox's own `pulumi` and `kubectl` work on its cluster.

        Add them to the present ones: `os.environ | sandbox.env()`.
        """
        ours = [*map(str, engine.directories()), str(build.directory(KUBERNETES))]
        rest = [entry for entry in os.get_exec_path() if entry not in ours]
        path = {"PATH": os.pathsep.join([*ours, *rest]), "KUBECONFIG": str(self._paths.kubeconfig)}
        return path | engine.variables(self._paths) | self._image_variables()

    def _image_variables(self) -> dict[str, str]:
        """The variables of the builder and the registry; empty if images cannot be built."""
        if not self._paths.registry.exists():
            return {}
        return {REGISTRY_VARIABLE: self._paths.registry.read_text(), "BUILDX_CONFIG": str(self._paths.buildx)}

    def import_image(self, archive: Path) -> None:
        """Import the image in an OCI or Docker archive into the node, with the name in the archive.

        Pods use it with `imagePullPolicy: IfNotPresent` or `Never`, because there is no registry to pull it from.

        Raises:
            SandboxError: The sandbox is not running, or the archive has no image for this machine.
        """
        with archive.open("rb") as content:
            command = self.enter([build.program(CONTAINERD, "ctr"), "-n", "k8s.io", "images", "import", "-"])
            done = subprocess.run(command, stdin=content, capture_output=True, check=False)
        if done.returncode != 0:
            raise SandboxError(f"importing {archive} failed: {done.stderr.decode(errors='replace').strip()}")

    def nsenter(self, argv: Sequence[str], *, outside: bool = False) -> list[str]:
        """The command that runs `argv` in the cluster's network, where pods and services can be reached.

        Args:
            argv: The command and its arguments.
            outside: Run it at the other end of the node's only cable instead, as a machine of "the internet" that pods
                reach at `sandbox.network.OUTSIDE_ADDRESS` and `METADATA_ADDRESS`.
        """
        namespace = network.outside(self._namespace) if outside else self._namespace
        return ["nsenter", f"--net={network.namespace_file(namespace)}", "--", *argv]

    def enter(self, argv: Sequence[str], *, network_too: bool = True) -> list[str]:
        """The command that runs `argv` as a program of the node: in all of its namespaces, or in all except the network's.

        Raises:
            SandboxError: The sandbox is not running.
        """
        node = processes.read(self._paths.processes).get(_NODE)
        if node is None or not processes.alive(node):
            raise SandboxError(f"sandbox {self.name} is not running; start it with: python -m sandbox start")
        net = ["--net"] if network_too else []
        return ["nsenter", f"--target={node.pid}", "--mount", "--pid", *net, "--", *argv]

    def _start(self, progress: Progress, *, metrics: bool, fake_nodes: bool) -> None:
        paths = self._paths
        _remove(paths.run)
        paths.logs.mkdir(parents=True)
        if any(paths.state.iterdir()):
            _set_aside(paths.state, progress)
        with progress.step("network, certificates"):
            cgroups.create(self._namespace)
            network.create(self._namespace)
            self._hold_namespaces()
            self._write_files()
        with progress.step("containerd, etcd, API server"):
            for component in components.foundation():
                self._spawn(component)
            self._forward()
            self._import_system_images()
            self._until("the API server is ready", ["get", "--raw=/readyz", "--request-timeout=2s"])
        with progress.step("node, controllers, services"):
            for component in components.followers(self.node):
                self._spawn(component)
            self._create("coredns.yaml", node=self.node, image=components.DNS_IMAGE, address=components.DNS_ADDRESS)
            self._spawn_optional(metrics=metrics, fake_nodes=fake_nodes)
            self._until("the node is ready", ["wait", "--for=condition=Ready", f"node/{self.node}", "--timeout=1s"])
            self._spawn(components.firewall(self.node))
            self._until("the default ServiceAccount exists", ["get", "serviceaccount", "default", "-n=default"])
        with progress.step("DNS, network policies"):
            self._until("DNS is ready", ["-n=kube-system", "rollout", "status", "deployment/coredns", "--timeout=1s"])
            # Through the service address, which tests kube-proxy, the pod network and the DNS pod at once.
            # One second each, because a connection from before kube-proxy knew the address would retry for two minutes.
            dial = f"TCP:{components.DNS_ADDRESS}:53,connect-timeout=1"
            self._until_inside("DNS answers", ["socat", "-u", "/dev/null", dial])
            self._until_inside("network policies are enforced", ["iptables", "-S", "KUBE-ROUTER-FORWARD"])
        if metrics:
            self._await_metrics(progress)

    def _spawn_optional(self, *, metrics: bool, fake_nodes: bool) -> None:
        """Start the requested components that do not run yet, also in a running cluster."""
        started = processes.read(self._paths.processes)
        if fake_nodes and components.fake_nodes().name not in started:
            self._spawn(components.fake_nodes())
        if metrics and components.metrics().name not in started:
            # If this APIService had no process behind it, no namespace could be deleted. So both exist together.
            self._create(
                "metrics-server.yaml",
                port=components.METRICS_PORT,
                address=network.NODE_ADDRESS,
                authority=base64.b64encode((self._paths.certificates / "authority.crt").read_bytes()).decode(),
            )
            self._spawn(components.metrics())

    def _await_metrics(self, progress: Progress) -> None:
        with progress.step("metrics for autoscalers"):
            available = ["wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=1s"]
            self._until("the metrics server answers", available)

    def _start_builder(self, progress: Progress) -> None:
        """Start a builder in the host's network, and a registry with the same address there and in the cluster's network."""
        paths, address = self._paths, f"127.0.0.1:{_free_port()}"
        with progress.step("registry, BuildKit"):
            paths.builder.mkdir(parents=True, exist_ok=True)
            configuration = components.builder_configuration(paths.builder, self._namespace)
            (paths.run / "buildkitd.toml").write_text(configuration)
            inside, outside, builder = _BUILDERS
            self._spawn(components.registry(inside, address))
            self._spawn(components.registry(outside, address), network_too=False)
            self._spawn(components.builder(), network_too=False)
            dial = f"TCP:{address},connect-timeout=1"
            self._until_inside("the registry answers", ["socat", "-u", "/dev/null", dial])
            self._until_run("the registry answers", ["socat", "-u", "/dev/null", dial])
            socket = paths.run / Path(components.BUILDKIT_SOCKET).name
            self._until_run(f"{builder} answers", ["socat", "-u", "/dev/null", f"UNIX-CONNECT:{socket}"])
            instance = paths.buildx / "instances" / self._namespace
            instance.parent.mkdir(parents=True, exist_ok=True)
            instance.write_text(json.dumps(_instance(self._namespace, socket)))
        push_base(address, cache(), progress.say)
        paths.registry.write_text(address)

    def _tear_down(self) -> None:
        """Remove every process, mount, namespace, interface and cgroup of the sandbox."""
        network.kill_processes(self._namespace)
        network.delete(self._namespace)
        cgroups.delete(self._namespace)

    def _components(self) -> list[Component]:
        return [*components.foundation(), *components.followers(self.node), components.firewall(self.node)]

    # The steps of a start, in their order.

    def _hold_namespaces(self) -> None:
        """Start the first process, whose end ends all others."""
        wrapper = self._run_daemon(
            _NODE,
            self.nsenter(
                [
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                    *("sh", "-c", _INITIALIZE, "sh", str(self._paths.run), build.program(PAUSE, "pause")),
                ]
            ),
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            # The wrapper waits for its only child, which becomes `pause` when everything is mounted.
            children = Path(f"/proc/{wrapper.pid}/task/{wrapper.pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "pause":
                break
            if not processes.alive(wrapper) or time.monotonic() > deadline:
                raise self._failure("the node's namespaces could not be made", _NODE)
            time.sleep(0.02)
        first = processes.observe(int(children[0]))
        if first is None:
            raise self._failure("the node's namespaces are gone", _NODE)
        self._record(_NODE, first)

    def _write_files(self) -> None:
        paths = self._paths
        paths.certificates.mkdir(mode=0o700)
        authority = Authority(self._namespace)
        written = {
            "authority.crt": authority.certificate,
            "authority.key": authority.key,
            "service-account.key": signing_key(),
        }
        port = _free_port()
        for name, identity in components.identities(self.node).items():
            pair = authority.issue(identity.user, identity.groups, identity.names)
            written |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
            if name in components.CLIENTS:
                config = kubeconfig(name, components.API_ADDRESS, authority.certificate, pair)
                written[f"{name}.kubeconfig"] = config.encode()
            if name == "administrator":
                server = f"https://127.0.0.1:{port}"
                (paths.run / "server").write_text(server)
                _write_private(
                    paths.kubeconfig, kubeconfig(self._namespace, server, authority.certificate, pair).encode()
                )
        for file, secret in written.items():
            _write_private(paths.certificates / file, secret)
        for file, text in components.files(self._namespace).items():
            target = paths.run / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    def _forward(self) -> None:
        """Let the host reach the API server through a Unix socket, because network namespaces do not confine it."""
        inside = ["socat", f"UNIX-LISTEN:{components.API_SOCKET},fork", "TCP:127.0.0.1:6443,nodelay"]
        port = (self._paths.run / "server").read_text().rpartition(":")[2]
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay"
        outside = ["socat", listen, f"UNIX-CONNECT:{components.API_SOCKET}"]
        self._run_daemon(_FORWARDERS[0], self.enter(inside))
        self._run_daemon(_FORWARDERS[1], self.enter(outside, network_too=False))

    def _import_system_images(self) -> None:
        self._until_run("containerd is ready", self.enter([build.program(CONTAINERD, "ctr"), "version"]))
        for image, part in ((components.PAUSE_IMAGE, PAUSE), (components.DNS_IMAGE, COREDNS)):
            file = self._paths.run / f"{part.name}.tar"
            archive.write_image(file, image, build.directory(part) / part.name)
            self.import_image(file)
            file.unlink()

    def _create(self, manifest: str, **values: object) -> None:
        """Create the objects in a manifest, even if an interrupted start has already created some of them."""
        text = Template((_MANIFESTS / manifest).read_text()).substitute(values)
        done = self._kubectl("apply", "-f", "-", stdin=text)
        if done.returncode != 0:
            raise SandboxError(f"creating the objects in {manifest} failed: {done.stderr.strip()}")

    # Running and waiting.

    def _spawn(self, component: Component, *, network_too: bool = True) -> None:
        binary = build.program(component.part, component.program or component.name)
        self._run_daemon(component.name, self.enter([binary, *component.arguments], network_too=network_too))

    def _run_daemon(self, name: str, command: list[str]) -> Process:
        # Without the user's environment, because a proxy variable would redirect the cluster's own traffic.
        environment = {"PATH": machine.SYSTEM_PATH, "HOME": "/root", "KWOK_WORKDIR": "/run/kwok"}
        log = self._paths.logs / f"{name}.log"
        started = subprocess.run(
            ["sh", "-c", _LAUNCH, str(log), *command],
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        process = processes.observe(int(started.stdout))
        if process is None:
            raise self._failure(f"{name} exited immediately", name)
        self._record(name, process)
        return process

    def _record(self, name: str, process: Process) -> None:
        processes.write(self._paths.processes, processes.read(self._paths.processes) | {name: process})

    def _answers(self) -> bool:
        # After a change of versions the kubectl of this checkout may not be built yet.
        built = build.directory(KUBERNETES).exists()
        return built and self._kubectl("get", "--raw=/readyz", "--request-timeout=5s").returncode == 0

    def _kubectl(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [build.program(KUBERNETES, "kubectl"), f"--kubeconfig={self._paths.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def _until(self, state: str, arguments: list[str]) -> None:
        kubectl = [build.program(KUBERNETES, "kubectl"), f"--kubeconfig={self._paths.kubeconfig}"]
        self._until_run(state, [*kubectl, *arguments])

    def _until_inside(self, state: str, argv: list[str]) -> None:
        self._until_run(state, self.enter(argv))

    def _until_run(self, state: str, command: list[str]) -> None:
        """Repeat `command` until it succeeds, as long as every started component still runs."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            for name, process in processes.read(self._paths.processes).items():
                if not processes.alive(process):
                    raise self._failure(f"{name} ended", name)
            if time.monotonic() > deadline:
                said = (done.stderr or done.stdout).strip()
                raise SandboxError(
                    f"waited {_START_SECONDS:.0f}s until {state}; last: {said}. Logs: {self._paths.logs}"
                )
            time.sleep(_POLL_SECONDS)

    def _failure(self, what: str, component: str) -> SandboxError:
        log = self._paths.logs / f"{component}.log"
        last = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
        return SandboxError(f"{what}; the end of {log}:\n{last}")

    def _locked(self, progress: Progress) -> AbstractContextManager[None]:
        """Let one process at a time start or stop this sandbox."""
        say = cached(progress.say)
        return locked(self._paths.lock, lambda: say(f"waiting for another start or stop of sandbox {self.name}"))


def _instance(name: str, socket: Path) -> dict[str, object]:
    """The file that buildx keeps about a builder that other programs started."""
    node = {
        "Name": f"{name}0",
        "Endpoint": f"unix://{socket}",
        "Platforms": None,
        "Flags": None,
        "DriverOpts": None,
        "Files": None,
    }
    return {"Name": name, "Driver": "remote", "Nodes": [node], "Dynamic": False}


def _write_private(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _set_aside(state: Path, progress: Progress) -> None:
    """Move Pulumi's state away, because it describes a cluster that no longer exists."""
    previous = state.with_name(f"{state.name}.previous")
    _remove(previous)
    state.rename(previous)
    state.mkdir()
    progress.say(f"Pulumi's state of the previous cluster is now in {previous}")


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
