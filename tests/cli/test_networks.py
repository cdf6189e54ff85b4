"""Networks in a table, and scores in JSON under the name of their metric."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.cli.networks import print_networks
from deltanas.cli.output import keyed
from deltanas.intervals import Estimate
from deltanas.report import Gain, Network
from deltanas.task import CLASSIFY
from toy_task import WEIGH

GAIN = Gain("b" * 16, "mlp", 0.75, 0.0125, 0.0096, 0.0154, True, None)
NETWORK = Network("a" * 16, "1.0", 1, 0, "random", 0.7625, 0.754, 0.7707, 10_000, 1, None, 7, 9, GAIN, GAIN)


def table(network: Network, capsys: pytest.CaptureFixture[str], metric: str = "accuracy") -> str:
    print_networks([network], CLASSIFY.metric if metric == "accuracy" else WEIGH.metric, "best")
    return capsys.readouterr().out


def test_a_paired_gain_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    text = table(NETWORK, capsys)
    assert "76.2% [75.4%, 77.1%]" in text
    assert "+1.2 [+1.0, +1.5] over mlp" in text
    assert "over its baseline, in points [95 %]" in text
    assert "unpaired" not in text
    assert "seeds" not in text


def test_what_is_unpaired_and_what_is_of_the_seeds_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    told = replace(GAIN, paired=False, seeds=Estimate(0.0125, -0.021, 0.046))
    text = table(replace(NETWORK, over_parent=told, over_baseline=None), capsys)
    assert "+1.2 [+1.0, +1.5] unpaired seeds [-2.1, +4.6] over mlp" in text
    assert "unpaired: the scores of the images are not known of both networks" in text
    assert "the one after `seeds` is for other seeds" in text
    assert "unknown" in text


def test_another_metric_has_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = table(replace(NETWORK, low=None, high=None), capsys, "error")
    assert "error [95 %]" in text
    assert "over its baseline, in g [95 %]" in text
    assert "0.76 g  " in text


def test_scores_stand_under_the_name_of_the_metric_too() -> None:
    record = {"score": 0.5, "scores": [0.5], "over": {"score": 0.4}, "rows": ({"score": None},), "name": "score"}
    assert keyed(record, "accuracy") == {
        "accuracy": 0.5, "score": 0.5, "accuracies": [0.5], "scores": [0.5], "over": {"accuracy": 0.4, "score": 0.4},
        "rows": [{"accuracy": None, "score": None}], "name": "score",
    }  # fmt: skip
    assert keyed({"scores": []}, "error") == {"errors": [], "scores": []}
