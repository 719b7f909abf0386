"""An engineer's own Pulumi program: one model among whatever else the program declares."""

import pulumi

from homeport import Environment, Model, ModelService, ModelServiceArgs, cluster_provider, last_commit

environment = Environment.load("environment.yaml")
model = Model.load("model.yaml")
digest = "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270"

churn = ModelService(
    "churn",
    ModelServiceArgs(
        model=model,
        environment=environment,
        version="3",
        image=f"{model.image}:3@{digest}",
        commit=last_commit(["model.yaml", "environment.yaml", "__main__.py"]),
    ),
    pulumi.ResourceOptions(providers=[cluster_provider(environment)]),
)

pulumi.export("url", churn.url)
pulumi.export("namespace", churn.namespace)
