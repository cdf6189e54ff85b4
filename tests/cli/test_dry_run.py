"""A search rehearsed: every preset is valid and says what it does and lacks here; counts are upper bounds."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.rehearsal import counts_of, rehearse
from deltanas.settings import given_settings, presets
from support import Command

DELTAS = ("delta-deepseek", "delta-mistral", "delta-qwen")


def test_the_presets_are_the_published_protocols() -> None:
    assert sorted(presets()) == sorted([*DELTAS, "feedback", "full-code"])
    for name in DELTAS:
        config = read_config(given_settings(preset=name))
        assert (config.strategy, config.cycles, config.candidates) == ("delta", 22, 50)
        assert (config.model.four_bit, config.model.decoding) == (True, "free")
        assert (config.model.temperature, config.model.top_k, config.model.top_p) == (0.35, 50, 0.9)
        assert config.model.max_prompt + (config.model.max_tokens or 0) == 8192
        tuning = config.tuning
        assert (tuning.rank, tuning.alpha, tuning.dropout, len(tuning.targets)) == (32, 32, 0.05, 8)
        assert (tuning.rate, tuning.schedule, tuning.warmup, tuning.decay) == (1e-5, "cosine", 20, 0.01)
        assert (tuning.epochs, tuning.batch, tuning.accumulation, tuning.clip) == (3, 1, 8, 1.0)
    assert len({read_config(given_settings(preset=name)).model.spec for name in DELTAS}) == 3
    full = read_config(given_settings(preset="full-code"))
    assert (full.strategy, full.cycles, full.learn.floor, full.learn.fallback, full.learn.least) == (
        "full",
        22,
        0.4,
        0.35,
        15,
    )
    feedback = read_config(given_settings(preset="feedback"))
    assert (feedback.strategy, feedback.cycles * feedback.candidates) == ("feedback", 2000)
    assert (feedback.model_dump()["feedback"], feedback.learn.enabled) == ({"window": 5, "form": "full"}, False)


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_says_what_is_lacking_and_what_it_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no imported run
    monkeypatch.setenv("DELTANAS_DATA", str(tmp_path))
    monkeypatch.setenv("DELTANAS_STATE", str(tmp_path))
    found = rehearse(given_settings(preset=name))
    lacks = " | ".join(lack.message for lack in found.lacks)
    assert "GPU" in lacks
    assert ("runs/lemur-*" in lacks) is (name != "feedback")
    assert all(lack.hint for lack in found.lacks)
    assert any(line.startswith("model: hub:") for line in found.does)
    assert found.counts["calls of the model"] == (4000 if name == "feedback" else 1100)
    assert found.counts.get("tunings") == (None if name == "feedback" else 22)
    assert ("trainings" in found.counts) is (name == "feedback"), "without the baselines they are not known"


def test_options_and_a_file_are_laid_over_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("cycles = 3\n[model]\ntemperature = 0.5\n", encoding="utf-8")
    values = given_settings(file, {"model.spec": "smollm2"}, "delta-qwen")
    assert (values["cycles"], values["candidates"], values["model"]["top_k"]) == (3, 50, 50)
    assert (values["model"]["temperature"], values["model"]["spec"]) == (0.5, "smollm2")
    with pytest.raises(UsageError, match="no preset 'delta'"):
        given_settings(preset="delta")


def test_counts_are_upper_bounds() -> None:
    given = {"strategy": "feedback", "cycles": 10, "candidates": 100, "retries": 1}
    # 4 baselines + 1,000 slots + 3 finals with a baseline each and the best one; 2 calls in each of 2 rounds.
    assert counts_of(read_config(given), 4) == {"trainings": 1011, "calls of the model": 4000}
    # Seeds auto: a baseline is trained twice, and a cycle has half as many trainings again.
    assert counts_of(read_config({**given, "strategy": "random", "seeds": "auto"}), 4) == {"trainings": 1515}
    assert counts_of(read_config({**given, "strategy": "random"}), 2) == {"trainings": 2 + 1000 + 3 + 2}
    assert counts_of(read_config({**given, "strategy": "random", "finals": 0}), 4) == {"trainings": 1004}
    front = {**given, "strategy": "random", "objectives": ["accuracy", "params"]}
    assert counts_of(read_config(front), 4) == {"trainings": 1010}
    assert counts_of(read_config({**given, "proposals": "auto"}), None) == {"calls of the model": 32000}


def test_what_a_run_that_is_filled_from_outside_cant_have_is_lacking() -> None:
    lacks = rehearse({"strategy": "outside", "seeds": "auto"}).lacks
    assert ["`seeds` = auto" in lack.message for lack in lacks] == [True]


def test_the_end_is_told_as_it_will_be() -> None:
    given = {"strategy": "random", "cycles": 1}
    assert (
        rehearse({**given, "final_epochs": 5})
        .does[-1]
        .endswith("up to 3 elites, their baselines and the best one on the test split, trained for 5 epochs")
    )
    front = rehearse({**given, "objectives": ["accuracy", "params"]})
    assert front.does[-1].endswith("up to 3 elites and their baselines on the test split")
    assert not any("test split" in line for line in rehearse({**given, "finals": 0}).does)


def test_the_command_ends_with_what_was_found(deltanas: Command) -> None:
    done = deltanas("search", "--strategy", "random", "--cycles", "1", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lacks"] == []
    assert found["counts"] == {"trainings": 2 * 17 + 8 + 2 + 7}, "17 baselines and 2 of 8 at both lengths, 7 at the end"
    done = deltanas("search", "--preset", "delta-qwen", "--dry-run")
    assert done.returncode == 1
    assert "lacking: " in done.stdout


def test_presets_are_plain_toml_files_that_can_be_given_as_one() -> None:
    for path in presets().values():
        assert read_config(given_settings(path)) == read_config(tomllib.loads(path.read_text("utf-8")))


def test_slots_that_no_mixture_can_fill_are_told_and_not_counted() -> None:
    config = {"dataset": "digits", "strategy": "experts", "cycles": 3, "candidates": 8, "finals": 0, "rungs": "off"}
    four = rehearse({**config, "baselines": ["mlp", "nin", "vgg", "vit"]})
    assert "4 baselines give 1 mixture of 4 at most: 23 of 24 slots stay empty" in four.does
    assert four.counts["trainings"] == 5
    more = rehearse({**config, "baselines": ["mlp", "nin", "vgg", "vit", "mixer", "resnet", "densenet"]})
    assert not any("stay empty" in line for line in more.does)
    assert more.counts["trainings"] == 7 + 24
