"""A search's own programs as LEMUR would hold them."""

from __future__ import annotations

import json

import pytest

from deltanas.errors import DataError
from deltanas.lemur import own_programs
from deltanas.program import Failed, Program, Trained, prm_text
from deltanas.program.trial import Experiment
from deltanas.records import Candidate, Draft, RunView
from lemur_wheels import net

PRM = {"batch": 4, "dropout": 0.5, "lr": 0.0061, "momentum": 0.7549}
SMALL, WIDE, LOST = (Program.of(net=net(width), prm=prm_text(PRM)) for width in (8, 16, 32))


def view(config: dict[str, object]) -> RunView:
    rows = (
        Candidate(0, 0, "baseline", None, Draft(SMALL), outcome=Trained(0.5, 100, 1, 2.5, 2.0, "A")),
        Candidate(1, 0, "random", SMALL.id, Draft(WIDE), outcome=Trained(0.75, 100, 1, 1.5, 2.0, "A")),
        Candidate(1, 1, "random", SMALL.id, Draft(LOST), outcome=Failed("timeout", "late", 9.0, 9.0, "A")),
        Candidate(1, 2, "random", SMALL.id, None),
    )
    return RunView("own", True, {"config": config}, rows, {})


def test_what_was_trained_is_named_and_hashed_as_in_lemur() -> None:
    own = own_programs(view({"dataset": "cifar10", "train": {"epochs": 3, "resize": 299}}))
    sources, trials = own.sources, own.trials
    assert sorted(sources.values()) == sorted([SMALL.net, WIDE.net])
    assert all(name.startswith("deltanas-") and len(name) == 41 for name in sources)
    scores = {sources[trial.experiment.program]: trial for trial in trials}
    small = scores[SMALL.net]
    assert small.experiment[:3] == Experiment("img-classification", "cifar-10", "acc", "")[:3]
    assert (small.epoch, small.accuracy, small.duration) == (3, 0.5, 2_500_000_000)
    # SqueezeNet-1 on CIFAR-10 was measured with these settings in nn-dataset 1.2.6, under this `uid`.
    assert json.loads(small.settings) == {**PRM, "transform": "norm_299", "uid": "3cb173d35a780eafb1f1a9fa4dd955d6"}
    assert small.prm == PRM


@pytest.mark.parametrize(
    ("dataset", "name"), [("folder:/data/my_birds", "my-birds"), ("npz:x/cells.npz", "cells"), ("svhn", "svhn")]
)
def test_names_of_data_sets_fit_into_folder_names(dataset: str, name: str) -> None:
    trials = own_programs(view({"dataset": dataset, "train": {"epochs": 1, "resize": None}})).trials
    assert {trial.experiment.dataset for trial in trials} == {name}
    assert {json.loads(trial.settings)["transform"] for trial in trials} == {"norm"}


def test_a_run_that_is_no_search() -> None:
    with pytest.raises(DataError, match="no search"):
        own_programs(view({}))
