"""The auditors: programs of other people that read manifests and say what is wrong with them.

Each is a function from sets of manifests by name to the findings in each; none of them knows homeport.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from homeport.files import cache
from homeport.lock import locked
from sandbox import build
from sandbox.parts import KUBERNETES, KUBERNETES_VERSION
from tests.audit.parts import KUBE_SCORE, KUBECONFORM, POD_SECURITY
from tests.cluster.parts import KEDA_DEFINITIONS, SCALED_OBJECTS

Manifests = Sequence[Mapping[str, Any]]
Sets = Mapping[str, Manifests]

CHECKOV_REQUIREMENTS = Path(__file__).parent / "checkov" / "requirements.txt"
CHECKOV_FOUND = 1
"""What checkov exits with when it finds something."""


@dataclass(frozen=True)
class Finding:
    """One thing that an auditor has against one object."""

    check: str
    object: str
    message: str = ""


Auditor = Callable[[Sets], Mapping[str, Sequence[Finding]]]


def _pod_security(manifests: Manifests) -> list[Finding]:
    """The code by which the API server enforces Pod Security `restricted`."""
    workloads = [each for each in manifests if each["kind"] in {"Deployment", "Pod"}]
    lines = _run([build.program(POD_SECURITY, "pod-security")], json.dumps(workloads)).stdout.splitlines()
    return [Finding(check, name, why) for name, check, why in (line.split(": ", 2) for line in lines)]


def _kubeconform(manifests: Manifests) -> list[Finding]:
    """Kubernetes' own OpenAPI definitions, and KEDA's; strict, so that an unknown field is an error."""
    with tempfile.TemporaryDirectory() as folder:
        _write_schemas(Path(folder), {(each["apiVersion"], each["kind"]) for each in manifests})
        location = f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        command = [build.program(KUBECONFORM, "kubeconform"), "-strict", "-output=json", f"-schema-location={location}"]
        told = json.loads(_run(command, _stream(manifests), 0, 1).stdout)
    return [
        Finding(each["status"], f"{each['kind']} {each['name']}", each["msg"])
        for each in told["resources"]
        if each["status"] != "statusValid"
    ]


def _kube_score(manifests: Manifests) -> list[Finding]:
    """kube-score with all of its optional tests; warnings count too."""
    program = build.program(KUBE_SCORE, "kube-score")
    version = "v" + KUBERNETES_VERSION.rpartition(".")[0]
    options = ["--all-default-optional", "--output-format=json", f"--kubernetes-version={version}"]
    told = json.loads(_run([program, "score", *options, "-"], _stream(manifests), 0, 1).stdout)
    return [
        Finding(check["check"]["id"], f"{each['type_meta']['kind']} {each['object_meta']['name']}", _comments(check))
        for each in told
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 10
    ]


def _checkov(sets: Sets) -> dict[str, list[Finding]]:
    """All of checkov's checks for Kubernetes. It takes seconds to start, so it reads all sets at once."""
    with tempfile.TemporaryDirectory() as folder:
        files = {f"/{number}.yaml": name for number, name in enumerate(sets)}
        for file, name in files.items():
            Path(folder + file).write_text(_stream(sets[name]))
        options = ["--framework=kubernetes", "--skip-download", "--quiet", "--output=json", f"--directory={folder}"]
        told = json.loads(_run([str(install_checkov()), *options], "", 0, CHECKOV_FOUND).stdout)
    # Without results nothing was read: no finding of a text that is not YAML would look like a clean bill.
    if "results" not in told or told["summary"]["parsing_errors"]:
        raise RuntimeError(f"checkov read nothing: {told}")
    found: dict[str, list[Finding]] = {name: [] for name in sets}
    for each in told["results"]["failed_checks"]:
        found[files[each["file_path"]]].append(Finding(each["check_id"], each["resource"], each["check_name"]))
    return found


def _each(audit: Callable[[Manifests], list[Finding]]) -> Auditor:
    return lambda sets: {name: audit(manifests) for name, manifests in sets.items()}


AUDITORS: Mapping[str, Auditor] = {
    "pod-security": _each(_pod_security),
    "kubeconform": _each(_kubeconform),
    "kube-score": _each(_kube_score),
    "checkov": _checkov,
}


def _run(command: list[str], stdin: str, *accepted: int) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    # Codes are the auditors' way to say that they found something; any other means that they did not look.
    if done.returncode not in (accepted or (0,)):
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done


def _stream(manifests: Manifests) -> str:
    return "".join(f"---\n{json.dumps(each)}\n" for each in manifests)


def _comments(check: Any) -> str:
    return "; ".join(comment["summary"] for comment in check["comments"] or [])


def _write_schemas(folder: Path, kinds: set[tuple[str, str]]) -> None:
    """JSON schemas as kubeconform wants them: one file a kind."""
    module = build.module_directory("k8s.io/kubernetes", KUBERNETES.sources / KUBERNETES.name)
    definitions = json.loads((module / "api" / "openapi-spec" / "swagger.json").read_text())["definitions"]
    names = {
        (f"{kind['group']}/{kind['version']}".strip("/"), kind["kind"]): name
        for name, schema in definitions.items()
        for kind in schema.get("x-kubernetes-group-version-kind", [])
    }
    for schema in definitions.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
        if schema.get("format") == "int-or-string":  # Swagger 2 has no word for it
            schema["type"] = ["integer", "string"]
    for version, kind in kinds & names.keys():
        group, _, number = version.rpartition("/")
        suffix = f"-{group.partition('.')[0]}-{number}" if group else f"-{number}"
        schema = {"$ref": f"#/definitions/{names[version, kind]}", "definitions": definitions}
        (folder / f"{kind.lower()}{suffix}.json").write_text(json.dumps(schema))
    keda = build.module_directory("github.com/kedacore/keda/v2", KEDA_DEFINITIONS.sources / KEDA_DEFINITIONS.name)
    _write_custom_schema(folder, keda / SCALED_OBJECTS)


def _write_custom_schema(folder: Path, definition: Path) -> None:
    """The schema in a custom resource's definition, closed as the API server closes it."""
    spec = YAML(typ="safe").load(definition)["spec"]
    for version in spec["versions"]:
        schema = _closed(version["schema"]["openAPIV3Schema"])
        # The definition leaves to the API server what all objects have.
        schema["properties"]["metadata"] = {"type": "object"}
        name = f"{spec['names']['kind'].lower()}-{spec['group'].partition('.')[0]}-{version['name']}.json"
        (folder / name).write_text(json.dumps(schema))


def _closed(schema: Any) -> Any:
    if isinstance(schema, dict):
        closed = {"additionalProperties": False} if "properties" in schema else {}
        return {key: _closed(value) for key, value in schema.items()} | closed
    return [_closed(each) for each in schema] if isinstance(schema, list) else schema


def install_checkov() -> Path:
    """The program, in an environment of its own: it pins versions of what others use too. Installs it if it is missing."""
    pinned = CHECKOV_REQUIREMENTS.read_bytes()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache() / "checkov" / f"{version}-{sha256(pinned).hexdigest()[:16]}"
    with locked(folder.with_suffix(".lock")):
        complete = folder / "complete"
        if not complete.exists():
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            _run([*pip, f"--requirement={CHECKOV_REQUIREMENTS}"], "")
            complete.touch()
    return folder / "bin" / "checkov"
