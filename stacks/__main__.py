"""What `pulumi up` runs: every model that is live in the environment which has the name of the stack."""

import os
import signal
import sys
from pathlib import Path

import pulumi

from homeport import SpecError, Stack

# Pulumi starts this in stacks/; people are in the folder above, and errors name files as they see them.
os.chdir(Path(__file__).parent.parent)
# Pulumi interrupts this once an object has failed. That is told by then, and a traceback from here would hide it.
signal.signal(signal.SIGINT, lambda *_: os._exit(1))

try:
    services = Stack.read(Path("stacks") / pulumi.get_stack()).deploy()
except SpecError as error:
    # What people wrote is wrong, not this program: show all of it, and no traceback.
    for problem in error.problems:
        pulumi.log.error(str(problem))
    sys.exit(1)

for name, service in services.items():
    outputs = ("url", "namespace", "version", "image", "canary_image")
    pulumi.export(name, {output: getattr(service, output) for output in outputs})
