"""On which nodes a model's pods may stand, which they prefer, and how they spread."""

from typing import Any

import pytest

from homeport import Environment, Model, Release
from homeport.manifests import manifests
from homeport.manifests.placement import placement
from tests import nodes as world


def release(environment: dict[str, Any], gpu: dict[str, Any] | None = None) -> Release:
    fields = {"name": "iris", "owner": "ds", "image": "registry.example.com/iris", "resources": {"gpu": gpu}}
    here = Environment.model_validate({"cluster": {"identifier": "test"}} | environment)
    return Release(Model.model_validate(fields), here, "1", "registry.example.com/iris:1")


def nodes_tolerated(fields: dict[str, Any]) -> Any:
    """All but those of nodes that are lost."""
    return [each for each in fields["tolerations"] if "tolerationSeconds" not in each]


def required(fields: dict[str, Any]) -> Any:
    affinity = fields["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [term["matchExpressions"] for term in affinity["nodeSelectorTerms"]]


def test_a_model_without_gpu_stands_anywhere_and_spreads() -> None:
    fields = placement(release({}))
    assert list(fields) == ["topologySpreadConstraints", "affinity", "tolerations"]
    assert nodes_tolerated(fields) == []
    assert list(fields["affinity"]) == ["podAntiAffinity"]
    keys = [constraint["topologyKey"] for constraint in fields["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_the_kind_is_required_with_its_toleration() -> None:
    fields = placement(release({"cloud": "gke"}, {"kinds": ["l4"]}))
    assert required(fields) == [
        [
            {"key": "cloud.google.com/gke-accelerator", "operator": "In", "values": ["nvidia-l4"]},
            {"key": "cloud.google.com/gke-gpu-partition-size", "operator": "DoesNotExist"},
            {"key": "cloud.google.com/gke-gpu-sharing-strategy", "operator": "DoesNotExist"},
            {"key": "cloud.google.com/gke-spot", "operator": "NotIn", "values": ["true"]},
        ]
    ]
    assert nodes_tolerated(fields) == [{"key": "nvidia.com/gpu", "effect": "NoSchedule", "operator": "Exists"}]


def test_one_kind_needs_no_preference() -> None:
    affinity = placement(release({"cloud": "gke"}, {"kinds": ["l4"]}))["affinity"]["nodeAffinity"]
    assert list(affinity) == ["requiredDuringSchedulingIgnoredDuringExecution"]


def test_any_kind_of_a_list_will_do_and_the_first_are_preferred() -> None:
    fields = placement(release({"cloud": "nvidia"}, {"kinds": ["l4", "a10g", "t4"]}))
    products = [[expressions[0]["values"]] for expressions in required(fields)]
    assert products == [[["NVIDIA-L4"]], [["NVIDIA-A10G"]], [["Tesla-T4"]]]
    pod = {"affinity": fields["affinity"]}
    weights = {
        node.kind: world.preference(pod, node) for node in world.place("nvidia").nodes if node.kind and not node.part
    }
    assert (weights["l4"], weights["a10g"], weights["t4"]) == (100, 50, 0)


def test_preferences_stay_within_what_kubernetes_accepts() -> None:
    own = {f"kind-{index}": {"labels": {"gpu": [str(index)]}} for index in range(150)}
    fields = placement(release({"accelerators": own}, {"kinds": list(own)}))
    preferred = fields["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    weights = [each["weight"] for each in preferred]
    assert (weights[0], weights[-1]) == (100, 1)
    assert weights == sorted(weights, reverse=True)


def test_spot_is_for_all_models_of_an_environment() -> None:
    fields = placement(release({"cloud": "aks", "spot": True}))
    label = "kubernetes.azure.com/scalesetpriority"
    assert required(fields) == [[{"key": label, "operator": "In", "values": ["spot"]}]]
    assert nodes_tolerated(fields) == [{"key": label, "effect": "NoSchedule", "operator": "Equal", "value": "spot"}]


def test_no_model_stands_on_spot_capacity_unless_the_environment_says_so() -> None:
    fields = placement(release({"cloud": "eks-karpenter"}))
    assert required(fields) == [[{"key": "karpenter.sh/capacity-type", "operator": "NotIn", "values": ["spot"]}]]


def test_the_environment_names_the_priority_class() -> None:
    assert placement(release({"priority_class": "serving"}))["priorityClassName"] == "serving"


def test_further_taints_of_the_environment_are_tolerated() -> None:
    gpu = {"tolerations": [{"key": "dedicated", "value": "models"}]}
    fields = placement(release({"cloud": "nvidia", "gpu": gpu}, {"kinds": ["t4"]}))
    assert [taint["key"] for taint in nodes_tolerated(fields)] == ["nvidia.com/gpu", "dedicated"]


PARTS = [
    ({"cloud": "gke"}, {"mig": "1g.10gb"}, "nvidia.com/gpu"),
    ({"cloud": "nvidia"}, {"mig": "1g.10gb"}, "nvidia.com/gpu"),
    ({"cloud": "nvidia", "gpu": {"mig_strategy": "mixed"}}, {"mig": "1g.10gb"}, "nvidia.com/mig-1g.10gb"),
    ({"cloud": "nvidia", "gpu": {"rename_shared": True}}, {"shared": True}, "nvidia.com/gpu.shared"),
    ({"cloud": "nvidia"}, {"shared": True}, "nvidia.com/gpu"),
]


@pytest.mark.parametrize(("environment", "part", "resource"), PARTS)
def test_pod_and_quota_name_the_same_resource(environment: dict[str, Any], part: dict[str, Any], resource: str) -> None:
    here = environment | {"limits": {"gpus": 8}}
    objects = {each["kind"]: each for each in manifests(release(here, {"kinds": ["h100"], **part}))}
    container = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"][resource] == "1"
    assert container["resources"]["limits"][resource] == "1"
    hard = objects["ResourceQuota"]["spec"]["hard"]
    assert [key for key in hard if key.startswith("requests.nvidia")] == [f"requests.{resource}"]


@pytest.mark.parametrize("gpu", [None, {"kinds": ["l4"]}])
def test_a_node_that_no_longer_answers_is_left_soon(gpu: Any) -> None:
    lost = [each for each in placement(release({"cloud": "gke"}, gpu))["tolerations"] if "tolerationSeconds" in each]
    assert {each["key"]: each for each in lost} == {
        key: {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    }
