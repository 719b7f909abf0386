"""What an edit would take from pods that run, told by objects as the cluster shows them."""

from typing import Any

import pytest

from homeport import Environment, Model, Release, manifests
from homeport.edits import homes
from homeport.ownership import Live
from homeport.specs.quantities import amount

MARK = "shop/prod/iris"


def home(name: str, mark: str = MARK, cluster: str | None = "prod", **metadata: Any) -> dict[str, Any]:
    notes = {"homeport/deployed-by": mark} | ({"homeport/cluster": cluster} if cluster else {})
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": notes, **metadata}}


@pytest.mark.parametrize(
    "there",
    [
        home("iris"),  # a creation that was interrupted
        home("iris", cluster=None),  # of a homeport before this annotation
        home("ml-iris", "shop/dev/iris"),
        home("ml-iris", deletionTimestamp="now"),
    ],
)
def test_a_model_without_another_home_gets_one(there: dict[str, Any]) -> None:
    assert homes([Live.of(there)], home("iris"), MARK) == []


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (home("ml-iris"), 'found the namespace "iris" for a model that lives in "ml-iris", accepted: that one'),
        (
            home("iris", cluster="old"),
            'found the cluster "prod" for a model that lives here in "old", accepted: that one (cluster.identifier)',
        ),
    ],
)
def test_a_model_has_one_home(there: dict[str, Any], found: str) -> None:
    (line,) = homes([Live.of(there)], home("iris"), MARK)
    assert line.startswith(found)


def test_a_namespace_tells_its_cluster() -> None:
    model = Model.model_validate({"name": "iris", "owner": "ds", "image": "registry.example.com/iris"})
    here = Environment.model_validate({"cluster": {"identifier": "prod"}})
    namespace = manifests(Release(model, here, "1", "image"))[0]
    assert namespace["metadata"]["annotations"]["homeport/cluster"] == "prod"


@pytest.mark.parametrize(
    ("one", "other"), [("1500m", "1.5"), ("1Gi", "1024Mi"), ("1k", "1000"), ("0", "0m"), ("2Ti", "2048Gi")]
)
def test_quantities_of_the_api_server_have_amounts(one: str, other: str) -> None:
    assert amount(one) == amount(other)
