"""A parametric convolutional network, as one writes it for a hyperparameter optimizer, and Optuna's TPE that tunes it.

The rival is what its user would run: no baselines, no edits, a space of numbers and names. Its networks are programs by
the same contract with the same recipe, trained by the same pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings

from deltanas import nets
from deltanas.program import Failed, Program, Trained
from deltanas.seams import Built, Runner
from deltanas.wiring import program_of

STARTUP = 10
"""Trials drawn at random before the estimator has its say."""
TRIES = 50
"""Networks looked at for one training: those that do not build or are too large are told as worthless."""
_MATCHING = ("ReLU", "GELU", "SiLU", "Mish")
_FORWARD = "    def forward("


@dataclass(frozen=True)
class Tuned:
    """A network that was trained. values: what the optimizer chose. flops: of one image's forward pass."""

    program: Program
    values: Mapping[str, object]
    outcome: Trained | Failed
    flops: int
    params: int


def text_of(values: Mapping[str, Any]) -> str:
    """The source of the network with these values; the recipe is that of the built-in networks."""
    body = _layers(values)
    source = nets.baseline("vgg")
    before, _, rest = source.partition("        width = 16\n")
    _, _, after = rest.partition(_FORWARD)
    grid, out = values["grid"], f"{body[1]} * grid * grid"
    drop = f"        self.drop = nn.Dropout({values['dropout']})\n"
    made = (
        f"        grid = {grid}\n        self.features = nn.Sequential(\n{body[0]}        )\n"
        f"        self.pool = nn.{values['end']}(grid)\n{drop}        self.head = nn.Linear({out}, classes)\n\n"
    )
    dropped = after.replace("x = torch.flatten(x, 1)\n", "x = torch.flatten(x, 1)\n        x = self.drop(x)\n")
    first = '"""A plain convolutional network, made of numbers and names."""\n'
    return first + before.partition("\n")[2] + made + _FORWARD + dropped


def _layers(values: Mapping[str, Any]) -> tuple[str, int]:
    """The lines of the stages, and the number of channels that come out."""
    lines, came = [], "channels"
    kernel, activation = values["kernel"], values["activation"]
    width = 0
    for stage in range(values["stages"]):
        width = values[f"width{stage}"]
        for block in range(values["blocks"]):
            stride = 2 if values["down"] == "stride" and stage and not block else 1
            bias = values["norm"] == "none"
            shape = f"kernel_size={kernel}, stride={stride}, padding={kernel // 2}"
            lines.append(f"nn.Conv2d({came}, {width}, {shape}, bias={bias}),")
            if values["norm"] == "batch":
                lines.append(f"nn.BatchNorm2d({width}),")
            elif values["norm"] == "group":
                lines.append(f"nn.GroupNorm(8, {width}),")
            lines.append(f"nn.{activation}(),")
            came = str(width)
        if values["down"] != "stride" and stage < values["stages"] - 1:
            lines.append(f"nn.{values['down']}(kernel_size=2, ceil_mode=True),")
    return "".join(f"            {line}\n" for line in lines), width


def suggested(trial: Any) -> dict[str, Any]:
    """The space: trial is an `optuna.Trial`."""
    stages = trial.suggest_int("stages", 1, 4)
    return {
        "stages": stages,
        "blocks": trial.suggest_int("blocks", 1, 3),
        **{f"width{stage}": trial.suggest_int(f"width{stage}", 8, 64, step=8) for stage in range(stages)},
        "kernel": trial.suggest_categorical("kernel", [3, 5, 7]),
        "norm": trial.suggest_categorical("norm", ["none", "batch", "group"]),
        "activation": trial.suggest_categorical("activation", list(_MATCHING)),
        "down": trial.suggest_categorical("down", ["MaxPool2d", "AvgPool2d", "stride"]),
        "end": trial.suggest_categorical("end", ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d"]),
        "grid": trial.suggest_int("grid", 1, 4),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5, step=0.1),
    }


def tuned(
    pool: Runner, seed: int, training_seed: int, together: int, fits: Callable[[Built], bool]
) -> Iterator[list[Tuned]]:
    """Networks in the order in which the estimator chose them, `together` at a time, without an end.

    seed: of the estimator. training_seed: of every training. fits: whether a network is small enough to be trained.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True, seed=seed
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while True:
        chosen = [one for _ in range(together) if (one := _built(study, pool, fits)) is not None]
        if not chosen:
            return
        found: dict[int, Tuned] = {}
        for place, outcome in pool.train([program for _, program, _ in chosen], seed=training_seed):
            trial, program, built = chosen[place]
            score = outcome.score if isinstance(outcome, Trained) else 0.0
            study.tell(trial, score)
            found[place] = Tuned(program, dict(trial.params), outcome, built.flops, built.params)
        yield [found[place] for place in sorted(found)]


def _built(study: Any, pool: Runner, fits: Callable[[Built], bool]) -> tuple[Any, Program, Built] | None:
    for _ in range(TRIES):
        trial = study.ask()
        program = program_of(text_of(suggested(trial)))
        (built,) = pool.build([program])
        if isinstance(built, Built) and fits(built):
            return trial, program, built
        study.tell(trial, 0.0)
    return None


def score_of(one: Tuned) -> float:
    """Zero for a network that failed."""
    return one.outcome.score if isinstance(one.outcome, Trained) else 0.0


def best_of(found: Sequence[Tuned], count: int) -> list[Tuned]:
    """The best by score, each program once; none that failed."""
    trained = {one.program.id: one for one in found if isinstance(one.outcome, Trained)}
    return sorted(trained.values(), key=lambda one: -score_of(one))[:count]
