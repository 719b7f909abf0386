"""Namespaces that are never a model's, wherever it runs: the cluster's own, and those of what an environment uses."""

KUBERNETES = {
    "default": "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
    "kube-*": "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
}
"""Namespaces of every cluster, `*` for any characters, and the source for them."""

KEDA = "keda"
"""Where KEDA is installed: https://keda.sh/docs/latest/deploy/."""

EXTERNAL_SECRETS = "external-secrets"
"""Where the External Secrets Operator is installed: https://external-secrets.io/latest/introduction/getting-started/."""
