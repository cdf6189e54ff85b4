"""Curves, ranks and draws, on trials made by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from deltanas.lemur import csv_rows, curves, drawn, ranked, scored, sifted, told_misfiled
from deltanas.program.trial import Experiment, Trial


def made(
    program: str, accuracy: float, *, dataset: str = "mnist", epoch: int = 1, lr: float = 0.1, **other: str
) -> Trial:
    experiment = Experiment(other.get("task", "img-classification"), dataset, other.get("metric", "acc"), program)
    return Trial(experiment, epoch, accuracy, None, f'{{"lr": {lr}, "transform": "norm", "uid": "a"}}')


def test_a_curve_is_one_setting_over_epochs() -> None:
    trials = [made("a", 0.5), made("a", 0.25, lr=0.2), made("a", 0.75, epoch=3), made("b", 0.1, epoch=5)]
    first, second, third = curves(trials)
    assert (first.prm, first.epoch.tolist(), first.accuracy.tolist()) == ({"lr": 0.1}, [1, 3], [0.5, 0.75])
    assert (second.prm, second.epoch.tolist(), second.target()) == ({"lr": 0.2}, [1], None)
    assert (third.experiment.program, third.proxies.tolist(), third.target()) == ("b", [], 0.1)


def test_repeated_trainings_are_rows_of_one_setting_with_one_target() -> None:
    trials = [made("a", 0.5), made("a", 0.4), made("a", 0.3, lr=0.2), made("a", 0.7, epoch=2), made("a", 0.9, epoch=2)]
    rows = list(csv_rows(curves(trials)))
    assert [row[:4] for row in rows] == [("a", 0, 0.5, 0.8), ("a", 1, 0.4, 0.8), ("a", 2, 0.3, None)]
    assert [row[4:] for row in rows] == [
        ("img-classification", "mnist", "acc", setting, epochs) for setting, epochs in ((0, 2), (0, 2), (1, 1))
    ]
    assert [row[3] for row in csv_rows(curves(trials), epochs=3)] == [None, None, None]
    assert [row[3] for row in csv_rows(curves([*trials, made("a", 0.1, epoch=3)]), epochs=2)] == [0.8, 0.8, None]
    (late,) = csv_rows(curves([made("b", 0.6, epoch=5)]))
    assert late[:4] == ("b", 0, None, 0.6)


def test_programs_are_ranked_by_their_best_trial_after_one_epoch() -> None:
    trials = [
        made("a", 0.5),
        made("z", 0.7, lr=0.01),
        made("z", 0.2),
        made("m", 0.6),
        made("a", 0.99, epoch=50),
        made("boxes", 0.9, task="obj-detection"),
        made("words", 0.9, metric="bleu"),
        made("a", 0.9, dataset="svhn"),
    ]
    order = ranked(trials, "mnist")
    assert [trial.experiment.program for trial in order] == ["z", "m", "a"]
    assert order[0].prm == {"lr": 0.01}
    assert ranked([made("a", 0.1, dataset="cifar-10")], "cifar10")[0].accuracy == 0.1


def test_where_the_data_set_was_not_measured_the_mean_rank_decides() -> None:
    trials = [
        *(made(program, accuracy) for program, accuracy in (("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6))),
        *(made(program, accuracy, dataset="svhn") for program, accuracy in (("b", 0.5), ("a", 0.4))),
        made("d", 0.3, dataset="svhn"),
    ]
    order = ranked(trials, "digits")
    # shares: a 1/4 and 2/3, b 2/4 and 1/3, c 3/4, d 4/4 and 3/3
    assert [(t.experiment.program, t.experiment.dataset) for t in order] == [
        ("b", "svhn"),
        ("a", "mnist"),
        ("c", "mnist"),
        ("d", "mnist"),
    ]


def test_a_draw_goes_by_rank_not_by_name_and_repeats() -> None:
    order = ranked(
        [made(name, accuracy) for name, accuracy in zip("zyxabc", (0.6, 0.5, 0.4, 0.3, 0.2, 0.1), strict=True)], "mnist"
    )
    firsts = Counter(drawn(order, 1, Random(seed))[0].experiment.program for seed in range(2000))
    expected = {name: 2000 / rank / 2.45 for rank, name in enumerate("zyxabc", 1)}
    assert firsts == pytest.approx(expected, abs=100)  # over four standard deviations
    three = [trial.experiment.program for trial in drawn(order, 3, Random("0:lemur"))]
    assert len(set(three)) == 3
    assert three == [trial.experiment.program for trial in drawn(order, 3, Random("0:lemur"))]
    assert len(drawn(order, 99, Random(0))) == 6


def test_a_score_that_no_longer_training_reaches_is_misfiled_and_a_good_one_is_not() -> None:
    def at(program: str, epoch: int, accuracy: float, dataset: str = "cifar-10") -> Trial:
        return Trial(Experiment("img-classification", dataset, "acc", program), epoch, accuracy, None, "{}")

    longer = [at("A", 2 + number % 4, 0.5 + 0.003 * number) for number in range(100)]
    short = [at("A", 1, 0.60), at("B", 1, 0.70), at("C", 1, 0.93)]
    kept, wrong = scored([*longer, *short], 1)
    assert (kept, wrong) == (short[:2], short[2:])
    assert scored([*longer[1:], *short], 1) == (short, []), "too few longer ones to tell"
    near = [at("A", 1, 0.90), at("B", 1, 0.93)]
    assert scored([*longer, *near], 1) == (near, []), "two networks that agree are no slip"
    assert scored([at("A", 1, 0.5), replace(at("A", 1, 0.6), settings='{"error": "x"}')], 1)[0] == [at("A", 1, 0.5)]


def test_what_is_misfiled_is_left_out_of_every_number_of_epochs() -> None:
    longer = [made("A", 0.5 + 0.003 * number, epoch=6 + number % 5) for number in range(100)]
    some = [made("A", 0.7, epoch=2), made("B", 0.6, epoch=2), made("C", 0.93, epoch=2), made("C", 0.4)]
    kept, wrong = sifted([*longer, *some, made("D", 0.99, task="img-denoising")])
    assert wrong == some[2:3]
    assert sorted(kept, key=repr) == sorted([*longer, *some[:2], some[3]], key=repr)
    [line] = told_misfiled(wrong)
    assert line == "left out as misfiled: C with 0.930 on mnist, which no longer training reaches"
