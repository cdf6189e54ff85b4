"""What a language model is asked of suitability; a model of random weights is asked and tuned from end to end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from deltanas import nets
from deltanas.errors import UsageError
from deltanas.learn import Tuning
from deltanas.llm import Model, Tunable
from deltanas.study import Scores
from deltanas.study.estimate import LackingError
from deltanas.study.predictors import Fold
from deltanas.study.questions import (
    KINDS,
    Kind,
    asked_described,
    asked_of,
    kinds_of,
    messages_of,
    plan_of,
    questions_of,
    right_of,
)
from deltanas.study.standing import Label, examples_of, standing_of, table_of
from deltanas.wiring.suiting import asked
from hinted import code_in, run
from lemur_wheels import net
from scripted_search import StopError

pytest_plugins = ["tiny_model"]

NAMES = [f"F{family}-{number}" for family in range(12) for number in range(2)]
SETS = ("mnist", "svhn", "zoo")
SOURCES = {name: net(8 + place) for place, name in enumerate(NAMES)}


def scores() -> Scores:
    rng = np.random.default_rng(0)
    cells = [(name, where, float(rng.random())) for name in NAMES for where in SETS]
    return Scores(*map(list, zip(*cells, strict=True)))


TABLE = table_of(scores())
EXAMPLES = examples_of(standing_of(TABLE.best, "quantile"))


def text(kind: Kind, number: int = 0) -> str:
    question = questions_of(TABLE, EXAMPLES, np.array([0]))[number]
    return messages_of(question, kind, TABLE, EXAMPLES, SOURCES, 5)[0].content


def test_families_that_are_asked_are_never_taught() -> None:
    plan = plan_of(TABLE, EXAMPLES, taught=20, asked=12)
    families = TABLE.families[EXAMPLES.program]
    assert not set(families[plan.taught]) & set(families[plan.asked])
    assert len(plan.taught) == 20
    assert len(plan.asked) == 12
    again = plan_of(TABLE, EXAMPLES, taught=20, asked=12)
    assert again.asked.tolist() == plan.asked.tolist()
    assert len(set(families[plan_of(TABLE, EXAMPLES, 5, 5).asked])) > 1


def test_two_families_are_too_few_to_ask_about() -> None:
    few = Scores(["A-1", "A-2", "B-1"] * 2, ["x"] * 3 + ["y"] * 3, [0.1, 0.2, 0.3, 0.3, 0.2, 0.1])
    table = table_of(few)
    with pytest.raises(LackingError, match="there are 2; four are the least"):
        plan_of(table, examples_of(standing_of(table.best, "relative")), 8, 8)


def test_each_example_is_asked_in_both_orders() -> None:
    one, other = questions_of(TABLE, EXAMPLES, np.array([3]))
    assert one.shown == other.shown[::-1]
    assert one.right == other.right
    assert {one.right, one.wrong} == set(one.shown)
    assert text("names", 0).rstrip(".").endswith("mnist or svhn")
    assert text("names", 1).rstrip(".").endswith("svhn or mnist")


def test_kinds_differ_in_what_they_tell_alone() -> None:
    held = {kind: text(kind) for kind in KINDS}
    assert "def forward" in held["code"]
    assert "train_setup" not in held["code"], "the recipe is no network"
    assert "def" not in held["names"]
    assert held["code"].endswith(held["names"])
    assert "60,000 training images of 28 x 28 x 1, 10 classes" in held["metadata"]
    standing = EXAMPLES.standing[0, 0]
    assert f"It stands at {standing:.3f} on mnist" in held["leaked"]
    assert "def forward" not in held["nonsense"]
    assert sorted(held["nonsense"].split()) == sorted(held["code"].split())
    assert kinds_of(["names", "code"]) == ("code", "names")
    with pytest.raises(UsageError, match="no kind of prompt 'x'") as caught:
        kinds_of(["x"])
    assert "nonsense" in caught.value.hint


@pytest.mark.parametrize("source", ["def (", "x = 1", nets.baselines()["vit"]])
def test_any_text_makes_a_short_prompt(source: str) -> None:
    question = questions_of(TABLE, EXAMPLES, np.array([0]))[0]
    [message] = messages_of(question, "code", TABLE, EXAMPLES, dict.fromkeys(NAMES, source), 1)
    assert len(message.content) < 3_000


def test_orders_are_averaged_and_a_tie_is_half() -> None:
    assert right_of({0: [1.0, -2.0], 1: [0.3, 0.1], 2: [0.5, -0.5]}, np.array([0, 1, 2])) == [0.0, 1.0, 0.5]


def test_the_majority_stands_beside_and_a_harness_that_reads_no_leak_is_said() -> None:
    plan = plan_of(TABLE, EXAMPLES, 20, 12)
    number = len(plan.asked)
    answers: Mapping[tuple[str, bool], list[float]] = {
        (kind, tuned): [1.0] * number for kind in KINDS for tuned in (False, True)
    }
    found = asked_of("m", TABLE, EXAMPLES, plan, answers)
    assert found.sound
    assert found.code_less_names is not None
    assert found.code_less_names.value == 0
    assert "(published: 0.80)" in asked_described(found, "relative")
    assert "published" not in asked_described(found, "quantile"), "which is another question"
    broken = asked_of("m", TABLE, EXAMPLES, plan, {**answers, ("leaked", True): [0.0, *[1.0] * (number - 1)]})
    assert broken.sound is False
    assert "can't be trusted" in asked_described(broken, "relative")
    alone = asked_of("m", TABLE, EXAMPLES, plan, {key: those for key, those in answers.items() if key[0] == "names"})
    assert (alone.code_less_names, alone.sound) == (None, None)
    assert Fold(plan.taught, plan.asked).test.tolist() == plan.asked.tolist()


def killed(path: Path, mode: str = "r", **more: Any) -> Any:
    if "r" in mode:
        return open(path, mode, **more)
    os.close(os.open(path, os.O_WRONLY | (os.O_TRUNC if mode == "w" else 0)))
    raise StopError


def test_a_model_is_asked_tuned_and_asked_again_and_goes_on_where_it_was_killed(tiny: Model, tmp_path: Path) -> None:
    model = cast("Tunable", tiny)
    said: list[str] = []

    def ask(label: Label = "quantile") -> object:
        return asked(
            model, scores(), SOURCES, tmp_path / "out", label=label, epochs=1, kinds=("names",), taught=8, number=6,
            tuning=Tuning(rank=2, alpha=4, steps=2, max_length=2048), told=said.append,
        )  # fmt: skip

    first = ask()
    file = tmp_path / "out/answers.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 2 * 2 * 6
    assert json.loads(lines[-1])["tuned"] is True
    with pytest.MonkeyPatch.context() as patch:  # a kill as the file is opened
        patch.setattr(Path, "open", killed)
        with suppress(StopError):
            ask()
    assert file.read_text() == "".join(lines), "nothing is lost"
    file.write_text("".join(lines[:-3]) + lines[-3][:10])
    said.clear()
    assert ask() == first
    assert file.read_text() == "".join(lines)
    assert len(said) == 2, "the adapter is there, the lost answers are made again"
    with pytest.raises(UsageError, match="holds answers of another model, or to other questions") as caught:
        ask("relative")
    [line] = code_in(caught.value.hint)
    run(line, tmp_path)
    assert ask("relative") != first
    assert (tmp_path / "out.1/answers.jsonl").read_text() == "".join(lines), "nothing is lost by the hint"
    for line in ("no JSON\n", '{"kind": "names"}\n', "[1]\n"):
        file.write_text("".join(lines[:3]) + line)
        with pytest.raises(UsageError, match=r"answers\.jsonl holds a line that is no answer") as caught:
            ask("relative")
        assert code_in(caught.value.hint)
