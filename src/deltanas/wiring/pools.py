"""From settings to what trains: a data set, and the pool that holds it."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from deltanas import nets
from deltanas.archive import RunArchive
from deltanas.check import BuildGate, ContractGate, LimitGate, Limits
from deltanas.config import SearchConfig, TrainConfig, read_config
from deltanas.errors import UsageError
from deltanas.llm import cache_folder
from deltanas.novelty import SeedGate
from deltanas.program import Program
from deltanas.propose import CachedBuilds
from deltanas.sandbox import (
    DevicePool,
    KeptTrainings,
    LocalPool,
    Pool,
    RayPool,
    cuda_devices,
    machine_secret,
    stored_calibration,
    this_machine,
)
from deltanas.seams import Builds, Gate, Runner
from deltanas.task import CLASSIFY, DENOISE, TASKS, Task
from deltanas.train.data import Dataset, Images, Making, load, prepared
from deltanas.train.epochs import CROP, LEAST_STEPS, LEAST_STEPS_OF_PAIRS, LONG_STEPS, settled_epochs
from deltanas.train.job import PATCH
from deltanas.train.packages import versions
from deltanas.wiring.origin import CONTENT, require_same_data, stored_config
from deltanas.wiring.places import located, require_there
from deltanas.wiring.resuming import begun_config


def open_dataset_pool(
    data: str | Dataset, config: TrainConfig, prm: Mapping[str, float] | None = None, task: Task = CLASSIFY
) -> Pool:
    """data: its name, or itself. prm: hyperparameters that replace the default recipe's."""
    dataset = load_dataset(data, config)
    return open_pool(dataset, settled_training(config, dataset, prm or {}), task)


def open_shape_pool(shape: tuple[int, int, int], classes: int, config: TrainConfig) -> Pool:
    """A pool for checks alone. `shape`: (channels, height, width).

    Raises UsageError where one image takes more memory than a program may have.
    """
    gib = 4 * prod(shape) / 2**30
    if gib > config.memory_gb:
        raise UsageError(
            f"an image of {'x'.join(map(str, shape))} takes {gib:,.1f} GiB as floats, and a program may take"
            f" {config.memory_gb:g} GiB",
            "give a smaller shape: channels x height x width",
        )
    images = Images(np.zeros((1, *shape), np.uint8), np.zeros(1, np.int64))
    return open_pool(
        Dataset("blank", images, images, images, classes), config.model_copy(update={"epochs": 1, "crops": ()})
    )


def open_export_pool(run: RunArchive, folder: Path, epochs: int | None, data: str | None = None) -> LocalPool:
    """A pool on this machine that trains as the run did, for `epochs` epochs or as many as its final training.

    folder: the run's. data: name of the data set, if it is elsewhere than where the run had it.

    Raises UsageError, DataError: the run is no search, or was begun on other data.
    """
    stored = stored_config(run)
    config = begun_config(
        {key: stored[key] for key in ("dataset", "task", "prm", "train", "rungs", "final_epochs") if key in stored}
    )  # whoever proposed
    place = data or located(config, run.manifest, folder).dataset
    require_there(place)
    dataset = replace(load_dataset(place, config.train), name=config.dataset)
    require_same_data(run, dataset.record)
    begun = epochs_of(config.train, dataset, config.prm)
    wanted = epochs or config.final_epochs or begun
    timeout = config.train.timeout * max(1, wanted / (config.shortest or begun))
    train = config.train.model_copy(update={"epochs": wanted, "timeout": timeout, "executor": "local"})
    pool = open_pool(dataset, train, TASKS[config.task])
    assert isinstance(pool, LocalPool)
    return pool


def open_pool(dataset: Dataset, config: TrainConfig, task: Task = CLASSIFY, shortest: int | None = None) -> Pool:
    """shortest: number of epochs that the limit of time is for; those of the settings if not given."""
    if config.device != "cpu" and config.executor == "ray":
        raise UsageError("train.device cuda is for this machine alone, not for a Ray cluster", "give --device cpu")
    assert config.epochs != "auto"
    assert config.crops != "auto"
    require_fit(task, dataset, config)
    pool: Callable[..., Pool] = DevicePool if config.device == "cuda" else LocalPool
    if config.executor == "ray":
        pool = partial(RayPool, address=config.address)
    return pool(
        dataset,
        epochs=config.epochs,
        timeout=config.timeout,
        shortest=shortest,
        memory_bytes=int(config.memory_gb * 2**30),
        workers=config.workers,
        threads=config.threads or 1,
        augment=config.augment,
        crops=config.crops,
        average=config.average,
        unsafe=config.unsafe,
        task=task,
    )


def load_dataset(data: str | Dataset, config: TrainConfig) -> Dataset:
    """data: a data set, or the name of one."""
    given: dict[str, Any] = {"train_size": config.size, "resize": config.resize, "colour": config.colour}
    given["validation_size"] = None if config.validation_size == "all" else config.validation_size
    if isinstance(data, Dataset):
        return prepared(data.name, data, **given)
    return load(data, **given, making=Making(config.patch, config.noise, machine_secret()))


def require_fit(task: Task, dataset: Dataset, config: TrainConfig) -> None:
    """Raises UsageError where a task has nothing to do on a data set, or settings ask what it can't."""
    if dataset.paired != (task.name == DENOISE.name):
        holds, wants = ("pairs of images", "labels") if dataset.paired else ("labels", "pairs of images")
        other = next(name for name in TASKS if (name == DENOISE.name) == dataset.paired)
        sets = "photos, photos:DIR or pairs:DIR" if task is DENOISE else "one of `deltanas datasets list`"
        raise UsageError(
            f"the task {task.name} wants {wants}, and {dataset.name} holds {holds}",
            f"give --task {other}, or another --dataset: {sets}",
        )
    kind = dataset.name.partition(":")[0]
    if config.noise != "independent" and kind != "photos":
        raise UsageError(
            f"train.noise is put on clean photographs, and not on {dataset.name}",
            "leave it out, or give --dataset photos:DIR",
        )
    if config.patch != PATCH and kind not in ("photos", "pairs"):
        raise UsageError(
            f"train.patch cuts photographs, and not {dataset.name}",
            "leave it out, or give --dataset photos:DIR or pairs:DIR",
        )
    crops = () if config.crops == "auto" else config.crops
    if not dataset.paired and crops:
        raise UsageError("train.crops is for pairs of images", "leave it out; train.augment crops images with labels")
    if dataset.paired and config.augment:
        raise UsageError(
            "train.augment changes images alone, and not what they are to become",
            "leave it out: pairs are flipped and transposed as it is, and train.crops crops both alike",
        )
    least = min(dataset.in_shape[2:])
    if max(crops, default=0) > least:
        raise UsageError(
            f"train.crops has {max(crops)}, and the pairs of {dataset.name} have {least} pixels on a side",
            f"give crops up to {least}, or larger patches (train.patch)",
        )


def settled_training(config: TrainConfig, dataset: Dataset, prm: Mapping[str, float]) -> TrainConfig:
    """With the device that there is, the threads that are set, or that a calibration found best here, or one, and
    the number of epochs and the size of the crops."""
    device, threads = config.device, config.threads or 1
    if device == "auto":
        device = "cuda" if config.executor == "local" and cuda_devices() else "cpu"
    if config.threads is config.workers is None and config.executor == "local":
        calibration, word = stored_calibration()
        if word:
            logging.getLogger("deltanas").warning(word)
        threads = calibration.threads if calibration else 1
    crops = config.crops
    if crops == "auto":
        crops = (CROP,) if dataset.paired and min(dataset.in_shape[2:]) > CROP else ()
    epochs = epochs_of(config, dataset, prm)
    return config.model_copy(update={"threads": threads, "device": device, "epochs": epochs, "crops": crops})


def least_steps(dataset: Dataset) -> int:
    """Number of optimizer steps that a training on it should have."""
    return LEAST_STEPS_OF_PAIRS if dataset.paired else LEAST_STEPS


def epochs_of(config: TrainConfig, dataset: Dataset, prm: Mapping[str, float]) -> int:
    """As set, or what the training images ask for at the batch of the recipe that all candidates begin with."""
    return _reached(dataset, prm, least_steps(dataset)) if config.epochs == "auto" else config.epochs


def settled_lengths(config: SearchConfig, dataset: Dataset) -> SearchConfig:
    """With the lengths that its training images ask for, where nobody set any.

    Raises UsageError where it is said who goes on to the next length, and there is one.
    """
    if config.rungs != "auto":
        return config
    steps = () if dataset.paired else (LEAST_STEPS, LONG_STEPS)
    asked = tuple(dict.fromkeys(_reached(dataset, config.prm, least) for least in steps))
    return read_config(config.at(asked if len(asked) > 1 else ()).model_dump())


def _reached(dataset: Dataset, prm: Mapping[str, float], steps: int) -> int:
    """The least number of epochs with so many optimizer steps."""
    return settled_epochs(len(dataset.train), max(1, int({**nets.DEFAULT_PRM, **prm}["batch"])), steps)


def kept_builds(runner: Pool) -> CachedBuilds:
    """The pool's build checks, kept between runs under all that their answers depend on but the program."""
    code = _code("train/build.py", "train/compat.py", "train/digest.py")
    asked = [runner.task.name, runner.dataset.in_shape[1:], runner.out_shape, runner.augment]
    check = json.dumps([*asked, platform.python_version(), versions(), *code])
    return CachedBuilds(runner, cache_folder() / "builds", check)


def kept_trainings(runner: Pool, config: TrainConfig, baselines: Iterable[Program]) -> Runner:
    """The pool, which keeps the trainings of these programs on this machine unless the settings say otherwise.

    Their seeds are those of the run, so a run with another seed finds none: networks are ranked by the luck of few
    seeds, and runs that shared it would not be independent.
    """
    if not config.cache:
        return runner
    fed = {key: runner.dataset.record[key] for key in CONTENT}
    asked = [runner.task.name, fed, runner.dataset.scale, runner.augment, runner.crops, runner.average]
    processor, *_ = this_machine()  # a folder may be shared by machines that round otherwise
    ran = [type(runner).__name__, config.device, processor, runner.threads, runner.tier, platform.python_version()]
    code = _code("task.py", "imagery.py", "train/average.py", "sandbox/judge.py")
    protocol = json.dumps([*asked, *ran, versions(), *code])
    return KeptTrainings(runner, cache_folder() / "trainings", protocol, baselines, runner.epochs)


def _code(*more: str) -> list[str]:
    """What trains and feeds a network, as text, with further files."""
    names = (
        "program/transforms/menu.py",
        "program/transforms/text.py",
        *(f"train/augment/{name}.py" for name in ("__init__", "draws", "effects", "filters", "geometry")),
        *(f"train/augment/{name}.py" for name in ("levels", "policies", "warps")),
        *(f"train/{name}.py" for name in ("batches", "faults", "job", "loop", "packages", "pairs", "state", "tasks")),
        *more,
    )
    return [files("deltanas").joinpath(name).read_text("utf-8") for name in names]


def gates(builds: Builds, limits: Limits | None = None, *, seeds: bool = False) -> tuple[Gate, ...]:
    """seeds: what differs from its parent by a seed alone is told as that."""
    before: tuple[Gate, ...] = (ContractGate(), *([SeedGate()] if seeds else []), BuildGate(builds))
    return (*before, LimitGate(limits)) if limits else before
