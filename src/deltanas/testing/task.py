"""What every `Task` holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.task import TASKS, Task

N = 29
"""Number of images of the examples: no multiple of eight."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Images, and what networks say of them.

    Attributes:
        x: uint8 [N, channels, height, width]. y: [N, ...], as a data set gives it. classes: number of classes, or 0.
        good, bad: outputs of a better and of a worse network, float32 [N, *out_shape].
    """

    x: NDArray[np.uint8]
    y: NDArray[Any]
    classes: int
    good: NDArray[np.float32]
    bad: NDArray[np.float32]


class TaskContract:
    """Scores outputs image by image; the mean ranks.

    Attributes:
        step: by how much a score may move when it is packed and unpacked.
    """

    step = 0.0

    def task(self) -> Task:
        raise NotImplementedError("name the task")

    def example(self) -> Scored:
        """`N` images."""
        raise NotImplementedError("give images and outputs")

    def test_it_is_known_by_its_name_on_both_sides(self) -> None:
        from deltanas.train.tasks import CHILD_TASKS

        task = self.task()
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", task.name), f"{task.name!r} is no name for the settings"
        assert TASKS.get(task.name) is task, "the record stands in deltanas.task.TASKS"
        assert task.name in CHILD_TASKS, "its other half stands in deltanas.train.tasks.CHILD_TASKS"

    def test_the_child_reads_the_targets_that_the_parent_lays_down(self) -> None:
        import torch

        from deltanas.train.tasks import CHILD_TASKS

        child, out_shape = CHILD_TASKS[self.task().name], self._out_shape()
        target = self._target()
        assert target.shape == (N, *child.target_shape(out_shape)), f"targets of shape {target.shape}"
        assert torch.from_numpy(target).dtype == child.dtype, f"targets of type {target.dtype}"
        made = child.examples(4, out_shape)
        assert made.dtype == child.dtype, f"examples of type {made.dtype}"
        assert tuple(made.shape) == (4, *child.target_shape(out_shape)), f"examples of shape {tuple(made.shape)}"

    def test_the_outputs_have_a_shape(self) -> None:
        shape = self._out_shape()
        assert shape, "an output has a dimension at least"
        assert all(isinstance(size, int) and size > 0 for size in shape), f"no shape: {shape}"
        example = self.example()
        assert example.good.shape == example.bad.shape == (N, *shape), f"the example's outputs are no {(N, *shape)}"

    def test_each_image_has_a_score_of_its_own(self) -> None:
        task, outputs, target = self.task(), self.example().bad, self._target()
        before = outputs.copy(), target.copy()
        scores = task.scores(outputs, target)
        assert _is_floats(scores, N), f"scores: {scores.dtype} {scores.shape}"
        assert np.isfinite(scores).all(), "a finite output has a finite score"
        order = np.random.RandomState(0).permutation(N)[: N // 2]
        assert np.array_equal(task.scores(outputs[order], target[order]), scores[order]), "it depends on other images"
        assert np.array_equal(outputs, before[0]), "scoring changes the outputs"
        assert np.array_equal(target, before[1]), "scoring changes the targets"

    def test_the_better_network_has_the_better_score(self) -> None:
        task, example, target = self.task(), self.example(), self._target()
        assert task.metric.better in ("higher", "lower"), task.metric.better
        good, bad = (float(task.scores(outputs, target).mean()) for outputs in (example.good, example.bad))
        assert good != bad, f"both score {good}"
        assert (good > bad) == (task.metric.better == "higher"), f"good {good}, bad {bad}"

    def test_packed_scores_come_back(self) -> None:
        task = self.task()
        for n in (1, 8, N):
            scores = task.scores(self.example().bad[:n], self._target()[:n])
            found = task.unpacked(task.packed(scores), n)
            assert _is_floats(found, n), f"scores: {found.dtype} {found.shape}"
            assert np.abs(found - scores).max() <= self.step, f"moved by {np.abs(found - scores).max()}"

    def test_scores_of_another_number_of_images_are_no_scores(self) -> None:
        task = self.task()
        packed = task.packed(task.scores(self.example().good, self._target()))
        for n in (N + 8, N - 8, 0):
            try:
                task.unpacked(packed, n)
            except ValueError:
                continue
            raise AssertionError(f"scores of {N} images were read as those of {n}")

    def test_the_interval_holds_the_score(self) -> None:
        task = self.task()
        for outputs in (self.example().good, self.example().bad):
            scores = task.scores(outputs, self._target())
            score = float(scores.mean())
            for kept in (scores, None):
                interval = task.metric.interval(score, N, kept)
                if interval is not None:
                    assert isclose(interval.value, score), f"an interval of {interval.value}, not of {score}"
                    assert interval.low <= score <= interval.high, (
                        f"{score} is not in [{interval.low}, {interval.high}]"
                    )
        assert task.metric.interval(score, 0, None) is None, "no image, no interval"

    def test_scores_and_gains_have_words(self) -> None:
        metric = self.task().metric
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name), f"{metric.name!r} is no name for tables and JSON"
        assert metric.shown(0.25) != metric.shown(0.75), "two scores look alike"
        assert metric.gain(0.25) != metric.gain(-0.25), "a gain and a loss look alike"

    def _out_shape(self) -> tuple[int, ...]:
        example = self.example()
        return self.task().out_shape(example.classes, (1, *example.x.shape[1:]))

    def _target(self) -> NDArray[Any]:
        example = self.example()
        return self.task().target(example.x, example.y)


def _is_floats(scores: NDArray[Any], n: int) -> bool:
    return scores.shape == (n,) and scores.dtype == np.float64
