"""From settings to objects: the only place that constructs the rooms' parts and joins them."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from importlib.resources import files
from math import ceil
from pathlib import Path

import numpy as np

from deltanas import nets
from deltanas.archive import POINTER, RunArchive, RunFolder, begin_run, read_folder
from deltanas.assess import assumed_of, told_assumed
from deltanas.check import BuildGate, ContractGate
from deltanas.config import SearchConfig, TrainConfig, read_config, resumed_config
from deltanas.errors import DataError, UsageError
from deltanas.learn.learner import Teaching
from deltanas.llm import Model, cache_folder
from deltanas.novelty import NoveltyGate
from deltanas.policy import by_rank
from deltanas.program import Program, assumed, prm_text
from deltanas.propose import CachedBuilds, Tournament
from deltanas.repeats import Repeats
from deltanas.sandbox import DevicePool, LocalPool, Pool, RayPool, cores, cuda_devices, stored_calibration
from deltanas.seams import Builds, Gate, Listener, Proposer
from deltanas.search import Plan, Search
from deltanas.sources import chosen_sources
from deltanas.strategies import model_of, proposer_of
from deltanas.teaching import learner_of, teaching_of
from deltanas.trackers import mirrored, require_trackers
from deltanas.train.data import Dataset, Images, load
from deltanas.train.epochs import LEAST_STEPS, settled_epochs


@dataclass(frozen=True, slots=True)
class OpenSearch:
    """A search that can be run, and the run it writes to. assumed: what nobody gave, in words."""

    search: Search | None
    run: RunArchive
    folder: RunFolder
    assumed: tuple[str, ...] = ()


@contextmanager
def open_search(
    given: Mapping[str, object],
    path: Path | None,
    listener: Listener,
    own: Callable[[Builds], Proposer] | None = None,
) -> Iterator[OpenSearch]:
    """Begin a run in a new folder, or take up the one in an existing folder; `search` is None where it is finished.

    All that can be wrong with the settings is found before the folder is made. own: makes the proposer, in place of
    the strategy that the settings name.
    """
    epochs: list[str] = []
    with ExitStack() as stack:
        if path is not None and (path / POINTER).exists():
            folder = read_folder(path)
            run = stack.enter_context(folder.open(writer=True))
            config = resumed_config(_stored_config(run), given)
            stored = _stored_config(run)
            longer = config.cycles > read_config(stored).cycles
            if run.finished and not longer:
                yield OpenSearch(None, run, folder)
                return
            dataset = _load(config.dataset, config.train)
            _require_same_data(run, dataset.record)
            parts = stack.enter_context(_parts(config, own, dataset))
            if longer:
                run.reopen({**run.manifest, "config": {**stored, "cycles": config.cycles}})
        else:
            config = read_config(given)
            dataset = _load(config.dataset, config.train)
            asked, config = config.train.epochs, _settled(config, len(dataset.train))
            epochs = [_told_epochs(config.train, len(dataset.train))] if asked == "auto" else []
            parts = stack.enter_context(_parts(config, own, dataset))
            origin = {**manifest(config, parts.runner.tier), "data": parts.data}
            folder, run = begin_run(path or _new_path(config), config.archive, origin)
            stack.enter_context(run)
            resumed_config(_stored_config(run), given)
            _require_same_data(run, parts.data)
        listener = stack.enter_context(mirrored(listener, config.track, folder.path, run.name, run.manifest))
        search = Search(
            _plan(config),
            parts.baselines,
            parts.proposer,
            gates(parts.builds),
            NoveltyGate(config.novelty.threshold),
            parts.runner,
            run,
            listener,
            learner_of(parts.teaching, parts.model, parts.proposer, run, folder.path, listener),
        )
        yield OpenSearch(search, run, folder, (*epochs, *parts.assumed))


@dataclass(frozen=True, slots=True)
class _Parts:
    baselines: dict[str, Program]
    proposer: Proposer
    builds: Builds
    runner: Pool
    data: dict[str, object]
    model: Model | None
    teaching: Teaching | None
    assumed: tuple[str, ...]


@contextmanager
def _parts(config: SearchConfig, own: Callable[[Builds], Proposer] | None, dataset: Dataset) -> Iterator[_Parts]:
    require_trackers(config.track)
    told: list[str] = []
    baselines = programs_of(config, told.append) if config.baselines else builtin_programs(config.prm)
    teaching = teaching_of(config) if config.learn.enabled else None
    model = model_of(config)
    with _open_pool(dataset, config.train) as runner:
        builds = kept_builds(runner)
        proposer = own(builds) if own else proposer_of(config, builds, model)
        yield _Parts(baselines, proposer, builds, runner, dataset.record, model, teaching, tuple(told))


def _plan(config: SearchConfig) -> Plan:
    tournament = Tournament(config.evolution.population, config.evolution.share)
    parent = tournament if config.strategy == "evolution" else by_rank
    return Plan(
        cycles=config.cycles,
        candidates=config.candidates,
        seed=config.seed,
        retries=config.retries,
        finals=config.finals,
        parent=parent,
        proposals=None if config.proposals == "auto" else config.proposals,
        repeats=repeats_of(config),
    )


def repeats_of(config: SearchConfig) -> Repeats:
    """`auto`: one training of each candidate and, unless the settings say how many, half as many again to give out."""
    each, budget = (1, ceil(config.candidates / 2)) if config.seeds == "auto" else (config.seeds, 0)
    if config.seeds_budget is not None:
        budget = config.seeds_budget
    return Repeats(each, budget, max(1, config.finals))


def kept_builds(runner: Pool) -> CachedBuilds:
    """The pool's build checks, kept between runs under all that their answers depend on but the program."""
    code = [files("deltanas.train").joinpath(name).read_text("utf-8") for name in ("build.py", "loop.py")]
    data = runner.dataset
    check = json.dumps([data.in_shape[1:], data.classes, platform.python_version(), metadata.version("torch"), *code])
    return CachedBuilds(runner, cache_folder() / "builds", check)


def gates(builds: Builds) -> tuple[Gate, ...]:
    return ContractGate(), BuildGate(builds)


def open_dataset_pool(name: str, config: TrainConfig, prm: Mapping[str, float] | None = None) -> Pool:
    """prm: hyperparameters that replace the default recipe's."""
    dataset = _load(name, config)
    return _open_pool(dataset, _settled_training(config, len(dataset.train), prm or {}))


def _settled(config: SearchConfig, images: int) -> SearchConfig:
    """The settings of a new run with what depends on the machine and the data; a resumed run keeps what it has."""
    return config.model_copy(update={"train": _settled_training(config.train, images, config.prm)})


def epochs_of(config: TrainConfig, images: int, prm: Mapping[str, float]) -> int:
    """As set, or what the training images ask for at the batch of the recipe that all candidates begin with."""
    if config.epochs != "auto":
        return config.epochs
    return settled_epochs(images, max(1, int({**nets.DEFAULT_PRM, **prm}["batch"])))


def _settled_training(config: TrainConfig, images: int, prm: Mapping[str, float]) -> TrainConfig:
    """With the device that there is, the threads that are set, or that a calibration found best here, or one, and
    the number of epochs."""
    device, threads = config.device, config.threads or 1
    if device == "auto":
        device = "cuda" if config.executor == "local" and cuda_devices() else "cpu"
    if config.threads is config.workers is None and config.executor == "local":
        calibration, word = stored_calibration()
        if word:
            logging.getLogger("deltanas").warning(word)
        threads = calibration.threads if calibration else 1
    epochs = epochs_of(config, images, prm)
    return config.model_copy(update={"threads": threads, "device": device, "epochs": epochs})


def _load(name: str, config: TrainConfig) -> Dataset:
    return load(name, train_size=config.size, resize=config.resize)


def open_export_pool(run: RunArchive, epochs: int | None) -> LocalPool:
    """A pool on this machine that trains as the run did, for so many epochs or as many.

    Raises UsageError, DataError: the run is no search, or was begun on other data.
    """
    config = read_config(_stored_config(run))
    dataset = _load(config.dataset, config.train)
    _require_same_data(run, dataset.record)
    begun = epochs_of(config.train, len(dataset.train), config.prm)
    wanted = epochs or begun
    timeout = config.train.timeout * max(1, wanted / begun)
    train = config.train.model_copy(update={"epochs": wanted, "timeout": timeout, "executor": "local"})
    pool = _open_pool(dataset, train)
    assert isinstance(pool, LocalPool)
    return pool


def open_shape_pool(shape: tuple[int, int, int], classes: int, config: TrainConfig) -> Pool:
    """A pool for checks alone. `shape`: (channels, height, width)."""
    images = Images(np.zeros((1, *shape), np.uint8), np.zeros(1, np.int64))
    return _open_pool(Dataset("blank", images, images, images, classes), config.model_copy(update={"epochs": 1}))


def _open_pool(dataset: Dataset, config: TrainConfig) -> Pool:
    if config.device != "cpu" and config.executor == "ray":
        raise UsageError("train.device cuda is for this machine alone, not for a Ray cluster", "give --device cpu")
    assert config.epochs != "auto"
    pool: Callable[..., Pool] = DevicePool if config.device == "cuda" else LocalPool
    if config.executor == "ray":
        pool = partial(RayPool, address=config.address)
    return pool(
        dataset,
        epochs=config.epochs,
        timeout=config.timeout,
        memory_bytes=int(config.memory_gb * 2**30),
        workers=config.workers,
        threads=config.threads or 1,
        augment=config.augment,
        unsafe=config.unsafe,
    )


def _told_epochs(config: TrainConfig, images: int) -> str:
    number = f"{config.epochs} epoch{'s' if config.epochs != 1 else ''}"
    return f"a training: {number}, so that {images:,} images give {LEAST_STEPS} optimizer steps or more"


def builtin_programs(prm: Mapping[str, float]) -> dict[str, Program]:
    return {name: program_of(source, prm) for name, source in nets.baselines().items()}


def programs_of(config: SearchConfig, tell: Callable[[str], None] | None = None) -> dict[str, Program]:
    """The baselines that the settings name. tell: told of each hyperparameter that is declared, and that nobody gave.

    Raises UsageError as `chosen_sources` does.
    """
    programs: dict[str, Program] = {}
    for name, source, prm in chosen_sources(config):
        programs[name] = program_of(source, prm)
        if tell:
            for line in told_assumed(assumed_of(programs[name], prm)):
                tell(f"{name}: {line}")
    return programs


def program_of(source: str, prm: Mapping[str, float] | None = None) -> Program:
    """A program with the default recipe, but for what `prm` replaces, and the usual values of what it declares."""
    values = {**nets.DEFAULT_PRM, **(prm or {})}
    return Program(net=source, prm=prm_text({**assumed(source, values), **values}))


def manifest(config: SearchConfig, tier: str) -> dict[str, object]:
    """Where every figure of the run comes from."""
    commit, dirty = _commit()
    return {
        "version": metadata.version("deltanas"),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "device": config.train.device,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "parallel": _parallel(config.train),
        "tier": tier,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
    }


def _parallel(config: TrainConfig) -> str:
    """Trainings at a time and threads of each, on each machine."""
    threads = config.threads or 1
    return f"{config.workers or max(1, cores() // threads)} x {threads} threads"


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this package runs from, and whether its files differ; None where it is installed."""
    here = Path(__file__).parent
    try:
        tracked = _git(here, "ls-files", "--error-unmatch", "wiring.py")
        return (
            (_git(here, "rev-parse", "HEAD"), bool(_git(here, "status", "--porcelain", ".")))
            if tracked
            else (None, None)
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def _stored_config(run: RunArchive) -> dict[str, object]:
    stored = run.manifest.get("config")
    if not isinstance(stored, dict):
        raise UsageError(f"run '{run.name}' is no search, its programs were imported", "name another --run")
    return stored


def _require_same_data(run: RunArchive, data: Mapping[str, object]) -> None:
    """Raises DataError where the run was begun on other images, labels or splits."""
    begun = run.manifest.get("data", data)
    assert isinstance(begun, dict)
    if begun != data:
        first = next(key for key in data if begun.get(key) != data[key])
        raise DataError(
            f"the data is not what the run was begun with: `{first}` was {begun.get(first)}, and is {data[first]}",
            "put the data back as it was, or begin another run with --run",
        )


def _new_path(config: SearchConfig) -> Path:
    """`runs/` of the working directory, named by data set, strategy and time."""
    name = config.dataset if ":" not in config.dataset else Path(config.dataset.partition(":")[2]).stem
    return Path("runs") / f"{name}-{config.strategy}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
