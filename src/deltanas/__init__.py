"""deltanas: a language model edits PyTorch networks by diffs, and every edit is trained for one epoch in isolation.

    applied = deltanas.apply_edit(base, edit)                     # .source, .rung; EditError if it does not fit
    verdict = deltanas.check(source, (1, 3, 32, 32), (10,))       # .ok, .reasons, .params, .flops
    result = deltanas.evaluate(source, dataset="digits")          # .status, .accuracy, .reason, ...
    view = deltanas.search({"dataset": "digits", "cycles": 2})    # .candidates, .programs, .finals
    view = deltanas.open_run("runs/demo")
    with deltanas.open_referee("runs/open") as run:               # a run of strategy outside
        run.tell(run.ask().slot, edit=edit)                       # .verdict, .gain, .low, .high, .better, .reason
    found = deltanas.predict("best", ["new.png"])                 # [0].label, .probability, .probabilities, .error

Importing this is cheap: what needs a database or a model is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

# The room `check` and the loop `search` are loaded here, before the functions of these names take their place.
import deltanas.check as _check  # noqa: F401
import deltanas.search as _search  # noqa: F401
from deltanas.assess import Evaluation, Verdict, assumed_of, check_programs, evaluate_programs
from deltanas.errors import DeltanasError, EditError, UsageError
from deltanas.prediction import Prediction
from deltanas.program import AppliedEdit, apply_edit
from deltanas.records import RunView
from deltanas.seams import Builds, Listener, Proposer

if TYPE_CHECKING:
    from deltanas.referee import Referee
    from deltanas.train.data import Dataset

__version__ = version("deltanas")
__all__ = [
    "AppliedEdit",
    "DeltanasError",
    "EditError",
    "Evaluation",
    "Prediction",
    "RunView",
    "Verdict",
    "apply_edit",
    "check",
    "evaluate",
    "open_referee",
    "open_run",
    "predict",
    "search",
]


def check(
    source: str, in_shape: Sequence[int], out_shape: Sequence[int], *, prm: Mapping[str, float] | None = None
) -> Verdict:
    """Does a program fulfil the contract, build and train a step? It runs in the sandbox, never in this process.

    Args:
        in_shape: (batch, channels, height, width) of the images, with or without the batch. out_shape: (classes,).
        prm: hyperparameters that replace the default recipe's.

    Raises:
        UsageError: shapes of another form, or one image takes more memory than a program may have.
    """
    from deltanas.config import TrainConfig
    from deltanas.wiring import gates, open_shape_pool, program_of

    if len(in_shape) not in (3, 4) or len(out_shape) != 1 or min(*in_shape, *out_shape) < 1:
        raise UsageError(
            f"no shapes of images and classes: {tuple(in_shape)}, {tuple(out_shape)}",
            "give (batch, channels, height, width) and (classes,)",
        )
    channels, height, width = in_shape[-3:]
    program = program_of(source, prm)
    with open_shape_pool((channels, height, width), out_shape[0], TrainConfig(workers=1)) as pool:
        (verdict,) = check_programs([program], gates(pool))
    return replace(verdict, assumed=assumed_of(program, prm))


def evaluate(
    source: str,
    *,
    dataset: str | Dataset = "digits",
    task: str = "classify",
    epochs: int | Literal["auto"] = "auto",
    seed: int = 0,
    seeds: int = 1,
    train_size: int | None = None,
    resize: int | None = None,
    colour: bool | None = None,
    timeout: float = 300.0,
    prm: Mapping[str, float] | None = None,
) -> Evaluation:
    """Train a program in the sandbox and score it on the validation split; see `Evaluation` for the fields.

    Args:
        dataset: its name, or one of your own (`deltanas.train.data.dataset_of` makes it from arrays).
        colour: True: all images as RGB; False: as grey; None: as they are.
        epochs: number of epochs; auto: the least that gives enough optimizer steps (`train.epochs`).

    Raises:
        UsageError: an unknown data set, or a setting out of range.
        DataError: the data set is missing or malformed.
    """
    from deltanas.config import read_config
    from deltanas.task import TASKS
    from deltanas.wiring import gates, open_dataset_pool, program_of

    train = {"size": train_size, "resize": resize, "colour": colour, "epochs": epochs, "timeout": timeout}
    config = read_config({"task": task, "seed": seed, "train": train})
    program = program_of(source, prm)
    with open_dataset_pool(dataset, config.train, prm, TASKS[config.task]) as pool:
        metric = pool.task.metric.name
        (result,) = evaluate_programs([program], gates(pool), pool, seed=seed, seeds=seeds, metric=metric)
    return replace(result, epochs=pool.epochs, assumed=assumed_of(program, prm))


def search(
    config: Mapping[str, object] | str | Path,
    *,
    run: str | Path | None = None,
    listener: Listener | None = None,
    proposer: Callable[[Builds], Proposer] | None = None,
    dataset: Dataset | None = None,
) -> RunView:
    """Run a search to its end and return all that its run holds.

    Args:
        config: the settings, as a mapping or the path of a TOML file.
        run: the run's folder; an existing one is resumed.
        listener: told of what happens as it happens; see `deltanas.seams.Listener`.
        proposer: makes a strategy of your own (`deltanas.seams.Proposer`), given the build checks; for `random` in the
            settings, which is the strategy that needs nothing else. A run is resumed with the strategy that began it.
        dataset: images of your own (`deltanas.train.data.dataset_of` makes it from arrays), in place of the data set
            that the settings name. A run is resumed with the data that began it.
    """
    from deltanas.seams import silent
    from deltanas.settings import given_settings
    from deltanas.wiring import open_search

    given = config if isinstance(config, Mapping) else given_settings(Path(config))
    with open_search(given, None if run is None else Path(run), listener or silent, proposer, dataset) as opened:
        if opened.search is not None:
            opened.search.run()
        return opened.run.view()


def open_run(path: str | Path) -> RunView:
    """All that a run's folder holds, read at this moment."""
    from deltanas.archive import read_folder

    with read_folder(Path(path)).open() as run:
        return run.view()


def open_referee(path: str | Path) -> AbstractContextManager[Referee]:
    """The referee of a run of strategy `outside`, to ask it for slots and to tell it answers.

    Several may be open side by side, in one process or in several. What trains is opened at the first answer.

    Raises:
        UsageError: there is no such run, or it is not filled from outside.
    """
    from deltanas.wiring import open_referee as opened

    return opened(Path(path))


def predict(export: str | Path, images: str | Path | Sequence[str | Path]) -> list[Prediction]:
    """What an exported network says of pictures, by ONNX Runtime in this process; torch is not imported.

    Args:
        export: the folder that `deltanas runs export` wrote, of one network or of several (the best one is used), or
            an ONNX file of it.
        images: a file or a folder of pictures at any depth, or several. A file that can't be used has its reason in
            `error`.

    Raises:
        UsageError: there is no such export.
        DataError: it has no ONNX file or one that can't be used, or ONNX Runtime or Pillow is missing.
    """
    from deltanas.prediction import open_network, pictures_in

    several = [images] if isinstance(images, str | Path) else images
    return list(open_network(Path(export)).predict(pictures_in(map(Path, several))))
