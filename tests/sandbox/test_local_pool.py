from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.config import TrainConfig
from deltanas.program import Failed, Program, Trained
from deltanas.sandbox import Exported, LocalPool
from deltanas.seams import Runner
from deltanas.train.data import load
from deltanas.wiring import open_dataset_pool

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, RunnerContract, learning, train_one


@pytest.fixture(scope="module")
def runner() -> Iterator[LocalPool]:
    with LocalPool(load("digits"), timeout=5, build_timeout=5, memory_bytes=1 << 30) as pool:
        yield pool


class TestLocalPool(RunnerContract):
    """All of the contract."""


def test_augmentation_moves_training_and_is_the_same_for_the_same_seed(runner: Runner) -> None:
    plain = train_one(runner, HONEST)
    with LocalPool(load("digits"), timeout=30, augment=("flip", "crop")) as pool:
        augmented = dict(pool.train([HONEST, HONEST], seed=0))
    accuracies = [outcome.score for outcome in (plain, *augmented.values()) if isinstance(outcome, Trained)]
    assert len(accuracies) == 3
    assert accuracies[1] == accuracies[2] < accuracies[0]  # a mirrored digit is mostly none


def test_the_limit_of_time_is_that_of_the_shortest_length_and_grows_with_longer_ones() -> None:
    hanging = learning("while True: pass")
    data = load("digits", train_size=40)
    for shortest, length, limit in ((2, 6, "2.4 s"), (2, None, "1.6 s"), (2, 1, "0.8 s"), (None, None, "0.8 s")):
        with LocalPool(data, epochs=4, timeout=0.8, shortest=shortest) as pool:
            [(_, ended)] = pool.train([hanging], seed=0, epochs=length)
        assert isinstance(ended, Failed)
        assert (ended.kind, limit in ended.reason) == ("timeout", True), ended.reason


def test_a_curve_tells_what_trainings_of_other_lengths_and_weights_come_to(
    runner: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = learning("pass").net.replace("return self.layers(x)", "return self.layers(x)[not self.training :]")
    programs = [HONEST, Program.of(broken, prm=HONEST.prm)]
    curves = dict(runner.curves(programs, seed=3, epochs=3, evaluate=(1, 2, 3, 9), average=0.5, both=True))
    shorter = [dict(runner.train([HONEST], seed=3, epochs=epochs))[0] for epochs in (2, 3)]
    monkeypatch.setattr(runner, "average", 0.5)
    [(_, averaged)] = runner.train([HONEST], seed=3, epochs=3)
    [(_, exported)] = runner.export([HONEST], seed=3)
    curve = curves[0]
    assert isinstance(curve, tuple)
    assert [(one.epochs, one.averaged) for one in curve] == [(n, mean) for n in (1, 2, 3) for mean in (False, True)]
    outcomes = [one.outcome for one in curve]
    assert all(isinstance(one, Trained) for one in outcomes)
    assert [told(one) for one in outcomes[2::2]] == [told(one) for one in shorter]
    assert told(outcomes[-1]) == told(averaged)
    for one in curve:
        assert isinstance(one.outcome, Trained)
        assert one.outputs.shape == (360, 10)
        assert (one.outputs.argmax(1) == runner.dataset.validation.y).mean() == pytest.approx(one.outcome.score)
    assert isinstance(exported, Exported)
    assert told(exported.validation) == told(outcomes[1]), "what is handed over are the averaged weights"
    assert isinstance(curves[1], Failed)
    assert "shape" in curves[1].reason


def test_a_pool_averages_as_the_settings_say() -> None:
    assert [open_dataset_pool("digits", TrainConfig(**said)).average for said in ({}, {"average": 0})] == [0.25, 0]


@pytest.mark.parametrize(("asked", "images"), [("all", 360), (3300, 360), (100, 100)])
def test_a_pool_scores_on_as_many_validation_images_as_the_settings_say(asked: int | str, images: int) -> None:
    data = open_dataset_pool("digits", TrainConfig(validation_size=asked)).dataset
    assert (len(data.validation), len(data.test)) == (images, 359)


def told(outcome: object) -> tuple[float, bytes | None]:
    assert isinstance(outcome, Trained), outcome
    return outcome.score, outcome.per_image


def test_bytes_that_are_not_those_of_all_readings_are_no_outputs(runner: LocalPool) -> None:
    """A child that answers with one evaluation where several are due, or with one too many."""
    for blocks, kind in ((1, "output"), (3, "output")):
        forged = learning(f"os.write(5, b'{{}}\\n' + bytes({blocks} * 4 * 360 * 10)); os._exit(0)")
        [(_, ended)] = runner.curves([forged], seed=0, epochs=2, evaluate=(1,))
        assert isinstance(ended, Failed)
        assert ended.kind == kind
        assert ("bytes of outputs" in ended.reason) == (blocks == 1), ended.reason
    two = learning("os.write(5, b'{}\\n' + bytes(2 * 4 * 360 * 10)); os._exit(0)")
    [(_, readings)] = runner.curves([two], seed=0, epochs=2, evaluate=(1,))
    assert isinstance(readings, tuple), "a program may answer what it likes: it does not know the labels"
    assert all(isinstance(one.outcome, Trained) and one.outcome.score < 0.2 for one in readings)
