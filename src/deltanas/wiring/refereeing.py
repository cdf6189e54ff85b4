"""From a run's folder to its referee."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from shlex import quote

from deltanas.archive import RunFolder, read_folder
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.novelty import NoveltyGate
from deltanas.propose import OutsideSettings, RandomProposer, Space
from deltanas.referee import Bench, Referee, Rules
from deltanas.task import TASKS
from deltanas.wiring.choosing import limited, limits_of
from deltanas.wiring.origin import require_same_data, stored_config
from deltanas.wiring.places import located, require_there
from deltanas.wiring.planning import plan_of
from deltanas.wiring.pools import gates, kept_builds, load_dataset, open_pool
from deltanas.wiring.resuming import begun_config


@contextmanager
def open_referee(path: Path) -> Iterator[Referee]:
    """The referee of the run in a folder. What trains is opened at the first answer, and closed with the referee.

    Raises UsageError: there is no run, or it has no slots for proposals from outside.
    """
    folder = read_folder(path)
    with folder.open() as run:
        begun, manifest = begun_config(stored_config(run)), run.manifest
        baselines = run.baselines()
    # The champion to begin with is the best of all of them: with some untrained it would change without a test.
    started = all(row.outcome for row in baselines) and any(row.score is not None for row in baselines)
    if not begun.asks_outside:
        raise UsageError(
            f"the slots of {path} are filled by strategy {begun.strategy}",
            "`deltanas search --strategy outside --run NEW` begins a run that is open to askers",
        )
    config = located(begun, manifest, path)
    if not started:
        raise UsageError(
            f"the baselines of {path} are not trained", f"`deltanas search --run {quote(str(path))}` trains them"
        )
    task = TASKS[config.task]
    settings = getattr(config, begun.strategy)
    assert isinstance(settings, OutsideSettings)
    held: list[Bench] = []
    with ExitStack() as stack:

        def bench() -> Bench:
            if not held:
                held.append(_bench(stack, folder, begun, config))
            return held[0]

        plan = plan_of(config, task.metric, outside=True)
        yield Referee(folder, plan, Rules(task, settings), bench, _limits(config))


def _bench(stack: ExitStack, folder: RunFolder, begun: SearchConfig, config: SearchConfig) -> Bench:
    require_there(config.dataset)
    dataset = replace(load_dataset(config.dataset, config.train), name=begun.dataset)
    with folder.open() as run:
        require_same_data(run, dataset.record)
    runner = stack.enter_context(open_pool(dataset, config.train, TASKS[config.task], config.shortest))
    builds, limits = kept_builds(runner), limits_of(config)
    control = RandomProposer(Space(limited(builds, limits)))
    return Bench(runner, gates(builds, limits, seeds=True), NoveltyGate(config.novelty.threshold), control)


def _limits(config: SearchConfig) -> dict[str, object]:
    return {
        "edits": config.edits[0],
        "max_params": config.max_params,
        "max_flops": config.max_flops,
        "growth": None if config.growth == "off" else config.growth,
        "epochs": config.train.epochs,
        "seconds_a_training": config.train.timeout,
        "memory_gb": config.train.memory_gb,
    }
