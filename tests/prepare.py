"""Builds what the tests of a lane need: `python -m tests.prepare LANE`.

Within a test its progress would be hidden, and its minutes be counted as those of the first test.
"""

import sys

from sandbox import build, engine
from sandbox.parts import BUILDER, CLUSTER
from sandbox.progress import Progress
from tests.audit.parts import AUDITORS, PROBE
from tests.cluster.parts import GATEWAY_API, SERVER, TRAEFIK, VEGETA

LANES = {
    "audit": AUDITORS,
    "engine": (*engine.parts(), *CLUSTER, GATEWAY_API),
    "cluster": (*engine.parts(), *CLUSTER, *BUILDER, PROBE, VEGETA, SERVER),
    "slow": (*engine.parts(), *CLUSTER, *BUILDER, GATEWAY_API, PROBE, VEGETA, SERVER, TRAEFIK),
}

if __name__ == "__main__":
    build.ensure(LANES[sys.argv[1]], Progress())
