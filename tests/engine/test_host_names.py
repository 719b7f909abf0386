"""Destinations by name, where the environment says that Cilium enforces them: its object, by the real engine."""

import shutil
from pathlib import Path

from homeport import Environment, Model, Release, manifests
from tests.support import EXAMPLES, Cluster, running, undigested


def test_host_name_becomes_an_object_of_cilium(cluster: Cluster, tmp_path: Path) -> None:
    source = shutil.copytree(EXAMPLES / "own-program", tmp_path / "source")
    model, environment = source / "model.yaml", source / "environment.yaml"
    model.write_text(model.read_text().replace("cidr: 203.0.113.0/24", "host: features.example.com"))
    environment.write_text(environment.read_text() + "network: {plugin: cilium}\n")
    release = Release(Model.load(model), Environment.load(environment), "3", "image")
    policies = [each for each in manifests(release) if each["kind"] == "CiliumNetworkPolicy"]
    with running(cluster, source, tmp_path) as program:
        program.up()
        assert cluster.differences(policies) == []
        assert [undigested(each["metadata"]["name"]) for each in policies] == [
            "churn-deny-metadata",
            "churn-egress-hosts",
        ]
        program.expect_no_changes()
