"""A cloud is added in one place: its row in the catalogue, from which all the rest follows."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from homeport import Environment, SpecError
from homeport.catalogue.clouds import CLOUDS, IDENTITIES
from homeport.specs.documents import parse
from tests.support import ROOT, undigested

IMPORT = "from homeport.catalogue.gpus import (\n    AKS_ROWS,"
TABLE = "CLOUDS: Mapping[str, Cloud] = {\n"
ROW = """\
    "moon": Cloud(
        {"m1": Row({"moon.example/gpu": ["m1"]}, "docs.moon.example/gpus", MOON_GPU)},
        taints=(Taint("moon.example/dark"),),
        spot=Spot({"moon.example/spot": ["yes"]}, "docs.moon.example/spot", (Taint("moon.example/spot", "yes"),)),
        identities=(
            IdentityKind(
                name="crater",
                description="number of the crater.",
                source="docs.moon.example/craters",
                pattern="^[0-9]+$",
                accepted="the number of a crater",
                annotation="moon.example/crater",
                pod_labels={"moon.example/suit": "on"},
                token_addresses=(("169.254.1.1/32", 81),),
            ),
        ),
    ),
"""
GPU = 'MOON_GPU = ExtendedResource("moon.example/gpu", Taint("moon.example/gpu"))\n'

PROGRAM = """
import json, sys
from pathlib import Path
from homeport import Environment, Model, Release, SpecError, manifests, violations
from homeport.specs.schemas import schema

def told(**fields):
    Path("environment.yaml").write_text(json.dumps({"cluster": {"identifier": "test"}} | fields))
    try:
        return Environment.load("environment.yaml")
    except SpecError as error:
        return str(error)

here = told(cloud="moon", spot=True, identities={"iris": {"crater": "7"}})
size = {"gpu": {"kinds": ["m1"]}}
model = Model(name="iris", owner="ds", image="registry.example.com/iris", resources=size)
release = Release(model, here, "1", "registry.example.com/iris:1")
assert violations(release) == []
print(json.dumps({
    "objects": {each["kind"] + "/" + each["metadata"]["name"]: each for each in manifests(release)},
    "schema": json.loads(schema("environment")),
    "wrong": [
        told(cloud="mars"),
        told(cloud="gke", identities={"iris": {"crater": "7"}}),
        told(cloud="moon", identities={"iris": {"crater": "Tycho"}}),
    ],
}))
"""


@pytest.fixture(scope="module")
def moon(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a homeport says whose catalogue has one row more."""
    folder = tmp_path_factory.mktemp("moon")
    shutil.copytree(ROOT / "components" / "homeport", folder / "homeport", ignore=shutil.ignore_patterns("__pycache__"))
    catalogue = folder / "homeport" / "catalogue" / "clouds.py"
    text = catalogue.read_text()
    assert (text.count(IMPORT), text.count(TABLE)) == (1, 1)
    text = text.replace(IMPORT, IMPORT.replace("AKS_ROWS,", "AKS_ROWS,\n    ExtendedResource,"))
    catalogue.write_text(text.replace(TABLE, GPU + TABLE + ROW))
    # The folder of a program is searched before what is installed.
    (folder / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_lands_on_the_nodes_of_a_new_cloud(moon: Any) -> None:
    pod = moon["objects"]["Deployment/iris"]["spec"]["template"]["spec"]
    affinity = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity["nodeSelectorTerms"] == [
        {
            "matchExpressions": [
                {"key": "moon.example/gpu", "operator": "In", "values": ["m1"]},
                {"key": "moon.example/spot", "operator": "In", "values": ["yes"]},
            ]
        }
    ]
    assert pod["containers"][0]["resources"]["requests"]["moon.example/gpu"] == "1"
    tolerated = [each["key"] for each in pod["tolerations"] if each["key"].startswith("moon")]
    assert tolerated == ["moon.example/gpu", "moon.example/dark", "moon.example/spot"]


def test_a_model_has_an_identity_of_a_new_cloud(moon: Any) -> None:
    objects = {undigested(name): each for name, each in moon["objects"].items()}
    assert objects["ServiceAccount/iris"]["metadata"]["annotations"]["moon.example/crater"] == "7"
    assert objects["Deployment/iris"]["spec"]["template"]["metadata"]["labels"]["moon.example/suit"] == "on"
    assert {"to": [{"ipBlock": {"cidr": "169.254.1.1/32"}}], "ports": [{"port": 81, "protocol": "TCP"}]} in objects[
        "NetworkPolicy/iris-egress"
    ]["spec"]["egress"]


def test_the_schema_lists_a_new_cloud(moon: Any) -> None:
    fields, identity = moon["schema"]["properties"], moon["schema"]["$defs"]["Identity"]["properties"]
    assert set(fields["cloud"]["enum"]) == {"moon", *CLOUDS}
    assert set(identity) == {"crater", *IDENTITIES}
    assert identity["crater"]["description"] == "On moon: number of the crater."
    assert identity["crater"]["anyOf"][0] == {"pattern": "^[0-9]+$", "type": "string"}


def test_messages_name_a_new_cloud(moon: Any) -> None:
    assert moon["wrong"] == [
        f'environment.yaml:1: cloud: found "mars", accepted: moon, {", ".join(CLOUDS)}',
        "environment.yaml:1: identities: found a mapping, accepted: only service_account on gke, not crater (of iris)",
        'environment.yaml:1: identities.iris.crater: found "Tycho", accepted: the number of a crater',
    ]


def test_an_unknown_cloud_is_refused_with_all_that_are_known() -> None:
    with pytest.raises(SpecError) as error:
        parse(Environment, {"cloud": "heroku", "cluster": {"identifier": "test"}}, "environment")
    assert str(error.value) == (
        'environment.cloud: found "heroku", accepted: eks-karpenter, eks-auto, eks-managed, gke, aks, aks-nap, nvidia, '
        "amd, generic"
    )


def test_no_field_of_an_identity_has_two_meanings() -> None:
    kinds = [kind for cloud in CLOUDS.values() for kind in cloud.identities]
    assert all(IDENTITIES[kind.name] is kind for kind in kinds)
