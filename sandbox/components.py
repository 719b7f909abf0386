"""The programs of a node and its control plane: their command lines, configuration files and identities.

Inside the sandbox's mount namespace /run is its own, and `/run/homeport` is the sandbox's run directory. So nothing
here depends on a sandbox's name or on where the cache is, and no two sandboxes share a socket or a lock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.network import NODE_ADDRESS
from sandbox.parts import BUILDKIT, CONTAINERD, ETCD, KUBE_ROUTER, KUBERNETES, KWOK, METRICS_SERVER, REGISTRY, Part

HOME = "/run/homeport"
BUILDKIT_SOCKET = f"{HOME}/buildkit.sock"
API_SOCKET = "/run/kube-apiserver.sock"
API_ADDRESS = "https://127.0.0.1:6443"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
DNS_IMAGE = "homeport.invalid/coredns:1.13.1"
# containerd starts every pod with this program; here it is our own.
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.2"
METRICS_PORT = 4443

# Only the sandbox's own programs are administrators. Everything that a real cluster restricts is restricted.
ADMINISTRATORS = "system:masters"


@dataclass(frozen=True)
class Component:
    """A program that runs while the sandbox runs."""

    name: str
    part: Part
    arguments: tuple[str, ...]
    program: str = ""
    """Its file, if the file has another name."""


@dataclass(frozen=True)
class Identity:
    """The subject of a certificate."""

    user: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def identities(node: str) -> dict[str, Identity]:
    """File name -> subject of its certificate."""
    return {
        "administrator": Identity("administrator", (ADMINISTRATORS,)),
        "kube-apiserver": Identity(
            "kube-apiserver",
            (ADMINISTRATORS,),  # as a client of the kubelet
            (
                "127.0.0.1",
                "localhost",
                NODE_ADDRESS,
                API_SERVICE_ADDRESS,
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ),
        ),
        "front-proxy": Identity("front-proxy-client"),
        "kube-controller-manager": Identity("system:kube-controller-manager"),
        "kube-scheduler": Identity("system:kube-scheduler"),
        "kube-proxy": Identity("system:kube-proxy"),
        "kubelet": Identity(f"system:node:{node}", ("system:nodes",), (NODE_ADDRESS, node)),
        "kube-router": Identity("kube-router", (ADMINISTRATORS,)),
        "kwok": Identity("kwok", (ADMINISTRATORS,)),
        "metrics-server": Identity("metrics-server", (ADMINISTRATORS,), ("metrics-server.kube-system.svc",)),
    }


# Components that find the API server with their own kubeconfig.
CLIENTS = (
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kube-router",
    "kwok",
    "metrics-server",
)


def foundation() -> list[Component]:
    """Components that start first and wait for no other."""
    return [
        Component("containerd", CONTAINERD, ("--config", f"{HOME}/containerd.toml")),
        Component(
            "etcd",
            ETCD,
            (
                f"--data-dir={HOME}/etcd",
                "--unsafe-no-fsync",  # the cluster's data is not needed after its processes end
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
            ),
        ),
        Component(
            "kube-apiserver",
            KUBERNETES,
            (
                "--etcd-servers=http://127.0.0.1:2379",
                f"--advertise-address={NODE_ADDRESS}",
                f"--service-cluster-ip-range={SERVICES}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                f"--client-ca-file={_file('authority.crt')}",
                *_serving("kube-apiserver"),
                f"--kubelet-certificate-authority={_file('authority.crt')}",
                f"--kubelet-client-certificate={_file('kube-apiserver.crt')}",
                f"--kubelet-client-key={_file('kube-apiserver.key')}",
                "--kubelet-preferred-address-types=InternalIP",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={_file('service-account.key')}",
                f"--service-account-signing-key-file={_file('service-account.key')}",
                # It reaches the metrics server at its endpoint, because this process knows no service addresses.
                "--enable-aggregator-routing=true",
                f"--requestheader-client-ca-file={_file('authority.crt')}",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={_file('front-proxy.crt')}",
                f"--proxy-client-key-file={_file('front-proxy.key')}",
            ),
        ),
    ]


def followers(node: str) -> list[Component]:
    """Components that start when the API server answers."""
    return [
        Component(
            "kubelet",
            KUBERNETES,
            (
                f"--config={HOME}/kubelet.json",
                _kubeconfig("kubelet"),
                f"--hostname-override={node}",
                f"--node-ip={NODE_ADDRESS}",
                f"--root-dir={HOME}/kubelet",
            ),
        ),
        Component(
            "kube-controller-manager",
            KUBERNETES,
            (
                _kubeconfig("kube-controller-manager"),
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                # With the default of 20 requests a second, its start takes 5 seconds, a third of the whole start.
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                f"--root-ca-file={_file('authority.crt')}",
                f"--service-account-private-key-file={_file('service-account.key')}",
                f"--cluster-signing-cert-file={_file('authority.crt')}",
                f"--cluster-signing-key-file={_file('authority.key')}",
            ),
        ),
        Component("kube-scheduler", KUBERNETES, (_kubeconfig("kube-scheduler"), "--leader-elect=false")),
        Component(
            "kube-proxy",
            KUBERNETES,
            (
                _kubeconfig("kube-proxy"),
                "--proxy-mode=iptables",
                f"--hostname-override={node}",
                f"--cluster-cidr={PODS}",
                "--oom-score-adj=0",
                # Connection tracking would be configured for the whole machine, which does not belong to the sandbox.
                "--conntrack-max-per-core=0",
                "--conntrack-min=0",
                "--conntrack-tcp-timeout-established=0s",
                "--conntrack-tcp-timeout-close-wait=0s",
            ),
        ),
    ]


def firewall(node: str) -> Component:
    """Enforces NetworkPolicy. It needs the Node object."""
    return Component(
        "kube-router",
        KUBE_ROUTER,
        (
            _kubeconfig("kube-router"),
            f"--hostname-override={node}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--service-cluster-ip-range={SERVICES}",
        ),
    )


def fake_nodes() -> Component:
    """Keeps nodes with the annotation `kwok.x-k8s.io/node: fake`, and the pods on them, Ready."""
    return Component(
        "kwok",
        KWOK,
        (
            _kubeconfig("kwok"),
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            # Renewed leases keep the fake nodes Ready.
            "--node-lease-duration-seconds=40",
            f"--node-ip={NODE_ADDRESS}",
            "--cidr=10.245.0.0/16",
        ),
    )


def metrics() -> Component:
    """Reports what pods and nodes use to autoscalers and `kubectl top`."""
    return Component(
        "metrics-server",
        METRICS_SERVER,
        (
            _kubeconfig("metrics-server"),
            f"--authentication-kubeconfig={_file('metrics-server.kubeconfig')}",
            f"--authorization-kubeconfig={_file('metrics-server.kubeconfig')}",
            f"--secure-port={METRICS_PORT}",
            *_serving("metrics-server"),
            f"--kubelet-certificate-authority={_file('authority.crt')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
        ),
    )


def registry(name: str, address: str) -> Component:
    """Stores images. There are two registries with one folder: one for builders, one for the node."""
    return Component(name, REGISTRY, (address, f"{HOME}/registry"), program="registry")


def builder() -> Component:
    """Builds images."""
    return Component("buildkitd", BUILDKIT, ("--config", f"{HOME}/buildkitd.toml"))


def builder_configuration(root: Path, cgroup: str) -> str:
    """Configuration of the builder. Only its cache in `root` is kept after it ends."""
    return _BUILDKIT.format(root=root, cgroup=cgroup, socket=BUILDKIT_SOCKET)


def files(cgroup: str) -> Mapping[str, str]:
    """File in the run directory -> content."""
    return {
        "containerd.toml": _CONTAINERD,
        "cni/sandbox.conflist": json.dumps(_CNI, indent=2),
        "kubelet.json": json.dumps(_kubelet(cgroup), indent=2),
        # There is no name server except the cluster's own.
        "resolv.conf": "",
    }


def _file(name: str) -> str:
    return f"{HOME}/certificates/{name}"


def _kubeconfig(name: str) -> str:
    return f"--kubeconfig={_file(name)}.kubeconfig"


def _serving(name: str) -> tuple[str, str]:
    return f"--tls-cert-file={_file(name)}.crt", f"--tls-private-key-file={_file(name)}.key"


# restrict_oom_score_adj, disable_apparmor: the machine may itself be a container, without CAP_SYS_RESOURCE or AppArmor.
_CONTAINERD = f"""\
version = 4
root = '{HOME}/containerd'
state = '/run/containerd'
imports = []
disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.nri.v1.nri']

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '{HOME}/cni'
"""

# Builds use the host's network, so that they reach what the machine reaches, such as a package index.
_BUILDKIT = """\
root = '{root}'

[grpc]
  address = ['unix://{socket}']

[worker.containerd]
  enabled = false

[worker.oci]
  enabled = true
  networkMode = 'host'
  defaultCgroupParent = '/{cgroup}/builds'
  gc = true
  maxUsedSpace = '8GB'
"""

_CNI = {
    "cniVersion": "1.0.0",
    "name": "homeport",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isDefaultGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "dataDir": "/run/cni"},
        }
    ],
}


def _kubelet(cgroup: str) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": _file("authority.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": _file("kubelet.crt"),
        "tlsPrivateKeyFile": _file("kubelet.key"),
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{HOME}/resolv.conf",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "podLogsDir": f"{HOME}/pods",
        "volumePluginDir": f"{HOME}/volume-plugins",
        # Images exist only here and cannot be pulled again, so they are never collected, even if the user's disk is full.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
            "imagefs.inodesFree": "1%",
        },
        "maxPods": 250,
        # Interval of measuring volumes, so that a model that fills its /tmp is evicted within seconds.
        "volumeStatsAggPeriod": "10s",
    }
