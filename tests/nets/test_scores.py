"""The scores of the baselines after one epoch, to the last digit, as they were when they were first written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from deltanas import nets
from deltanas.assess import evaluate_programs
from deltanas.config import TrainConfig
from deltanas.wiring import gates, open_dataset_pool, program_of

GOLDEN = json.loads(Path(__file__).parent.parent.joinpath("goldens", "scores.json").read_text("utf-8"))
FASHION = Path("/usr/share/datasets/fashion-mnist")


def same_machine() -> None:
    """Another version of torch, or another kind of processor, adds up in another order."""
    cpu = Path("/proc/cpuinfo").read_text("utf-8").partition("vendor_id")[2].partition("\n")[0].strip("\t: ")
    here = {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(), "cpu_vendor": cpu}
    other = {name: value for name, value in here.items() if GOLDEN[name] != value}
    if other:
        pytest.skip(f"the scores were written down with other {', '.join(other)}: here {other}")


def scores(dataset: str, size: int | None) -> dict[str, float | None]:
    sources = {name: nets.baseline(name) for name in GOLDEN["scores"][dataset]}
    with open_dataset_pool(
        dataset, TrainConfig(size=size, validation_size="all", epochs=1, threads=1, average=0)
    ) as pool:
        programs = [program_of(source) for source in sources.values()]
        results = list(evaluate_programs(programs, gates(pool), pool, seed=0))
    return {name: result.accuracy for name, result in zip(sources, results, strict=True)}


def test_all_baselines_on_digits() -> None:
    same_machine()
    assert set(GOLDEN["scores"]["digits"]) == set(nets.baselines())
    assert scores("digits", None) == GOLDEN["scores"]["digits"]


@pytest.mark.skipif(not FASHION.exists(), reason="Fashion-MNIST is not installed")
def test_two_baselines_on_fashion_mnist() -> None:
    same_machine()
    assert scores("fashion-mnist", 10_000) == GOLDEN["scores"]["fashion-mnist"]
