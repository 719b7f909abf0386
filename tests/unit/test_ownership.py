"""Whose an object is: told by its metadata, as each tool writes it."""

from pathlib import Path
from typing import Any

import pytest

from homeport import SpecError
from homeport.manifests.names import MARK
from homeport.ownership import Live, Name, Owner, foreign, taken
from homeport.pulumi_project import stack_of

IRIS = "shop/prod/iris"
APIS = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1"}


def live(kind: str, name: str, mark: str | None = None, *, of: Live | None = None, **metadata: Any) -> Live:
    """An object in the namespace `iris`, made by a controller from another one if it is `of` that."""
    place = {} if kind == "Namespace" else {"namespace": "iris"}
    annotations = metadata.pop("annotations", {}) | ({MARK: mark} if mark else {})
    owners = [{"kind": of.name.kind, "name": of.name.name, "uid": of.uid}] if of else None
    found = {"name": name, **place, "uid": f"{kind}/{name}", "annotations": annotations, "ownerReferences": owners}
    return Live.of({"apiVersion": APIS.get(kind, "v1"), "kind": kind, "metadata": found | metadata})


NAMESPACE = live("Namespace", "iris", IRIS)
DEPLOYMENT = live("Deployment", "iris", IRIS)


def tool(key: str, part: str = "annotations") -> dict[str, Any]:
    return {part: {key: "theirs"}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (live("Namespace", "iris", IRIS), Owner.OURS),
        (live("Namespace", "iris"), Owner.NO_ONE),
        (live("Namespace", "iris", labels=None, annotations={}), Owner.NO_ONE),
        # Another model, stack or project: what is nearly ours is not ours.
        (live("Namespace", "iris", "shop/prod/rose"), Owner.OTHER),
        (live("Namespace", "iris", "shop/dev/iris"), Owner.OTHER),
        (live("Namespace", "iris", "market/prod/iris"), Owner.OTHER),
        (live("Namespace", "iris", labels={"app.kubernetes.io/managed-by": "homeport"}), Owner.NO_ONE),
        (live("Namespace", "iris", labels={"app.kubernetes.io/managed-by": "Helm"}), Owner.OTHER),
        (live("Namespace", "iris", **tool("meta.helm.sh/release-name")), Owner.OTHER),
        (live("Namespace", "iris", **tool("argocd.argoproj.io/tracking-id")), Owner.OTHER),
        (live("Namespace", "iris", **tool("kustomize.toolkit.fluxcd.io/name", "labels")), Owner.OTHER),
        (live("Namespace", "iris", **tool("helm.toolkit.fluxcd.io/name", "labels")), Owner.OTHER),
        (live("Namespace", "iris", **tool("kapp.k14s.io/app", "labels")), Owner.OTHER),
        (live("Namespace", "iris", **tool("config.k8s.io/owning-inventory")), Owner.OTHER),
        (live("ReplicaSet", "iris", of=DEPLOYMENT), Owner.OTHER),
        # Somebody applies what `homeport render` wrote: Pulumi and Argo CD would undo what the other does.
        (live("Namespace", "iris", IRIS, **tool("argocd.argoproj.io/tracking-id")), Owner.OTHER),
    ],
    ids=str,
)
def test_metadata_tells_whose_an_object_is(found: Live, expected: Owner) -> None:
    assert found.owner(IRIS) is expected


def test_what_exists_and_is_not_ours_is_in_the_way_of_the_whole_model() -> None:
    secret = live("Secret", "iris")
    found = [live("Namespace", "iris", "shop/dev/iris"), secret, DEPLOYMENT]
    assert taken(found, NAMESPACE.name, IRIS, ()) == found[:2]
    assert taken([], NAMESPACE.name, IRIS, ()) == []


def test_what_is_no_ones_is_taken_over_by_name_and_what_is_anothers_is_not() -> None:
    found = [live("Namespace", "iris"), live("Deployment", "iris", "shop/dev/iris")]
    assert taken(found, NAMESPACE.name, IRIS, {"Namespace/iris", "Deployment.apps/iris/iris"}) == found[1:]
    assert (
        taken(found, NAMESPACE.name, IRIS, {"Namespace/iri", "Namespace/iris/iris", "Deployment.apps/iris/iris"})
        == found
    )


def test_objects_from_before_the_mark_are_not_in_the_way_of_others() -> None:
    old: dict[str, Any] = {
        "labels": {"app.kubernetes.io/managed-by": "homeport"},
        "annotations": {"homeport/model": "iris"},
    }
    deployment = live("Deployment", "iris", **old)
    canary = Name("apps", "Deployment", "iris", "iris-canary")
    assert taken([NAMESPACE, deployment], canary, IRIS, ()) == []
    assert taken([NAMESPACE, deployment], canary, "shop/prod/rose", ()) == [NAMESPACE, deployment]
    # Where it is to be created itself, it is not in the state.
    assert taken([NAMESPACE, deployment], deployment.name, IRIS, ()) == [deployment]


def test_what_kubernetes_and_controllers_make_is_not_foreign() -> None:
    replicas = live("ReplicaSet", "iris-1", of=DEPLOYMENT)
    found = [
        live("Pod", "iris-1-a", of=replicas),
        replicas,
        DEPLOYMENT,
        live("ConfigMap", "kube-root-ca.crt"),
        live("ServiceAccount", "default"),
    ]
    assert foreign(found, IRIS) == []
    assert foreign(found, "shop/dev/iris") == sorted(found[:3], key=lambda each: str(each.name))


def test_what_others_made_is_foreign_whatever_it_is_called() -> None:
    theirs = live("Deployment", "theirs")
    found = [
        live("ConfigMap", "default"),
        live("ConfigMap", "iris", "shop/prod/rose"),
        theirs,
        live("ReplicaSet", "theirs-1", of=theirs),
        live("Secret", "kube-root-ca.crt"),
        live("ServiceAccount", "iris", labels={"app.kubernetes.io/managed-by": "homeport"}),
    ]
    assert foreign([DEPLOYMENT, *found], IRIS) == sorted(found, key=lambda each: str(each.name))


def test_a_message_says_who_has_an_object() -> None:
    fields = [{"manager": "kubectl-create"}, {"manager": "helm"}, {"manager": "helm"}]
    labels = {"team": "billing", "app.kubernetes.io/managed-by": "Helm"}
    found = live("Deployment", "iris", labels=labels, annotations={"note": "ours"}, managedFields=fields)
    assert str(found) == (
        "Deployment.apps/iris/iris: managed by Helm; labels: team=billing, app.kubernetes.io/managed-by=Helm; "
        "annotations: note=ours; fields written by: helm, kubectl-create"
    )
    assert str(live("Namespace", "iris")) == (
        "Namespace/iris: no one's; labels: none; annotations: none; fields written by: unknown"
    )
    assert "managed by the stack and model shop/dev/iris;" in str(live("Namespace", "iris", "shop/dev/iris"))


def test_a_message_quotes_no_content_and_no_control_characters() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "aHVudGVyMg=="}}'}
    shown = str(live("Secret", "iris", annotations=applied | {"note": "a\n::error::b\x1b[31m", "long": "x" * 300}))
    assert "aHVudGVyMg" not in shown
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "x" * 81 not in shown


def test_the_folder_of_a_stack_and_its_project_name_the_stack(tmp_path: Path) -> None:
    folder = tmp_path / "stacks" / "prod"
    folder.mkdir(parents=True)
    assert stack_of(folder) is None
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nmain: stacks/\n")
    assert stack_of(folder) == "shop/prod"
    # Any stack of the project may be this folder's.
    assert stack_of(tmp_path) is None
    (tmp_path / "Pulumi.yaml").rename(tmp_path.parent / "elsewhere.yaml")
    (tmp_path / "Pulumi.yaml").symlink_to(tmp_path.parent / "elsewhere.yaml")
    with pytest.raises(SpecError, match="a link that leads out of the project"):
        stack_of(folder)
    (tmp_path / "Pulumi.yaml").unlink()
    (tmp_path / "Pulumi.yaml").write_text("- shop\n")
    with pytest.raises(SpecError, match="not a mapping"):
        stack_of(folder)
