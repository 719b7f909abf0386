"""The container: what the image of a model and the pod around it agree on: user, ports, folders and variables."""

UID = 65532
"""User and group of every pod: above 10000, so that it is nobody on the node; the `nonroot` of distroless images."""

SERVING_PORT = 8080
METRICS_PORT = 8082
"""Ports of the protocol's reference server, MLServer, where a model does not state others."""

CODE = "/model"
"""Folder of a built image that has the model's files."""

LIBRARIES = "/opt/venv"
"""Folder of a built image that has the virtual environment with its libraries."""

SECRETS = "/run/secrets/homeport"
"""Folder with a file for each secret."""

TAKEN = ("/tmp", "/run/secrets", "/var/run/secrets", "/proc", "/sys", "/dev", "/etc")  # noqa: S108
"""Folders of the container that others fill, or that it cannot do without."""

SECRETS_VARIABLE = "HOMEPORT_SECRETS"
"""Tells the model the folder of its secrets, which is another one where it does not run in a cluster."""

DRAIN_VARIABLE = "HOMEPORT_DRAIN_SECONDS"
"""Tells the server how long requests may take that it has begun when it is asked to stop."""

SERVE_VARIABLE = "HOMEPORT_SERVE"
"""Tells the server which function or class answers requests, as module:name."""

NAME_VARIABLE = "MLSERVER_MODEL_NAME"
"""Names the model to MLServer, and to the server of this project, where no model-settings.json does."""

VARIABLES = {
    # Files of the image cannot be written, and a library that starts a thread for each core of the node slows a
    # container that has a fraction of one.
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
"""Variables of every image that is built, and of `homeport run`."""
