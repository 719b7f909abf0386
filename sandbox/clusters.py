"""Clusters that this machine has or can make with what it has; told from files and programs, no cluster is asked."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from homeport.specs.overrides import CONTEXT_VARIABLE
from sandbox.paths import cache

# As these tools call the contexts of clusters that they make on this machine.
_LOCAL = ("kind-", "k3d-", "minikube", "docker-desktop", "rancher-desktop", "orbstack", "colima", "microk8s")
# Tool -> the context of its cluster unless that is given a name, and the page on a registry that it pulls from.
_MAKERS = {
    "kind": ("kind-kind", "https://kind.sigs.k8s.io/docs/user/local-registry"),
    "k3d": ("k3d-k3s-default", "https://k3d.io/stable/usage/registries"),
}
_DOCKER_SECONDS = 2.0
_PAGE = "docs/getting-started.md"


def advice() -> str | None:
    """One line on how to do without a cluster of ours; None where there is nothing to use instead."""
    names = contexts(_kubeconfigs())
    return wording(names, None if any(map(_is_local, names)) else maker())


def wording(names: Sequence[str], tool: str | None) -> str | None:
    """The line.

    Args:
        names: Of the contexts in the user's kubeconfig.
        tool: What can make a cluster here, if anything can.
    """
    command = f"no Kubernetes is built or started with {CONTEXT_VARIABLE}="
    if local := next(filter(_is_local, names), None):
        return f"There is a cluster, {local}: {command}{shlex.quote(local)} make demo ({_PAGE})"
    if tool:
        context, page = _MAKERS[tool]
        return f"Docker and {tool} are here. With a cluster and a registry by {page} {command}{context} make demo"
    if names:
        # Not to be copied without a thought: it may be where others work.
        several = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
        return f"Your kubeconfig has {several}. On one that is yours to try things on {command}NAME make demo ({_PAGE})"
    return None


def contexts(kubeconfigs: Iterable[Path]) -> list[str]:
    """Names of the contexts in these files, the current one first; a file that cannot be read has none."""
    current, names = [], []
    for file in kubeconfigs:
        try:
            content: Any = YAML(typ="safe").load(file)
            found = [str(each["name"]) for each in content.get("contexts") or []]
            current.append(content.get("current-context"))
        except (OSError, YAMLError, UnicodeDecodeError, AttributeError, TypeError, KeyError):
            continue
        names += found
    chosen = next(filter(None, current), None)
    return sorted(dict.fromkeys(filter(str.isprintable, names)), key=lambda name: name != chosen)


def maker() -> str | None:
    """A tool on PATH that makes clusters in Docker, if Docker runs."""
    tool = next(filter(shutil.which, _MAKERS), None)
    return tool if tool and _docker_runs() else None


def _docker_runs() -> bool:
    try:
        command = ["docker", "version", "--format={{.Server.Version}}"]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=_DOCKER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _kubeconfigs() -> list[Path]:
    """As kubectl finds them, without those of sandboxes."""
    said = os.environ.get("KUBECONFIG")
    files = [Path(each) for each in said.split(os.pathsep) if each] if said else [Path.home() / ".kube" / "config"]
    return [file for file in files if not file.is_relative_to(cache())]


def _is_local(context: str) -> bool:
    return context.startswith(_LOCAL)
