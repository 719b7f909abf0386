"""Builds what the tests of a lane need: `python -m tests.prepare LANE`.

Within a test its progress would be hidden, and its minutes be counted as those of the first test.
"""

import sys

from sandbox import build, engine
from sandbox.image import environment
from sandbox.parts import BUILDER, CLUSTER, KWOK, METRICS_SERVER
from sandbox.paths import cache
from sandbox.progress import Progress
from tests.audit.auditors import install_checkov
from tests.audit.parts import AUDITORS, PROBE
from tests.cluster.parts import EXTERNAL_SECRETS, GATEWAY_API, KEDA, KEDA_DEFINITIONS, SERVER, TRAEFIK, VEGETA
from tests.server.client import LIBRARIES
from tests.support import EXAMPLES, ROOT

LANES = {
    "audit": AUDITORS,
    "engine": (*engine.parts(), *CLUSTER, KWOK, GATEWAY_API, EXTERNAL_SECRETS, KEDA_DEFINITIONS),
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


def prepare(lane: str, progress: Progress) -> None:
    """Makes what a lane needs and the cache has not: programs, and environments with the libraries of others."""
    build.ensure(LANES[lane], progress)
    if lane == "audit":
        with progress.step("checkov"):
            install_checkov()
    if lane == "cluster":
        for requirements in (EXAMPLES / "iris" / "requirements.txt", LIBRARIES):
            with progress.step(f"libraries of {requirements.relative_to(ROOT)}"):
                environment(requirements, cache(), progress.say)


if __name__ == "__main__":
    prepare(sys.argv[1], Progress())
