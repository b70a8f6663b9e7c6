"""Sends the metrics of a run to Weights & Biases (pip install wandb).

    logging:
      command: [python3, configs/examples/trackers/to_wandb.py, my-project]

Offline unless WANDB_MODE says otherwise: the files are in the directory of the run, and `wandb sync` uploads them. A resumed
run continues the same W&B run; W&B ignores the steps that it already has.
"""

import hashlib
import json
import os
import sys

import wandb

directory = os.environ["QUILLAN_RUN_DIRECTORY"]
run = wandb.init(
    project=sys.argv[1] if len(sys.argv) > 1 else "quillan",
    name=os.environ["QUILLAN_RUN"],
    id=hashlib.sha256(directory.encode()).hexdigest()[:16],
    resume="allow",
    mode=os.environ.get("WANDB_MODE", "offline"),
    dir=directory,
)
for line in sys.stdin:
    metrics = json.loads(line)
    step = metrics.pop("step")
    run.log({name: value for name, value in metrics.items() if isinstance(value, (int, float))}, step=step)
run.finish()
