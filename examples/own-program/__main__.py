"""An engineer's own Pulumi program: one model among whatever else the program declares."""

import pulumi

from homeport import Environment, Model, ModelService, ModelServiceArgs, cluster_provider, last_commit

environment = Environment.load("environment.yaml")

churn = ModelService(
    "churn",
    ModelServiceArgs(
        model=Model.load("model.yaml"),
        environment=environment,
        version="3",
        commit=last_commit(["model.yaml", "environment.yaml", "__main__.py"]),
    ),
    pulumi.ResourceOptions(providers=[cluster_provider(environment)]),
)

pulumi.export("url", churn.url)
pulumi.export("namespace", churn.namespace)
