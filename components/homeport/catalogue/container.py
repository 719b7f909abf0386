"""The container: the user, ports, folders and variables that a model's image and its pod have in common."""

UID = 65532
"""User and group of every pod: `nonroot` in distroless images. Above 10000, so that no user of the node has it."""

SERVING_PORT = 8080
METRICS_PORT = 8082
"""Ports of MLServer, the protocol's reference server; a model may state others."""

CACHE_TAG = "cache"
"""Tag in the repository of a built image, under which the builder keeps its layers."""

SETTINGS = "model-settings.json"
"""File, in any folder of the model's, that says what MLServer serves."""

CODE = "/model"
"""Folder of a built image with the model's files."""

LIBRARIES = "/opt/venv"
"""Folder of a built image with the virtual environment."""

SECRETS = "/run/secrets/homeport"
"""Folder with a file for each secret."""

TAKEN = ("/tmp", "/run/secrets", "/var/run/secrets", "/proc", "/sys", "/dev", "/etc")  # noqa: S108
"""Folders of the container that have other contents or that it needs."""

SECRETS_VARIABLE = "HOMEPORT_SECRETS"
"""Variable with the folder of the model's secrets, which is another one outside a cluster."""

DRAIN_VARIABLE = "HOMEPORT_DRAIN_SECONDS"
"""Variable with the maximum seconds for requests in flight when the server stops."""

READY_VARIABLE = "HOMEPORT_READY_TEXT"
"""Variable with what homeport-server logs when the model is ready."""

SERVE_VARIABLE = "HOMEPORT_SERVE"
"""Variable with the function or class that answers requests, as module:name."""

NAME_VARIABLE = "MLSERVER_MODEL_NAME"
"""Variable with the model's name for MLServer and homeport-server, if there is no SETTINGS."""

VARIABLES = {
    # Files of the image are read-only. A library that starts one thread for each core of the node would slow down a
    # container with a fraction of a core.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "HOME": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JOBLIB_MULTIPROCESSING": "0",
    "MALLOC_ARENA_MAX": "2",
    "MLSERVER_PARALLEL_WORKERS": "0",
}
"""Variables of every built image, and of `homeport run`."""
