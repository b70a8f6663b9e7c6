"""Sends the metrics of a run to trackio (pip install trackio).

    logging:
      command: [python3, configs/examples/trackers/to_trackio.py, my-project]

On this machine, in the folder that TRACKIO_DIR names: `trackio show --project my-project` shows it. A resumed run continues
the trackio run of the same name.
"""

import json
import os
import sys

import trackio

trackio.init(
    project=sys.argv[1] if len(sys.argv) > 1 else "quillan",
    name=os.environ["QUILLAN_RUN"],
    resume="allow",
    embed=False,
)
for line in sys.stdin:
    metrics = json.loads(line)
    step = metrics.pop("step")
    trackio.log({name: value for name, value in metrics.items() if isinstance(value, (int, float))}, step=step)
trackio.finish()
