"""Charts and groups of YAML files: the sandbox's provider registers their objects by a package of its own."""

import textwrap
from pathlib import Path

from tests.support import Cluster, running, write_program

PROGRAM = """\
import pulumi
from pulumi_kubernetes import Provider
from pulumi_kubernetes.helm.v4 import Chart, PostRendererArgs, RepositoryOptsArgs
from pulumi_kubernetes.yaml.v2 import ConfigGroup

provider = Provider("cluster", enable_server_side_apply=True)
opts = pulumi.ResourceOptions(provider=provider)
group = ConfigGroup("group", yaml=open("objects.yaml").read(), opts=opts)
chart = Chart(
    "chart",
    chart="./chart",
    namespace="provider-components",
    values={"color": "green"},
    repository_opts=RepositoryOptsArgs(username="nobody", password="unused"),
    post_renderer=PostRendererArgs(command="sed", args=["s/large/small/"]),
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[group]),
)
pulumi.export("registered", chart.resources.apply(lambda found: len(found)))
"""

OBJECTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: provider-components}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.components.example.com}
spec:
  group: components.example.com
  scope: Namespaced
  names: {kind: Gate, plural: gates, singular: gate}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: components.example.com/v1
kind: Gate
metadata: {name: gate, namespace: provider-components}
spec: {open: true}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: provider-components}
stringData: {word: hidden-in-the-state}
"""

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: {{ .Values.color }}, size: large}
"""


def test_objects_of_charts_and_yaml_files_are_created(cluster: Cluster, tmp_path: Path) -> None:
    source = write_program(tmp_path / "source", "components", PROGRAM)
    (source / "objects.yaml").write_text(OBJECTS)
    (source / "chart" / "templates").mkdir(parents=True)
    (source / "chart" / "Chart.yaml").write_text(
        textwrap.dedent("""\
            apiVersion: v2
            name: chart
            version: 1.0.0
        """)
    )
    (source / "chart" / "templates" / "settings.yaml").write_text(TEMPLATE)
    with running(cluster, source, tmp_path) as program:
        program.up()
        namespace = "--namespace=provider-components"
        assert cluster.get("gates.components.example.com", "gate", namespace)["spec"] == {"open": True}
        # The value of the program, and what the post renderer made of the template's.
        assert cluster.get("configmap", "settings", namespace)["data"] == {"color": "green", "size": "small"}
        assert program.outputs() == {"registered": 1}
        state = program.state()
        types = {resource["type"] for resource in state["resources"]}
        assert {
            "kubernetes:core/v1:Namespace",
            "kubernetes:core/v1:Secret",
            "kubernetes:core/v1:ConfigMap",
            "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
            "kubernetes:components.example.com/v1:Gate",
        } <= types
        assert "hidden-in-the-state" not in str(state)
        program.expect_no_changes()
    assert not cluster.exists("namespace", "provider-components")
