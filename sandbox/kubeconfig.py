"""Kubeconfig files."""

import base64
import json

from sandbox.certificates import Pair


def kubeconfig(name: str, server: str, authority: bytes, client: Pair) -> str:
    """A kubeconfig whose cluster, context and user are called `name`; it needs no other file."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _base64(authority)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _base64(client.certificate),
                    "client-key-data": _base64(client.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2) + "\n"  # JSON is YAML


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
