"""Measured edits out of released transforms: their gains, their noise, what they answer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import cast

import pytest
import torch
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.errors import DataError
from deltanas.learn.corpus import corpus_of, preferences_of
from deltanas.learn.measured import MeasuredEdit, read_measured
from deltanas.learn.released import Scored, is_idle, transform_edits
from deltanas.llm import Lesson, Message, Model
from deltanas.program import Refused
from deltanas.program.transforms import MENU, Step, Value, read_transform, transform_faults, transform_text
from deltanas.program.transforms.menu import Operation
from deltanas.propose import Asking, Space
from deltanas.propose.delta import DeltaProposer
from deltanas.seams import Ask
from deltanas.train.augment import Augmentation
from deltanas.train.digest import fixed_images
from deltanas.wiring.teaching import measured_edits
from lemur_transforms import files, result, text
from lemur_wheels import write_folder, write_wheel

SD = 0.02
FLIP, BLUR = (Step(name, MENU[name].at(1)) for name in ("RandomHorizontalFlip", "GaussianBlur"))
IDLE = Step("RandomPosterize", (8.0, 0.3))


def scored(steps: tuple[Step, ...], mean: float, count: int, seed: int) -> list[Scored]:
    rng = Random(seed)
    written = transform_text(steps)
    return [Scored(f"T{seed}_{n}", steps, written, mean + rng.gauss(0, SD), {"lr": 0.01}) for n in range(count)]


def test_gains_are_over_the_mean_without_a_transform_and_know_their_noise() -> None:
    none, flip = scored((IDLE,), 0.56, 60, 1), scored((FLIP, IDLE), 0.5, 1, 2)
    several = scored((BLUR, FLIP), 0.4, 30, 3)
    edits = {edit.family: edit for edit in transform_edits([*none, *flip, *several], "here")}
    assert set(edits) == {"RandomHorizontalFlip", "GaussianBlur+RandomHorizontalFlip"}
    before = fmean(one.accuracy for one in none)
    single = edits["RandomHorizontalFlip"]
    assert single.gain == pytest.approx(flip[0].accuracy - before)
    squares = sum((len(some) - 1) * stdev(one.accuracy for one in some) ** 2 for some in (none, several))
    sd = (squares / 88) ** 0.5
    assert sd == pytest.approx(SD, rel=0.2)
    assert single.noise == pytest.approx(sd * (1 + 1 / 60) ** 0.5)
    assert edits["GaussianBlur+RandomHorizontalFlip"].noise == pytest.approx(sd * (1 / 30 + 1 / 60) ** 0.5)
    # What does nothing is left out of the policy; the edit makes the others of none.
    assert read_transform(single.child.transform) == (FLIP,)
    assert single.parent.transform == ""
    assert read_transform(edits["GaussianBlur+RandomHorizontalFlip"].child.transform) == (BLUR, FLIP)


def test_without_enough_trainings_of_none_there_is_no_gain() -> None:
    assert transform_edits([*scored((IDLE,), 0.56, 3, 1), *scored((FLIP,), 0.5, 9, 2)], "here") == []


NEUTRAL: tuple[Value, ...] = (0.0, 1.0, 8.0, 256.0, (0.0, 0.0), (1.0, 1.0))


def variants(one: Operation) -> set[Step]:
    """With values that may do nothing, and with one parameter of these strong."""
    strong = one.at(2)
    given: list[list[Value]] = []
    for place, parameter in enumerate(one.parameters):
        fits = [value for value in NEUTRAL if takes(one, place, value)]
        calm_ones: list[Value] = [value for value in fits if isinstance(value, type(parameter.default))]
        given.append(calm_ones or [strong[place]])
    calm = list(product(*given))
    single = [(*some[:place], strong[place], *some[place + 1 :]) for some in calm for place in range(len(some))]
    return {Step(one.name, values) for values in (*calm, *single, strong)}


def takes(one: Operation, place: int, value: Value) -> bool:
    values = one.at(2)
    return not transform_faults(transform_text([Step(one.name, (*values[:place], value, *values[place + 1 :]))]))


@pytest.mark.parametrize("operation", MENU.values(), ids=list(MENU))
def test_an_operation_is_idle_if_and_only_if_its_bytes_do_not_change(operation: Operation) -> None:
    images = fixed_images((3, 20, 20), 0)
    for step in variants(operation):
        same = all(torch.equal(Augmentation((step,), seed)(images), images) for seed in range(2))
        assert is_idle(step) == same, step


class Plain:
    def lesson(self, ask: Ask, edit: str, goal: str, family: str) -> Lesson | Refused:
        return Lesson((Message("user", ask.text),), edit, family)


def _table() -> list[Scored]:
    rng = Random(0)
    table = scored((IDLE,), 0.56, 60, 1) + scored((FLIP, BLUR), 0.5, 20, 2)
    for number in range(60):
        name = rng.choice([one for one in MENU if MENU[one].parameters])
        step = Step(name, MENU[name].at(number % 2 * 2))
        table += scored((step,), 0.6 - 0.01 * list(MENU).index(name), 1, 100 + number)
    return table


def test_pairs_are_across_families_and_no_policy_is_on_both_sides() -> None:
    edits = transform_edits(_table(), "here")
    held = sorted({edit.family for edit in edits})[::3]
    pairs, outside = preferences_of(edits, Plain(), held)
    assert len(pairs) > 5
    assert len(outside) > 1
    gains = {edit.edit: edit for edit in edits}
    for sides, apart in ((pairs, False), (outside, True)):
        for pair in sides:
            better, worse = gains[pair.better], gains[pair.worse]
            assert better.gain > worse.gain
            assert {better.family in held, worse.family in held} == {apart}
    assert any(gains[pair.better].family != gains[pair.worse].family for pair in pairs)
    corpus = corpus_of(edits, Plain(), held)
    assert (len(corpus.tuning) + len(corpus.held_out), dict(corpus.dropped)) == (len(edits), {})


class Counting:
    """As much of a model as the making of lessons asks for."""

    context = 1_000_000

    def count(self, messages: Sequence[Message]) -> int:
        return len(messages)


@pytest.mark.parametrize("decoding", ["free", "anchored"])
def test_a_whole_policy_is_an_answer_where_it_may_be_written_freely(decoding: str) -> None:
    edits = transform_edits(_table(), "here")
    asking = Asking.model_validate({"decoding": decoding, "max_prompt": 100_000})
    proposer = DeltaProposer(cast("Model", Counting()), Space(None), asking)
    lessons = [proposer.lesson(edit.ask, edit.edit, edit.goal, edit.family) for edit in edits]
    assert all(isinstance(lesson, Lesson) for lesson in lessons), lessons
    assert len({lesson.messages for lesson in lessons if isinstance(lesson, Lesson)}) == 1  # one question: pairs


def test_the_command_reads_a_wheel_and_a_run_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {f"Pad_{number}": 0.55 + number / 100 for number in range(5)}
    texts = {f"out_gen/{name}": text("Pad(padding=0, fill=(1, 2, 3), padding_mode='edge')") for name in names}
    content = files({**texts, "out_gen/Flip": text("RandomHorizontalFlip(p=0.5)"),
                     "out_gen/Lost": text("CenterCrop(size=24)", "RandomCrop(size=28)")},
                    {**{f"result_gen/{name}": result(name, score) for name, score in names.items()},
                     "result_gen/Flip": result("Flip", 0.5), "result_gen/Lost": result("Lost", 0.0, error="\n"),
                     "result_gen/Torn": "{"})  # fmt: skip
    write_wheel(tmp_path / "nn_gpt-9-py3-none-any.whl", content)
    write_folder(tmp_path / "folder", content)
    deltanas("transforms", "import", "nn_gpt-9-py3-none-any.whl", "--run", "run")
    found: list[list[MeasuredEdit]] = []
    for source in ("run", "nn_gpt-9-py3-none-any.whl", "folder"):
        out = deltanas("learn", "corpus", source, "--out", f"{source}.jsonl")
        assert "left out: Lost: its training failed: no reason is given" in out
        assert ("left out: result_gen/Torn.json: no program Torn.py" in out) == (source != "run")
        found.append([replace(edit, origin="") for edit in read_measured(tmp_path / f"{source}.jsonl")])
    assert found[0] == found[1] == found[2]
    (flip,) = found[0]
    assert (flip.family, flip.part, flip.accuracy) == ("RandomHorizontalFlip", "transform", 0.5)
    assert flip.gain == pytest.approx(0.5 - fmean(names.values()))
    assert json.loads(flip.prm) == {"batch": 64, "dropout": 0.2, "lr": 0.01, "momentum": 0.9}


def test_a_part_of_the_table_tells_no_gain(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than 4 trainings of one epoch without a transform") as error:
        measured_edits(write_folder(tmp_path / "folder", files()))
    assert shlex.split((error.value.hint or "").rpartition(": ")[2])[-1] == "nn-gpt==1.0.6"


def deltanas(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None, done.exception
    return done.output + done.stderr
