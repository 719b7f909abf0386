"""A sandbox: a one-node Kubernetes cluster in namespaces of its own, and a Pulumi engine pointed at it.

All of its processes live in one network namespace and one process namespace, all of its mounts in one mount namespace.
The kernel keeps the account: whoever dies half-way, `stop` ends what is in the network namespace, the first process of
the process namespace takes every other one with it (also the containers), and the mounts vanish with the last.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
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
_START_SECONDS = 90.0
_POLL_SECONDS = 0.1

# The first process of the sandbox. Its own /run and the rest are empty at the start and gone at the end.
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

# A daemon is nobody's child: it outlives us without a trace, and a session of its own keeps the user's Ctrl-C from it.
_LAUNCH = 'setsid "$@" < /dev/null > "$0" 2>&1 & echo $!'


@dataclass(frozen=True)
class Status:
    """What is known of a sandbox without asking its cluster to change."""

    name: str
    running: bool
    """Every component that was started runs, and the API server says it is ready."""
    server: str | None
    components: dict[str, bool]
    """Name of each that was started or belongs to every sandbox -> whether its process runs."""
    not_started: list[str]
    """Names of those that this sandbox can have and nobody has asked for."""
    kubeconfig: str
    logs: str
    state: str


class Sandbox:
    """The sandbox called `name`. Sandboxes of different names share nothing but the built programs."""

    def __init__(self, name: str = "dev") -> None:
        self._paths = Paths(name)
        self._namespace = self._paths.full_name

    @property
    def name(self) -> str:
        """What it was called when it was made."""
        return self._paths.name

    @property
    def node(self) -> str:
        """The name of its one real node."""
        return self._paths.full_name

    def start(
        self,
        progress: Progress | None = None,
        *,
        images: bool = False,
        metrics: bool = True,
        fake_nodes: bool = False,
    ) -> None:
        """Returns when the cluster is ready for use, with all that is asked for; harmless if it already is.

        Builds what is missing first: some minutes, once. A cluster that is half alive is stopped, and a new one begins.
        One that runs gets what it lacks of what is asked for.

        Args:
            progress: Is told of it.
            images: Images can be built: there is a builder, and a registry with a base image in it.
            metrics: `kubectl top` and autoscalers are told what pods use.
            fake_nodes: Nodes with the annotation `kwok.x-k8s.io/node: fake` are kept Ready, and pods on them too.

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
                with progress.step("clearing away what was half alive"):
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
        """Ends the cluster and removes all that was made for it, but not Pulumi's state; harmless if there is none."""
        progress = progress or Progress()
        machine.require_root()
        with self._locked(progress), progress.step(f"stopping sandbox {self.name}"):
            self._tear_down()
            _remove(self._paths.run)

    def status(self) -> Status:
        """What runs, and where its files are."""
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
        """The environment in which `pulumi` and `kubectl` are the sandbox's own and work on its cluster.

        Add it to the present one: `os.environ | sandbox.env()`.
        """
        ours = [*map(str, engine.directories()), str(build.directory(KUBERNETES))]
        rest = [entry for entry in os.get_exec_path() if entry not in ours]
        path = {"PATH": os.pathsep.join([*ours, *rest]), "KUBECONFIG": str(self._paths.kubeconfig)}
        return path | engine.variables(self._paths) | self._image_variables()

    def _image_variables(self) -> dict[str, str]:
        """Where images are built and kept, if they can be built."""
        if not self._paths.registry.exists():
            return {}
        return {REGISTRY_VARIABLE: self._paths.registry.read_text(), "BUILDX_CONFIG": str(self._paths.buildx)}

    def import_image(self, archive: Path) -> None:
        """Makes the image in an OCI or Docker archive known to the node, under the name written in the archive.

        Pods use it with `imagePullPolicy: IfNotPresent` or `Never`: there is nowhere to pull from.

        Raises:
            SandboxError: The sandbox is not running, or the archive holds no image for this machine.
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
            outside: Run it beyond the node's only cable instead, as a machine of "the internet" that pods reach at
                `sandbox.network.OUTSIDE_ADDRESS` and `METADATA_ADDRESS`.
        """
        namespace = network.outside(self._namespace) if outside else self._namespace
        return ["nsenter", f"--net={network.namespace_file(namespace)}", "--", *argv]

    def enter(self, argv: Sequence[str], *, network_too: bool = True) -> list[str]:
        """The command that runs `argv` as a program of the node: in all of its namespaces, or in all but the network's.

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
            # Through the service address: this proves kube-proxy, the pod network and the DNS pod at once.
            # One second each: a connection begun before kube-proxy knew the address would be tried for two minutes more.
            dial = f"TCP:{components.DNS_ADDRESS}:53,connect-timeout=1"
            self._until_inside("DNS answers", ["socat", "-u", "/dev/null", dial])
            self._until_inside("network policies are enforced", ["iptables", "-S", "KUBE-ROUTER-FORWARD"])
        if metrics:
            self._await_metrics(progress)

    def _spawn_optional(self, *, metrics: bool, fake_nodes: bool) -> None:
        """Begins what is asked for and was not started: a running cluster can get it too."""
        started = processes.read(self._paths.processes)
        if fake_nodes and components.fake_nodes().name not in started:
            self._spawn(components.fake_nodes())
        if metrics and components.metrics().name not in started:
            # While nothing answers to this, no namespace can be deleted: it is not there without the process.
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
        """A builder in the host's network, and a registry under one address both there and in the cluster's network."""
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
        """Leaves no process, mount, namespace, interface or cgroup, whatever was there."""
        network.kill_processes(self._namespace)
        network.delete(self._namespace)
        cgroups.delete(self._namespace)

    def _components(self) -> list[Component]:
        return [*components.foundation(), *components.followers(self.node), components.firewall(self.node)]

    # The pieces of starting, in their order.

    def _hold_namespaces(self) -> None:
        """Starts the process whose end is the end of everything."""
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
            # The wrapper waits for its only child, which becomes `pause` when all is mounted.
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
        """Lets the host reach the API server: through a Unix socket, which no network namespace confines."""
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
        """Creates the objects in one of our files, also if an interrupted start has created some of them."""
        text = Template((_MANIFESTS / manifest).read_text()).substitute(values)
        done = self._kubectl("apply", "-f", "-", stdin=text)
        if done.returncode != 0:
            raise SandboxError(f"creating the objects in {manifest} failed: {done.stderr.strip()}")

    # Running and waiting.

    def _spawn(self, component: Component, *, network_too: bool = True) -> None:
        binary = build.program(component.part, component.program or component.name)
        self._run_daemon(component.name, self.enter([binary, *component.arguments], network_too=network_too))

    def _run_daemon(self, name: str, command: list[str]) -> Process:
        # Nothing of the user's environment: a proxy variable would send the cluster's own traffic away.
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
            raise self._failure(f"{name} ended at once", name)
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
        """Repeats `command` until it succeeds, as long as every component that was started still runs."""
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
        """One at a time starts or stops this sandbox."""
        say = cached(progress.say)
        return locked(self._paths.lock, lambda: say(f"waiting for another start or stop of sandbox {self.name}"))


def _instance(name: str, socket: Path) -> dict[str, object]:
    """What buildx keeps of a builder that others started."""
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
    """The state describes a cluster that is gone: against a new one it would be wrong in every line."""
    previous = state.with_name(f"{state.name}.previous")
    _remove(previous)
    state.rename(previous)
    state.mkdir()
    progress.say(f"Pulumi's state of the previous cluster is now in {previous}")


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
