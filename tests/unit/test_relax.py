"""Controls that an environment lets go: each by name with a reason, and nothing else with it."""

from pathlib import Path
from typing import Any

import pytest

from homeport import Environment, Model, Release, SpecError, manifests
from homeport.specs.environment import Relax

HATCHES = tuple(Relax.model_fields)
L4 = {"kinds": ["l4"]}


def objects(gpu: Any = None, **relax: str) -> dict[str, Any]:
    size = {"resources": {"gpu": gpu}, "scale": {"min": 1, "max": 4}}
    model = Model.model_validate({"name": "iris", "owner": "ds", "image": "registry.example.com/iris", **size})
    place = {"cloud": "gke", "cluster": {"identifier": "test"}, "limits": {"cpu": 8, "memory": "16Gi"}}
    here = Environment.model_validate(place | {"relax": relax})
    assert here.relax.reasons == relax
    return {each["kind"]: each for each in manifests(Release(model, here, "1", "registry.example.com/iris:1"))}


def pod(**relax: str) -> Any:
    return objects(**relax)["Deployment"]["spec"]["template"]["spec"]


def test_nothing_is_relaxed_unless_stated() -> None:
    assert not any("homeport/relaxed" in each["metadata"]["annotations"] for each in objects().values())
    assert pod()["securityContext"]["appArmorProfile"] == {"type": "RuntimeDefault"}
    assert pod()["containers"][0]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize("hatch", HATCHES)
def test_every_object_tells_what_is_relaxed(hatch: str) -> None:
    found = objects(L4, **{hatch: "a reason"})
    assert {each["metadata"]["annotations"]["homeport/relaxed"] for each in found.values()} == {hatch}


def test_several_are_told_by_name() -> None:
    found = objects(apparmor="no node has it", cpu_limits="bursts")
    assert found["Namespace"]["metadata"]["annotations"]["homeport/relaxed"] == "apparmor, cpu_limits"


def test_apparmor() -> None:
    strict, relaxed = pod(), pod(apparmor="SELinux nodes")
    assert strict["securityContext"].pop("appArmorProfile")
    assert strict == relaxed


def test_image_pull() -> None:
    assert pod(image_pull="no registry")["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_writable_root() -> None:
    assert pod()["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod(writable_root="a cache")["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False


def test_cpu_limits() -> None:
    found = objects(cpu_limits="bursts")
    resources = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert set(resources["requests"]) - set(resources["limits"]) == {"cpu"}
    # Else the API server would refuse the pod, or give it a limit again.
    hard = found["ResourceQuota"]["spec"]["hard"]
    assert "limits.cpu" not in hard
    assert "requests.cpu" in hard
    (limit,) = found["LimitRange"]["spec"]["limits"]
    assert "cpu" not in limit["default"]
    assert "cpu" not in limit["max"]
    assert "cpu" in limit["defaultRequest"]


def test_gpu_downtime_takes_a_replica_before_it_adds_one() -> None:
    strict, relaxed = objects(L4), objects(L4, gpu_downtime="all in use")
    spec, before = relaxed["Deployment"]["spec"], strict["Deployment"]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    # The new one waits until the old one has drained.
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    assert spec["progressDeadlineSeconds"] == before["progressDeadlineSeconds"] + grace
    assert spec["template"]["spec"] == before["template"]["spec"]
    assert relaxed["ResourceQuota"]["spec"] == strict["ResourceQuota"]["spec"]
    assert relaxed["PodDisruptionBudget"]["spec"] == strict["PodDisruptionBudget"]["spec"]


def test_gpu_downtime_costs_no_other_model_anything() -> None:
    assert objects(gpu_downtime="all in use") == objects()


MISTAKES = {
    "{apparmor: }": "environment.yaml:2: relax.apparmor: found nothing, accepted: the reason",
    '{apparmor: ""}': 'environment.yaml:2: relax.apparmor: found "", accepted: at least 1 character',
    "{apparmor: true}": "environment.yaml:2: relax.apparmor: found true, accepted: text",
    "{seccomp: none has it}": "environment.yaml:2: relax.seccomp: unknown field, accepted: apparmor, cpu_limits, ",
}


@pytest.mark.parametrize("relax", MISTAKES)
def test_mistake_is_named_with_line_and_field(tmp_path: Path, relax: str) -> None:
    path = tmp_path / "environment.yaml"
    path.write_text(f"cluster: {{identifier: prod}}\nrelax: {relax}\n")
    with pytest.raises(SpecError) as error:
        Environment.load(path)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(MISTAKES[relax])
