"""What the numbers of an exported network mean, as `config.json` and the files' own metadata keep it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from deltanas.export.net import Net
from deltanas.program.transforms import read_transform
from deltanas.records import RunView
from deltanas.task import Sorts, Task
from deltanas.train.data import Dataset, meaning_of, order_told


def config_of(view: RunView, net: Net, dataset: Dataset, task: Task, transform: str = "") -> dict[str, object]:
    """The names that image models of Hugging Face have, and under `deltanas` where the network comes from.

    transform: the program's; its operations are named.
    """
    source, metric = dataset.source, task.metric.name
    own = {
        "version": view.manifest.get("version"),
        "run": view.name,
        "program": net.program,
        "task": task.name,
        "metric": metric,
        "validation": net.validation and asdict(net.validation),
        "test": net.test and asdict(net.test),
        "seed": net.seed,
        "epochs": net.epochs,
        "transform": [step.call.partition(".")[2] for step in read_transform(transform)] if transform else None,
        "dataset": dataset.name,
        "data_sha256": dataset.fingerprint,
        "notes": [note for note in (*source.notes, order_told(source.names)) if note],
    }
    settings = view.manifest.get("config")
    train = settings.get("train") if isinstance(settings, Mapping) else None
    meant = meaning_of(dataset.record, train) if isinstance(task, Sorts) else None
    image = {"num_channels": dataset.in_shape[1], "do_rescale": True, "rescale_factor": 1 / 255}
    return {
        "model_type": "deltanas",
        "architectures": ["Net"],
        **(meant.config() if meant else image if dataset.paired else {}),
        "deltanas": own,
    }


def metadata_of(config: Mapping[str, object]) -> dict[str, str]:
    """The same as texts by name: JSON, but for what is a text already."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in config.items()
    }
