"""From settings to objects: the only place that constructs the rooms' parts and joins them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from deltanas.archive import POINTER, RunArchive, RunFolder, begin_run, moved_run, read_folder
from deltanas.askers import champion_of
from deltanas.check import Limits
from deltanas.config import SearchConfig, read_config
from deltanas.errors import UsageError
from deltanas.forecast import Forecaster
from deltanas.learn.learner import Teaching
from deltanas.llm import Model
from deltanas.novelty import NoveltyGate
from deltanas.policy import NoBaselineError
from deltanas.prices import told_growth
from deltanas.program import SPACES, Program
from deltanas.sandbox import Pool
from deltanas.seams import Builds, Choose, Listener, Proposer
from deltanas.search import Search
from deltanas.settings import flat, given_settings, merged
from deltanas.task import TASKS, task_of
from deltanas.trackers import mirrored, require_trackers
from deltanas.train.data import Dataset, told
from deltanas.train.data.sample import kept_pictures
from deltanas.train.epochs import LONG_STEPS
from deltanas.wiring.choosing import limited, limits_of, measures_of, require_askable, require_objectives
from deltanas.wiring.origin import manifest, require_same_data, stored_config
from deltanas.wiring.places import (
    baselines_of,
    began,
    contents,
    located,
    require_same_contents,
    require_same_server,
    require_there,
    told_here,
)
from deltanas.wiring.planning import allocation_of, plan_of
from deltanas.wiring.pools import (
    epochs_of,
    gates,
    kept_builds,
    kept_trainings,
    least_steps,
    load_dataset,
    open_dataset_pool,
    open_export_pool,
    open_pool,
    open_shape_pool,
    settled_lengths,
    settled_training,
)
from deltanas.wiring.programs import builtin_programs, program_of, programs_of
from deltanas.wiring.proposing import choice_of, model_of, proposer_of
from deltanas.wiring.refereeing import open_referee
from deltanas.wiring.resuming import PLACES, begun_config, resumed_config
from deltanas.wiring.screening import forecast_of
from deltanas.wiring.teaching import learner_of, teaching_of
from deltanas.wording import counted

__all__ = [
    "OpenSearch",
    "allocation_of",
    "builtin_programs",
    "epochs_of",
    "gates",
    "kept_builds",
    "manifest",
    "open_dataset_pool",
    "open_export_pool",
    "open_referee",
    "open_search",
    "open_shape_pool",
    "program_of",
    "programs_of",
    "settled_lengths",
]


@dataclass(frozen=True, slots=True)
class OpenSearch:
    """A search that can be run, and the run it writes to.

    Attributes:
        assumed: its data, and what nobody gave, in words.
        spread: number of trainings by the host that they ran on, so far.
    """

    search: Search | None
    run: RunArchive
    folder: RunFolder
    assumed: tuple[str, ...] = ()
    spread: Callable[[], Mapping[str, int]] = dict


@contextmanager
def open_search(
    given: Mapping[str, object],
    path: Path | None,
    listener: Listener,
    own: Callable[[Builds], Proposer] | None = None,
    data: Dataset | None = None,
) -> Iterator[OpenSearch]:
    """Begin a run in a new folder, or take up the one in an existing folder; `search` is None where it is finished.

    All that can be wrong with the settings is found before the run is made; if no baseline passes the checks, the run
    is removed again. own: makes the proposer, in place of the strategy that the settings name. data: the data set, in
    place of the one that they name.
    """
    given = given if data is None else _naming(given, data)
    with ExitStack() as stack:
        resumes = path is not None and (path / POINTER).exists()
        started = _resumed(stack, path, given, own, data) if path and resumes else _new(stack, path, given, own, data)
        config, run, folder, parts = started.config, started.run, started.folder, started.parts
        if parts is None:
            yield OpenSearch(None, run, folder)
            return
        listener = stack.enter_context(mirrored(listener, config.track, folder.path, run.name, run.manifest))
        search = Search(
            plan_of(config, task_of(run.manifest).metric, outside=config.asks_outside and own is None),
            parts.baselines,
            parts.proposer,
            gates(parts.builds, parts.limits, seeds=config.asks_outside),
            NoveltyGate(config.novelty.threshold),
            kept_trainings(parts.runner, config.train, parts.baselines.values()),
            run,
            listener,
            learner_of(parts.teaching, parts.model, parts.proposer, run, folder.path, listener),
            choose=parts.choose,
            measures=measures_of(config, parts.runner, stack),
            forecast=parts.forecast,
            champion=(lambda journal: champion_of(journal, run.ledger.duels())) if config.asks_outside else None,
        )
        assumed = (*started.told, *parts.assumed)
        yield OpenSearch(search, run, folder, assumed, parts.runner.spread)


@contextmanager
def _removed_without_baseline(folder: RunFolder, run: RunArchive) -> Iterator[None]:
    """A run that can't begin with its settings leaves its folder to one with others."""
    try:
        yield
    except NoBaselineError:
        folder.remove_empty(run)
        raise


@dataclass(frozen=True, slots=True)
class _Started:
    """A run that was begun or taken up. parts: None where it is finished. told: what is said of data and epochs."""

    config: SearchConfig
    run: RunArchive
    folder: RunFolder
    parts: _Parts | None
    told: tuple[str, ...] = ()


def _resumed(
    stack: ExitStack,
    path: Path,
    given: Mapping[str, object],
    own: Callable[[Builds], Proposer] | None,
    data: Dataset | None,
) -> _Started:
    folder, run = _taken_up(path, given)
    stack.enter_context(run)
    begun, asked = begun_config(stored_config(run)), resumed_config(stored_config(run), given)
    require_same_server(begun, asked)
    now = _changed(run, begun, asked)
    config = located(asked, run.manifest, path)
    longer = config.cycles > begun.cycles
    over = run.finished and not longer
    if over:
        baselines_of(run, begun, asked)  # other ones are refused
        if asked.dataset == begun.dataset:
            _amend(run, now)
            return _Started(config, run, folder, None)
    if data is None:
        require_there(config.dataset)
    # By the name that was given: where it was found is nobody's business but this machine's.
    dataset = replace(load_dataset(data or config.dataset, config.train), name=asked.dataset)
    require_same_data(run, dataset.record)
    parts = None
    if not over:
        parts = stack.enter_context(_parts(config, own, dataset, baselines_of(run, begun, asked)))
        require_same_contents(run, begun, asked, parts.contents)
    _amend(run, now, reopen=longer)
    return _Started(config, run, folder, parts, (told(dataset), told_growth(limits_of(config).growth)))


def _new(
    stack: ExitStack,
    path: Path | None,
    given: Mapping[str, object],
    own: Callable[[Builds], Proposer] | None,
    data: Dataset | None,
) -> _Started:
    config = read_config(given)
    dataset = load_dataset(data or config.dataset, config.train)
    said = [told(dataset), told_growth(limits_of(config).growth)]
    nobody_said = config.train.epochs == "auto"
    # What depends on the machine and the data; a resumed run keeps what it has.
    config = settled_lengths(config, dataset)
    config = config.model_copy(update={"train": settled_training(config.train, dataset, config.prm)})
    if nobody_said:
        said.append(_told_epochs(config, dataset))
    parts = stack.enter_context(_parts(config, own, dataset))
    path = path or _new_path(config)
    origin = {**manifest(config, parts.runner.tier), "data": parts.data}
    origin |= {"contents": parts.contents, "began": began(path)}
    kept = _kept_pictures(config, parts.baselines, dataset)
    if kept:
        said.append(f"{config.pictures} small training images are kept in the run for its report (`pictures`)")
    folder, run = begin_run(path, config.archive, origin, kept)
    stack.enter_context(run)
    stack.enter_context(_removed_without_baseline(folder, run))
    resumed_config(stored_config(run), given)
    require_same_data(run, parts.data)
    require_same_contents(run, config, config, parts.contents)
    return _Started(config, run, folder, parts, tuple(said))


def _kept_pictures(config: SearchConfig, baselines: Mapping[str, Program], dataset: Dataset) -> bytes | None:
    """For a report that shows what transforms do; None where the run has none to show, or is to keep no picture."""
    transforms = any(SPACES[space].of == "transform" for space in config.edits)
    transforms = transforms or any(program.transform for program in baselines.values())
    return kept_pictures(dataset.train, config.pictures) if transforms and config.pictures else None


@dataclass(frozen=True, slots=True)
class _Parts:
    baselines: dict[str, Program]
    proposer: Proposer
    choose: Choose | None
    builds: Builds
    limits: Limits
    runner: Pool
    data: dict[str, object]
    contents: dict[str, str]
    model: Model | None
    teaching: Teaching | None
    forecast: Forecaster | None
    assumed: tuple[str, ...]


@contextmanager
def _parts(
    config: SearchConfig,
    own: Callable[[Builds], Proposer] | None,
    dataset: Dataset,
    baselines: dict[str, Program] | None = None,
) -> Iterator[_Parts]:
    """baselines: those of a run that has some."""
    require_trackers(config.track)
    require_objectives(config)
    require_askable(config)
    told: list[str] = []
    if baselines is None:
        baselines = programs_of(config, told.append)
    if left := [part for part in config.edits if part not in config.parts]:
        told.append(f"strategy {config.strategy} edits {', '.join(config.parts)} alone: no edits of {', '.join(left)}")
    teaching = teaching_of(config) if config.learn.enabled else None
    forecast = _forecast(config, own, told.append)
    model = model_of(config, [program.net for program in baselines.values()])
    with open_pool(dataset, config.train, TASKS[config.task], config.shortest) as runner:
        builds = kept_builds(runner)
        limits = limits_of(config)
        proposer = own(limited(builds, limits)) if own else proposer_of(config, builds, model, limits, forecast)
        choose = None if own else choice_of(config, proposer)
        hashes = contents(config, model, teaching, forecast)
        fixed = (baselines, proposer, choose, builds, limits, runner)
        yield _Parts(*fixed, dataset.record, hashes, model, teaching, forecast, tuple(told))


def _forecast(
    config: SearchConfig, own: Callable[[Builds], Proposer] | None, tell: Callable[[str], None]
) -> Forecaster | None:
    if own and config.screen != "off":
        raise UsageError(
            f"`screen` = {config.screen!r} ranks what a strategy draws, and this proposer is your own",
            "leave one of the two out",
        )
    return forecast_of(config, tell)


def _taken_up(path: Path, given: Mapping[str, object]) -> tuple[RunFolder, RunArchive]:
    """The run in a folder, its archive at the place that is given, or where it was last."""
    folder, archive = read_folder(path), given.get("archive")
    if isinstance(archive, str) and archive != folder.archive:
        return moved_run(folder, archive)
    return folder, folder.open(writer=True)


def _amend(run: RunArchive, now: dict[str, object], *, reopen: bool = False) -> None:
    if now != run.manifest:
        run.amend(now, reopen=reopen)


def _changed(run: RunArchive, begun: SearchConfig, config: SearchConfig) -> dict[str, object]:
    """The run's manifest with what it may have otherwise than at the start: its length, and the places that moved."""
    each = (begun, config, told_here(config, run.manifest))
    then, now, kept = (flat(one.model_dump(mode="json")) for one in each)
    changes = {key: kept[key] for key in ("cycles", *PLACES) if now[key] != then[key]}
    return {**run.manifest, "config": merged(stored_config(run), given_settings(options=changes))}


def _told_epochs(config: SearchConfig, dataset: Dataset) -> str:
    images, train = f"{len(dataset.train):,} {'pairs' if dataset.paired else 'images'}", config.train
    crops = "" if not train.crops else f", cropped to {', '.join(map(str, train.crops))} pixels"
    steps = f"{least_steps(dataset)} optimizer steps or more"
    if not config.lengths:
        return f"a training: {train.told_epochs}, so that {images} give {steps}{crops}"
    short, long = config.lengths
    return (
        f"a training: {counted(short, 'epoch')}, so that {images} give {steps}; then {long}, {LONG_STEPS} steps or"
        f" more, for the baselines and {config.promote:.0%} of each cycle"
    )


def _naming(given: Mapping[str, object], data: Dataset) -> dict[str, object]:
    """The settings with the name of a data set that is given itself."""
    named = given.get("dataset", data.name)
    if named != data.name:
        raise UsageError(f"`dataset` = {named!r}, and the data set that is given is {data.name!r}", "leave one out")
    return {**given, "dataset": data.name}


def _new_path(config: SearchConfig) -> Path:
    """A new folder in `runs/` of the working directory, named by data set, strategy and time."""
    name = config.dataset if ":" not in config.dataset else Path(config.dataset.partition(":")[2]).stem
    first = Path("runs") / f"{name}-{config.proposing.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    path, number = first, 1
    while True:
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # of a search that began in the same second
            number += 1
        except OSError:  # who begins the run there says so
            return path
        else:
            return path
        path = first.with_name(f"{first.name}-{number}")
