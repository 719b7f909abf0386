"""The program that `pulumi up` runs: deploys every model that is live in the environment with the stack's name."""

import os
import signal
import sys
from pathlib import Path

import pulumi

from homeport import SpecError, Stack

# Pulumi starts this in stacks/. People work in the folder above, and errors name files relative to it.
os.chdir(Path(__file__).parent.parent)
# Pulumi interrupts this after an object has failed and is reported. A traceback from here would hide the report.
signal.signal(signal.SIGINT, lambda *_: os._exit(1))

try:
    services = Stack.read(Path("stacks") / pulumi.get_stack()).deploy()
except SpecError as error:
    # The files are wrong, not this program, so show all problems and no traceback.
    for problem in error.problems:
        pulumi.log.error(str(problem))
    sys.exit(1)

for name, service in services.items():
    outputs = ("url", "namespace", "version", "image", "canary_image")
    pulumi.export(name, {output: getattr(service, output) for output in outputs})
