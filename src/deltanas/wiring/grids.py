"""From settings to a grid of trainings: its networks, data sets and pools, and how its rows are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from deltanas.assess import check_programs
from deltanas.check import ContractGate
from deltanas.config import SearchConfig, TrainConfig
from deltanas.errors import UsageError
from deltanas.grid import (
    FIXED_RATE,
    MADE,
    Arm,
    Cell,
    Grid,
    GridRun,
    Row,
    Split,
    clipping_of,
    keys_of,
    open_table,
    rates_of,
)
from deltanas.nets import DEFAULT_PRM
from deltanas.program import Program
from deltanas.program.recipes import LOSSES, OPTIMIZERS, RecipeError, decay_of, with_recipe
from deltanas.sandbox import Pool, kept_warm
from deltanas.seams import Gate
from deltanas.train.data import Dataset, told
from deltanas.trainings import Recipe
from deltanas.wiring.origin import CONTENT, manifest
from deltanas.wiring.pools import gates, kept_builds, load_dataset, open_pool, settled_training
from deltanas.wiring.programs import programs_of

RATES, SEEDS = 5, 5
"""Of a grid that nobody sets."""


@dataclass(frozen=True, slots=True)
class GridOrder:
    """What a grid is asked to be. Empty: all there is; `rates` None: `RATES`.

    Attributes:
        arm: "fixed", "tuned" or "both". ngl_scale: a factor of NGL under SGD, beside NGL as it is.
        decay: weight decay of all optimizers; None: that of the network, or torch's default for the optimizer.
    """

    datasets: tuple[str, ...] = ("digits",)
    losses: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ()
    seeds: int = SEEDS
    arm: str = "both"
    rates: int | None = None
    ngl_scale: float | None = None
    decay: float | None = None


@dataclass(frozen=True, slots=True)
class GridParts:
    """A grid with what it is made of.

    Attributes:
        programs: the networks as they are. inject: puts recipes into them. data, train: by data set. description: what
            stands beside the table.
    """

    grid: Grid
    programs: Mapping[str, Program]
    inject: Injection
    data: Mapping[str, Dataset]
    train: Mapping[str, TrainConfig]
    description: Mapping[str, Any]

    def said(self) -> Iterator[str]:
        """The grid in words."""
        for name, data in self.data.items():
            yield told(data)
            train = self.train[name]
            yield f"  a training: {train.told_epochs} on {train.device}, {train.timeout:g} s at most"
        yield f"networks: {', '.join(self.programs)}"
        yield f"recipes: {', '.join(map(str, self.grid.recipes))}"
        if "fixed" in self.grid.arms:
            yield f"arm fixed: rate {FIXED_RATE:g} for all"
        if "tuned" in self.grid.arms:
            for optimizer, rates in self.description["arms"]["tuned"]["rates"].items():
                yield f"arm tuned: {optimizer} by the best of the rates {', '.join(f'{rate:g}' for rate in rates)}"
        decays = {name: self._decays(name) for name in dict.fromkeys(recipe.optimizer for recipe in self.grid.recipes)}
        yield f"weight decay: {', '.join(f'{name} {said}' for name, said in decays.items())}"
        clipped = sorted({str(one["clipping"]) for one in self.description["networks"].values()})
        yield f"gradients clipped by the networks: {'; '.join(clipped)}"
        yield "scores are of the validation split; the test split is not looked at"

    def _decays(self, optimizer: str) -> str:
        """Weight decays that the networks have with an optimizer."""
        recipe = next(one for one in self.grid.recipes if one.optimizer == optimizer)
        made = [self.inject.of(name, recipe, FIXED_RATE) for name in self.programs]
        found = dict.fromkeys(decay_of(program.net) for program in made if isinstance(program, Program))
        return " or ".join("not known" if decay is None else f"{decay:g}" for decay in found) or "not known"


@dataclass(frozen=True, slots=True)
class OpenGrid:
    """A grid over its table. run: makes the missing rows. tell: gets each row, once it is set."""

    parts: GridParts
    run: GridRun
    rows: Mapping[Any, Row]
    tell: list[Callable[[Row], None]] = field(default_factory=list)


def grid_parts(config: SearchConfig, order: GridOrder) -> GridParts:
    """Raises UsageError where the grid can't be as it is asked for, DataError where a data set can't be read."""
    grid_of(("network",), order, config.seed)  # what is wrong with it is told before data is read
    if "lr" in config.prm:
        raise UsageError(
            f"the arms give the rates of the trainings, so --prm lr={config.prm['lr']:g} would do nothing",
            "leave it out: --arm and --rates say which rates there are; `recipes inject --lr` takes one of your own",
        )
    programs = programs_of(config)
    _require_sound("", programs, (ContractGate(),))
    grid = grid_of(tuple(programs), order, config.seed)
    studied: dict[str, Any] = {"average": 0.0, "validation_size": "all"}  # as in the studies it is compared with
    asked = config.train.model_copy(
        update={key: value for key, value in studied.items() if key not in config.train.model_fields_set}
    )
    data = {name: load_dataset(name, asked) for name in grid.datasets}
    for name, each in data.items():
        if each.paired:
            raise UsageError(
                f"losses of classification want labels, and {name} holds pairs of images",
                "give another --dataset: `deltanas datasets list` names some",
            )
    train = {name: settled_training(asked, each, config.prm) for name, each in data.items()}
    described = _description(config, grid, programs, data, train)
    if order.decay is not None:
        described["decay"] = order.decay
    return GridParts(grid, programs, Injection(programs, order.decay), data, train, described)


def grid_of(networks: tuple[str, ...], order: GridOrder, seed: int) -> Grid:
    losses = _chosen("loss", order.losses, LOSSES)
    optimizers = _chosen("optimizer", order.optimizers, OPTIMIZERS)
    recipes = [Recipe(loss, optimizer) for loss in losses for optimizer in optimizers]
    if order.ngl_scale is not None:
        if not (isfinite(order.ngl_scale) and order.ngl_scale > 0) or order.ngl_scale == 1:
            raise UsageError(
                f"--ngl-scale {order.ngl_scale:g} is no other scale than NGL has",
                "12.3 is the ratio of the gradients of cross-entropy and NGL before training, with ten classes",
            )
        if Recipe("ngl", "sgd") not in recipes:
            raise UsageError(
                "--ngl-scale is for NGL under SGD, which is not in the grid", "add --loss ngl --optimizer sgd"
            )
        recipes.insert(recipes.index(Recipe("ngl", "sgd")) + 1, Recipe("ngl", "sgd", order.ngl_scale))
    if order.decay is not None and not (isfinite(order.decay) and order.decay >= 0):
        raise UsageError(f"--decay {order.decay:g} is no number from 0 on", "0.01 is torch's default for AdamW")
    if order.arm == "fixed" and order.rates is not None:
        raise UsageError("--rates is for the tuned arm, which is not in the grid", "give --arm tuned or --arm both")
    arms: dict[str, tuple[Arm, ...]] = {"fixed": ("fixed",), "tuned": ("tuned",), "both": ("fixed", "tuned")}
    if order.arm not in arms:
        raise UsageError(f"no arm {order.arm!r}", f"known: {', '.join(arms)}")
    datasets = tuple(dict.fromkeys(order.datasets))
    return Grid(networks, tuple(recipes), datasets, arms[order.arm], order.rates or RATES, order.seeds, seed)


@contextmanager
def open_grid(parts: GridParts, out: Path) -> Iterator[OpenGrid]:
    """Raises as `open_table` does, and UsageError where a network can't be trained on one of the data sets at all."""
    tell: list[Callable[[Row], None]] = []
    splits = {name: split_of(data) for name, data in parts.data.items()}
    with ExitStack() as stack:
        table = stack.enter_context(open_table(out, parts.description, keys_of(parts.grid)))
        stack.enter_context(kept_warm())
        pools = stack.enter_context(_Pools(parts))

        def told_all(row: Row) -> None:
            for one in tell:
                one(row)

        run = GridRun(parts.grid, table, splits, parts.inject, pools.of, told_all)
        if run.left():
            for name in reversed(parts.grid.datasets):  # the first one stays open
                _require_sound(f" on {name}", parts.programs, gates(kept_builds(pools.of(name))))
        yield OpenGrid(parts, run, table.rows, tell)


class Injection:
    """Puts recipes into networks: the program of a cell, or why there is none."""

    def __init__(self, programs: Mapping[str, Program], decay: float | None = None) -> None:
        """decay: weight decay of all; None: what the network gives, or torch's default for the optimizer."""
        self._programs = programs
        self._decay = decay
        self._made: dict[tuple[str, Recipe, float], Program | str] = {}

    def __call__(self, cell: Cell) -> Program | str:
        return self.of(cell.network, cell.recipe, cell.rate)

    def of(self, network: str, recipe: Recipe, rate: float) -> Program | str:
        known = (network, recipe, rate)
        if known not in self._made:
            self._made[known] = self._program(*known)
        return self._made[known]

    def _program(self, network: str, recipe: Recipe, rate: float) -> Program | str:
        """What a network gave its own optimizer, as betas, is no part of the recipe: the new one has torch's defaults.

        An optimizer of another family in between takes nothing of the old one along but weight decay.
        """
        base = self._programs[network]
        between = "adadelta" if recipe.optimizer == "adagrad" else "adagrad"
        try:
            plain = with_recipe(base.net, optimizer=between, rate=rate)
            net = with_recipe(
                plain,
                loss=recipe.loss,
                optimizer=recipe.optimizer,
                rate=rate,
                scale=recipe.scale,
                decay=self._decay,
            )
        except RecipeError as error:
            return error.message
        return base.edited("net", net)


class _Pools:
    """The pool of one data set at a time: two of them would share the cores of a cluster."""

    def __init__(self, parts: GridParts) -> None:
        self._parts = parts
        self._stack = ExitStack()
        self._open: tuple[str, Pool] | None = None

    def __enter__(self) -> _Pools:
        return self

    def __exit__(self, *_: object) -> None:
        self._open = None
        self._stack.close()

    def of(self, name: str) -> Pool:
        if self._open is None or self._open[0] != name:
            self.__exit__()
            pool = self._stack.enter_context(open_pool(self._parts.data[name], self._parts.train[name]))
            self._open = name, pool
        return self._open[1]


def split_of(data: Dataset) -> Split:
    """The validation split; chance is the share of its largest class."""
    labels = data.validation.y
    return Split(len(labels), round(float(np.bincount(labels).max()) / len(labels), 4))


def _require_sound(where: str, programs: Mapping[str, Program], judges: Sequence[Gate]) -> None:
    for network, verdict in zip(programs, check_programs(list(programs.values()), judges), strict=True):
        if not verdict.ok:
            raise UsageError(
                f"the network {network} can't be trained{where}: {'; '.join(verdict.reasons)}",
                "name the networks of the grid with --baseline, without this one",
            )


def _chosen(what: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in given:
        if name not in known:
            raise UsageError(f"no {what} {name!r}", f"known: {', '.join(known)}")
    return list(dict.fromkeys(given)) or list(known)


def _description(
    config: SearchConfig,
    grid: Grid,
    programs: Mapping[str, Program],
    data: Mapping[str, Dataset],
    train: Mapping[str, TrainConfig],
) -> dict[str, Any]:
    """What the rows depend on; `MADE` tells of the machine and the version besides."""
    arms: dict[str, Any] = {}
    for arm in grid.arms:
        arms[arm] = {"rate": FIXED_RATE} if arm == "fixed" else {}
    optimizers = dict.fromkeys(recipe.optimizer for recipe in grid.recipes)
    if "tuned" in arms:
        arms["tuned"]["rates"] = {name: rates_of(name, grid.rates) for name in optimizers}
    same = ("size", "resize", "colour", "augment", "timeout", "memory_gb")
    settled = next(iter(train.values()))
    made = manifest(config.model_copy(update={"train": settled}), "")
    return {
        "split": "validation",
        "train": {
            **{key: getattr(config.train, key) for key in same},
            "threads": settled.threads,
            "device": settled.device,
            **({"average": settled.average} if settled.average else {}),
        },
        "prm": {**DEFAULT_PRM, **config.prm},
        "datasets": {
            name: {
                **{key: each.record[key] for key in CONTENT},
                "epochs": train[name].epochs,
                "chance": split_of(each).chance,
            }
            for name, each in data.items()
        },
        "networks": {
            name: {"program": program.id, "clipping": clipping_of(program.net)} for name, program in programs.items()
        },
        "recipes": list(map(str, grid.recipes)),
        "arms": arms,
        "seeds": {network: grid.score_seeds(network) for network in grid.networks},
        "torch": metadata.version("torch"),
        MADE: {key: made[key] for key in ("version", "commit", "dirty", "python", "machine")},
    }
