"""Images with their own server: what each server needs in `model.yaml`, so that authors need not state it again.

The table is data, and each row has its sources. A row is a part of a `model.yaml`; what the model states overrides it.
A row also has what the image needs to run as an unknown user on a read-only root file system: caches below /tmp, and a
name for the user, who is not in the image's list of users.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NOBODY = {
    "HOME": "/tmp",  # noqa: S108  # most caches are below it
    # PyTorch names a folder after its user, and fails if the user has no name.
    # https://docs.python.org/3/library/getpass.html#getpass.getuser: the first of LOGNAME, USER, LNAME and USERNAME
    "USER": "model",
}
_HUGGING_FACE = {"HF_HOME": "/tmp/huggingface"}  # noqa: S108
"""https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables#hfhome"""


@dataclass(frozen=True)
class Server:
    """What an image with this server needs."""

    spec: Mapping[str, Any]
    """A part of a `model.yaml`. Metrics without a port use the serving port."""
    sources: tuple[str, ...]


SERVERS: Mapping[str, Server] = {
    "kserve": Server(
        spec={
            "port": 8080,
            "health": {"live": "/v2/health/live", "ready": "/v2/health/ready"},
            "metrics": {"path": "/metrics"},
            "resources": {"shm": "512Mi"},
            "startup_seconds": 300,
            "env": _NOBODY | _HUGGING_FACE,
        },
        sources=(
            "https://github.com/kserve/kserve/blob/master/config/runtimes/kserve-huggingfaceserver.yaml",
            "https://github.com/kserve/kserve/blob/master/python/kserve/kserve/protocol/rest/v2_endpoints.py",
        ),
    ),
    "ray-serve": Server(
        spec={
            "port": 8000,
            "health": {"live": "/-/healthz", "ready": "/-/healthz"},
            # The port of `ray start --metrics-export-port=8080`. By default, Ray uses any free port.
            "metrics": {"port": 8080, "path": "/metrics"},
            # For Ray's object store. If it is too small, Ray uses /tmp instead.
            "resources": {"shm": "1Gi", "tmp": "1Gi"},
            "startup_seconds": 300,
            # By default, Serve listens only on 127.0.0.1.
            "env": _NOBODY | {"RAY_SERVE_DEFAULT_HTTP_HOST": "0.0.0.0"},  # noqa: S104
        },
        sources=(
            "https://github.com/ray-project/kuberay/blob/master/ray-operator/controllers/ray/utils/constant.go",
            "https://github.com/ray-project/ray/blob/master/python/ray/serve/_private/constants.py",
            "https://docs.ray.io/en/latest/cluster/metrics.html",
        ),
    ),
    "tgi": Server(
        spec={
            # The image's default is 80, on which some nodes do not let an unprivileged user listen.
            "port": 8080,
            "health": {"live": "/health", "ready": "/health"},
            "metrics": {"path": "/metrics"},
            "resources": {"shm": "1Gi", "tmp": "2Gi"},
            "startup_seconds": 600,
            # The image has its cache in /data. Older images read the second variable.
            "env": _NOBODY | _HUGGING_FACE | {"HUGGINGFACE_HUB_CACHE": "/tmp/huggingface/hub", "PORT": "8080"},  # noqa: S108
        },
        sources=(
            "https://github.com/huggingface/text-generation-inference/blob/main/Dockerfile",
            "https://github.com/huggingface/text-generation-inference#a-note-on-shared-memory-shm",
            "https://huggingface.co/docs/text-generation-inference/reference/metrics",
        ),
    ),
    "triton": Server(
        spec={
            "port": 8000,
            "health": {"live": "/v2/health/live", "ready": "/v2/health/ready"},
            "metrics": {"port": 8002, "path": "/metrics"},
            "resources": {"shm": "1Gi"},
            "startup_seconds": 300,
            "env": _NOBODY,
        },
        sources=(
            "https://github.com/triton-inference-server/server/blob/main/deploy/k8s-onprem/templates/deployment.yaml",
            "https://docs.nvidia.com/deeplearning/sdk/inference-server-archived/tensorrt_inference_server_180/inference-release-notes/running.html",
        ),
    ),
    "vllm": Server(
        spec={
            "port": 8000,
            "health": {"live": "/health", "ready": "/health"},
            "metrics": {"path": "/metrics"},
            "resources": {"shm": "2Gi", "tmp": "2Gi"},
            "startup_seconds": 600,
            "env": _NOBODY | _HUGGING_FACE,
        },
        sources=(
            "https://docs.vllm.ai/en/latest/deployment/k8s.html",
            "https://docs.vllm.ai/en/latest/usage/metrics.html",
        ),
    ),
}
