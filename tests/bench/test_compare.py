"""Strategies compared: the elites are trained for the test as they were in the searches."""

from __future__ import annotations

from benchmarks.compare import final_training
from deltanas.settings import given_settings, setting


def test_settings_of_the_searches_hold_for_the_test_too() -> None:
    train = {"size": 4_000, "workers": 1, "threads": 1, "epochs": 1}
    own = given_settings(options=dict(map(setting, ["train.average=0", "train.epochs=3", "growth=1.5"])))
    config = final_training(train, own)
    assert (config.size, config.average, config.epochs) == (4_000, 0, 3)
    assert final_training(train, {}).epochs == 1
