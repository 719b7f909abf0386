"""Asks a cluster with `kubectl`, which reads kubeconfigs and credentials as Pulumi's Kubernetes provider does."""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from homeport.errors import HomeportError
from homeport.manifests.names import MANAGED, MODEL_LABEL
from homeport.ownership import Live

_REQUEST_SECONDS = 10
_REACH_SECONDS = 5
_COMMAND_SECONDS = 60

# Only metadata: the content of the objects, such as the values of Secrets, does not leave kubectl.
_OBJECT = '{.apiVersion}{"\\t"}{.kind}{"\\t"}{.metadata}{"\\n"}'
_METADATA = f"--output=jsonpath={_OBJECT}{{range .items[*]}}{_OBJECT}{{end}}"

_UNKNOWN_KIND = re.compile("no matches for kind|ensure CRDs are installed")
"""What kubectl says about an object of a kind that the cluster does not know."""

_UNSERVED = re.compile("NotFound")
"""What kubectl says about a path that the API server does not serve."""

_LOG = re.compile(r"[IWEF]\d{4} ")
"""Begins the lines of kubectl's log, which repeats what its errors say."""

_TELLS_OF_OTHERS = {"endpoints", "endpointslices.discovery.k8s.io", "events", "events.events.k8s.io"}
"""Kinds whose objects only say something about others."""


class KubectlError(HomeportError):
    """The cluster could not be asked."""


@dataclass(frozen=True)
class Kubectl:
    """The connection of a Kubernetes provider: what the provider is told, otherwise the defaults of kubeconfigs."""

    context: str | None = None
    cluster: str | None = None
    kubeconfig: str | None = field(default=None, repr=False)
    """Path of a kubeconfig, or its content."""

    def reach(self) -> None:
        """Ask for nothing, with a single request.

        Raises:
            KubectlError: The cluster did not answer.
        """
        self._run("get", "--raw=/version", seconds=_REACH_SECONDS)

    def find(self, manifests: Iterable[Mapping[str, Any]]) -> list[Live]:
        """Those objects of some manifests that exist.

        Raises:
            KubectlError: The cluster did not answer, or refused.
        """
        wanted = "".join(f"---\n{json.dumps(_reference(each))}\n" for each in manifests)
        return list(_parsed(self._run("get", "--filename=-", "--ignore-not-found", _METADATA, stdin=wanted)))

    def namespaces(self, model: str) -> list[Live]:
        """The namespaces that some homeport has made for a model with this name.

        Raises:
            KubectlError: The cluster did not answer, or refused.
        """
        labels = ",".join(f"{key}={value}" for key, value in {MODEL_LABEL: model, **MANAGED}.items())
        return list(_parsed(self._run("get", "namespaces", f"--selector={labels}", "--ignore-not-found", _METADATA)))

    def content(self, namespace: str) -> list[Live]:
        """The objects in a namespace that would be deleted with it, except events and endpoints.

        Raises:
            KubectlError: The cluster did not answer, or does not show all objects.
        """
        kinds = self._run("api-resources", "--namespaced", "--verbs=list,delete", "--output=name").split()
        asked = ",".join(kind for kind in kinds if kind not in _TELLS_OF_OTHERS)
        return list(_parsed(self._run("get", asked, f"--namespace={namespace}", "--ignore-not-found", _METADATA)))

    def read(self, manifests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those objects of some manifests that exist, with their content.

        Raises:
            KubectlError: The cluster did not answer, or refused.
        """
        wanted = "".join(f"---\n{json.dumps(_reference(each))}\n" for each in manifests)
        return _whole(self._run("get", "--filename=-", "--ignore-not-found", "--output=json", stdin=wanted))

    def kinds(self, api_version: str) -> set[str]:
        """The kinds of an API version; none if the cluster does not serve it.

        Raises:
            KubectlError: The cluster did not answer.
        """
        try:
            root = "apis" if "/" in api_version else "api"
            found = json.loads(self._run("get", f"--raw=/{root}/{api_version}"))
        except KubectlError as error:
            if _UNSERVED.search(str(error)):
                return set()
            raise
        return {each["kind"] for each in found["resources"]}

    def all(self, kinds: Iterable[str], namespace: str) -> list[Mapping[str, Any]]:
        """All objects of some kinds in a namespace, with their content.

        Raises:
            KubectlError: The cluster did not answer, or refused.
        """
        return _whole(self._run("get", ",".join(kinds), f"--namespace={namespace}", "--output=json"))

    def _run(self, *arguments: str, stdin: str = "", seconds: int = _REQUEST_SECONDS) -> str:
        with self._options() as options:
            command = ["kubectl", *options, f"--request-timeout={seconds}s", *arguments]
            try:
                done = subprocess.run(
                    command, input=stdin, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS
                )
            except FileNotFoundError:
                raise KubectlError("found no kubectl on PATH: install it") from None
            except subprocess.TimeoutExpired:
                raise KubectlError(f"kubectl took longer than {_COMMAND_SECONDS} seconds") from None
        told = [line for line in done.stderr.splitlines() if not _LOG.match(line)]
        errors = [line for line in told if not _UNKNOWN_KIND.search(line)]
        if done.returncode == 0 or (told and not errors):
            return done.stdout
        raise KubectlError("; ".join(dict.fromkeys(errors)) or f"kubectl failed with exit code {done.returncode}")

    @contextmanager
    def _options(self) -> Iterator[list[str]]:
        stated = {"context": self.context, "cluster": self.cluster}
        options = [f"--{name}={value}" for name, value in stated.items() if value]
        if not self.kubeconfig:
            yield options
        elif "\n" not in self.kubeconfig and (path := Path(self.kubeconfig).expanduser()).is_file():
            yield [*options, f"--kubeconfig={path}"]
        else:
            with TemporaryDirectory() as private:
                path = Path(private) / "kubeconfig"
                path.write_text(self.kubeconfig, encoding="utf-8")
                yield [*options, f"--kubeconfig={path}"]


def _reference(manifest: Mapping[str, Any]) -> dict[str, Any]:
    place = {key: manifest["metadata"][key] for key in ("name", "namespace") if key in manifest["metadata"]}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": place}


def _whole(told: str) -> list[Mapping[str, Any]]:
    found = json.loads(told or '{"items": []}')
    return list(found["items"]) if "items" in found else [found]


def _parsed(lines: str) -> Iterator[Live]:
    for line in lines.splitlines():
        api_version, kind, metadata = line.split("\t", 2)
        if kind != "List":
            yield Live.of({"apiVersion": api_version, "kind": kind, "metadata": json.loads(metadata)})
