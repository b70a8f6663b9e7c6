"""Sends the metrics of a run to MLflow (pip install mlflow).

    logging:
      command: [python3, configs/examples/trackers/to_mlflow.py, my-experiment]

Into the database mlflow.db in the directory of the run unless MLFLOW_TRACKING_URI names a server: `mlflow ui
--backend-store-uri sqlite:///runs/NAME/mlflow.db` shows it. MLflow allows no @ in names: eval/pass@4 becomes eval/pass_at_4.
A resumed run continues the MLflow run whose number is in mlflow-run.txt.
"""

import json
import os
import sys

import mlflow

directory = os.environ["QUILLAN_RUN_DIRECTORY"]
number = os.path.join(directory, "mlflow-run.txt")
if "MLFLOW_TRACKING_URI" not in os.environ:
    mlflow.set_tracking_uri(f"sqlite:///{directory}/mlflow.db")
mlflow.set_experiment(sys.argv[1] if len(sys.argv) > 1 else "quillan")
known = open(number).read().strip() if os.path.exists(number) else None
with mlflow.start_run(run_id=known, run_name=None if known else os.environ["QUILLAN_RUN"]) as run:
    with open(number, "w") as file:
        file.write(run.info.run_id + "\n")
    for line in sys.stdin:
        metrics = json.loads(line)
        step = metrics.pop("step")
        values = {name.replace("@", "_at_"): value for name, value in metrics.items() if isinstance(value, (int, float))}
        mlflow.log_metrics(values, step=step)
