"""Builds what the tests of a lane need: `python -m tests.prepare LANE`.

Within a test its progress would be hidden, and its minutes be counted as those of the first test.
"""

import sys

from sandbox import build, engine
from sandbox.parts import BUILDER, CLUSTER, KWOK, METRICS_SERVER
from sandbox.progress import Progress
from tests.audit.parts import AUDITORS, PROBE
from tests.cluster.parts import EXTERNAL_SECRETS, GATEWAY_API, KEDA, KEDA_DEFINITIONS, SERVER, TRAEFIK, VEGETA

LANES = {
    "audit": AUDITORS,
    "engine": (*engine.parts(), *CLUSTER, METRICS_SERVER, KWOK, GATEWAY_API, EXTERNAL_SECRETS, KEDA_DEFINITIONS),
    "cluster": (*engine.parts(), *CLUSTER, METRICS_SERVER, *BUILDER, GATEWAY_API, PROBE, VEGETA, SERVER),
    "slow": (
        *engine.parts(),
        *CLUSTER,
        METRICS_SERVER,
        *BUILDER,
        GATEWAY_API,
        KEDA_DEFINITIONS,
        PROBE,
        VEGETA,
        SERVER,
        TRAEFIK,
        KEDA,
    ),
}

if __name__ == "__main__":
    build.ensure(LANES[sys.argv[1]], Progress())
