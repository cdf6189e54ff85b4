"""What transforms of three operations cost, over the CPU seconds of the same training without one."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Annotated

import torch
import typer

from deltanas import nets
from deltanas.calibrate import train_all, where
from deltanas.cli.output import Json, print_figures, say
from deltanas.intervals import mean
from deltanas.program.transforms import MENU, Step, transform_text
from deltanas.sandbox import LocalPool
from deltanas.train.augment import Augmentation
from deltanas.train.data import load
from deltanas.wiring import program_of

SHARE = 0.25
"""A transform of three operations may add this share of the CPU seconds of a training."""

POLICIES = (
    ("RandomCrop", "RandomHorizontalFlip", "RandomRotation"),
    ("RandomAffine", "RandomAdjustSharpness", "RandomEqualize"),
    ("RandomResizedCrop", "ColorJitter", "GaussianBlur"),
    ("RandomCrop", "RandomHorizontalFlip", "TrivialAugmentWide"),
    ("RandomPerspective", "RandomAutocontrast", "RandAugment"),
)
_BATCHES = 20


@dataclass(frozen=True, slots=True)
class Overhead:
    """CPU seconds of trainings with a transform over those without one, less 1: mean of the turns with its interval."""

    transform: str
    mean: float
    low: float
    high: float
    n: int
    kept: bool


def bench_augment(dataset: str, size: int, epochs: int, net: str, turns: int, triples: int) -> dict[str, object]:
    """Trainings with and without each of `POLICIES`, turn by turn; then, by the operations alone, drawn triples."""
    began = where()
    data = load(dataset, train_size=size)
    texts = ["", *(transform_text(_steps(names)) for names in POLICIES)]
    seconds: list[list[float]] = [[] for _ in texts]
    with LocalPool(data, timeout=3600.0, workers=1, epochs=epochs) as pool:
        for turn in range(turns):
            for text, spent in zip(texts, seconds, strict=True):
                program = program_of(nets.baseline(net)).edited("transform", text)
                spent.append(train_all(pool, [program], turn)[1])
            say(f"turn {turn + 1}, CPU seconds: {', '.join(f'{spent[-1]:.2f}' for spent in seconds)}")
    plain = seconds[0]
    overheads = [_overhead(names, plain, spent) for names, spent in zip(POLICIES, seconds[1:], strict=True)]
    image = statistics.median(plain) / (size * epochs)
    drawn = [_alone(names, data.in_shape) / image for names in _triples(triples)]
    return {
        **began,
        "load_after": where()["load"],
        "dataset": dataset,
        "net": net,
        "trained": f"{size} images x {epochs} epochs, {len(data.validation)} evaluated",
        "microseconds_an_image": round(1e6 * image, 1),
        "overheads": [asdict(one) for one in overheads],
        "drawn": {
            "n": triples,
            "median": round(statistics.median(drawn), 3),
            "p95": round(sorted(drawn)[math.ceil(0.95 * triples) - 1], 3),
            "most": round(max(drawn), 3),
            "within": sum(one <= SHARE for one in drawn),
        },
        "operations": {name: round(1e6 * _alone([name], data.in_shape), 1) for name in MENU},
        "bar": f"at most {SHARE:.0%} more CPU seconds",
        "kept": all(one.kept for one in overheads),
    }


def _steps(names: Sequence[str]) -> list[Step]:
    return [Step(name, MENU[name].at(1)) for name in names]


def _overhead(names: Sequence[str], plain: Sequence[float], spent: Sequence[float]) -> Overhead:
    ratios = [one / other - 1 for one, other in zip(spent, plain, strict=True)]
    found = mean(ratios)
    low, high = (found.low, found.high) if found else (math.nan, math.nan)
    value = statistics.fmean(ratios)
    return Overhead(", ".join(names), round(value, 3), round(low, 3), round(high, 3), len(ratios), value <= SHARE)


def _triples(count: int) -> list[list[str]]:
    """Three different operations each."""
    rng = Random("augment")
    return [rng.sample(list(MENU), 3) for _ in range(count)]


def _alone(names: Sequence[str], shape: Sequence[int]) -> float:
    """CPU seconds an image, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    augmentation = Augmentation(_steps(names), 0)
    n = max(32, augmentation.at_once(math.prod(shape[1:])))
    x = torch.randint(0, 256, (n, *shape[1:]), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        augmentation(x)
    began = time.process_time()
    for _ in range(_BATCHES):
        augmentation(x)
    spent = time.process_time() - began
    torch.set_num_threads(threads)
    return spent / (_BATCHES * len(x))


def main(
    dataset: Annotated[str, typer.Option(help="Data set to train on.")] = "fashion-mnist",
    train_size: Annotated[int, typer.Option(help="Training images to use.", min=1)] = 500,
    epochs: Annotated[int, typer.Option(help="Passes over them.", min=1)] = 20,
    net: Annotated[str, typer.Option(help="A built-in baseline.")] = "resnet",
    turns: Annotated[int, typer.Option(help="Trainings with each transform.", min=2)] = 5,
    triples: Annotated[int, typer.Option(help="Triples of operations that are drawn.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Compare the CPU seconds of trainings with transforms and without one."""
    print_figures(bench_augment(dataset, train_size, epochs, net, turns, triples), ["overheads"], as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
