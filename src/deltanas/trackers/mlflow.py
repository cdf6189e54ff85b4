"""MLflow: a run of the experiment `deltanas`, at MLFLOW_TRACKING_URI or in a database in the run's folder."""

from __future__ import annotations

import importlib
import json
import logging
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltanas.whole import write_whole

EXPERIMENT = "deltanas"
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's own defaults would hold a search up for minutes where the server is gone."""
_LONGEST = 500
"""Characters of a parameter's value that every store of MLflow takes."""


class MlFlow:
    """Metrics of one MLflow run. Which run it is stands in `mlflow.json`, so that a resumed search goes on with it."""

    def __init__(self, folder: Path, name: str, manifest: Mapping[str, object]) -> None:
        for key, value in _PATIENCE.items():
            os.environ.setdefault(key, value)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of its own libraries
            self._metric = importlib.import_module("mlflow.entities").Metric
            self._client: Any = importlib.import_module("mlflow.tracking").MlflowClient(uri)
            self._run = self._begun(folder / "mlflow.json", uri, name, manifest)
            data = self._client.get_run(self._run).data
            self._held = {
                (key, metric.step) for key in data.metrics for metric in self._client.get_metric_history(self._run, key)
            }

    def held(self) -> set[tuple[str, int]]:
        return self._held

    def write(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(self._run, [self._metric(key, value, now, step) for key, value in values.items()])

    def close(self) -> None:
        self._client.set_terminated(self._run)

    def _begun(self, pointer: Path, uri: str, name: str, manifest: Mapping[str, object]) -> str:
        if pointer.exists():
            kept = json.loads(pointer.read_text("utf-8"))
            if kept["uri"] == uri:
                run = str(kept["run"])
                self._client.update_run(run, status="RUNNING")
                return run
        found = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        run = str(self._client.create_run(experiment, run_name=name).info.run_id)
        for key, value in manifest.items():
            self._client.log_param(run, key, json.dumps(value)[:_LONGEST])
        write_whole(pointer, json.dumps({"uri": uri, "run": run}))
        return run
