"""A search rehearsed: every preset is valid and says what it lacks here; no figure comes from nowhere."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from deltanas.config import given_settings, presets, read_config
from deltanas.errors import UsageError
from deltanas.journal import Attempt, Call, Candidate
from deltanas.program import Failed, Trained
from deltanas.rehearsal import MEASURE, Cost, costs_of, means, rehearse
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
    assert (feedback.feedback.window, feedback.learn.enabled) == (5, False)


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_says_what_is_lacking_and_what_it_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no imported run
    monkeypatch.setenv("DELTANAS_DATA", str(tmp_path))
    monkeypatch.setenv("DELTANAS_STATE", str(tmp_path))
    found = rehearse(given_settings(preset=name), None)
    lacks = " | ".join(lack.message for lack in found.lacks)
    assert "GPU" in lacks
    assert ("runs/lemur-*" in lacks) is (name != "feedback")
    assert all(lack.hint for lack in found.lacks)
    assert any(line.startswith("model: hub:") for line in found.does)
    amounts = {cost.what: cost.amount for cost in found.costs}
    calls = "4,000 to 4,000" if name == "feedback" else "1,100 to 1,100"
    assert amounts["calls of the model"] == calls
    assert [cost.what for cost in found.costs if cost.basis == MEASURE] == ["hours of training", "hours of decoding"]
    assert all(cost.amount == "unknown" for cost in found.costs if cost.basis == MEASURE)


def test_options_and_a_file_are_laid_over_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("cycles = 3\n[model]\ntemperature = 0.5\n", encoding="utf-8")
    values = given_settings(file, {"model.spec": "smollm2"}, "delta-qwen")
    assert (values["cycles"], values["candidates"], values["model"]["top_k"]) == (3, 50, 50)
    assert (values["model"]["temperature"], values["model"]["spec"]) == (0.5, "smollm2")
    with pytest.raises(UsageError, match="no preset 'delta'"):
        given_settings(preset="delta")


def test_a_run_gives_measured_costs() -> None:
    call = Call("m", "p", "r", 1000, 50, 3.6)
    attempts = (Attempt("", None, "", None, (call, call)), Attempt("", None, "", None, (call,)))
    trained, failed = Trained(0.5, 10, 0, 30.0, 1, "C"), Failed("error", "", 6.0, 1, "C")
    journal = [
        Candidate(0, 0, "baseline", None, None, (), trained, (trained,)),
        Candidate(1, 0, "feedback", "x", None, attempts, failed, (failed,)),
        Candidate(1, 1, "feedback", "x", None, (Attempt("", None, "", None, (call,)),)),
    ]
    config = read_config(
        {"strategy": "feedback", "cycles": 10, "candidates": 100, "train": {"workers": 2}, "retries": 1}
    )
    found = {cost.what: cost for cost in costs_of(config, 4, means(journal), Path("TRY"))}
    # 4 baselines + 1000 slots + 2 x 3 finals, 18 s each, two at a time; 4 calls in 2 slots.
    assert found["trainings"].amount == "at most 1,010"
    assert found["hours of training"] == Cost(
        "hours of training", "about 2.52", "mean training of TRY, 18.0 s, 2 at a time"
    )
    assert found["calls of the model"].amount == "2,000 to 4,000"
    assert found["hours of decoding"].amount == "about 2.00"
    assert found["tokens of prompts"].amount.startswith("about 2,000,000, at most ")


def test_the_command_ends_with_what_was_found(deltanas: Command) -> None:
    done = deltanas("search", "--strategy", "random", "--cycles", "1", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lacks"] == []
    assert {"trainings", "hours of training"} == {cost["what"] for cost in found["costs"]}
    done = deltanas("search", "--preset", "delta-qwen", "--dry-run")
    assert done.returncode == 1
    assert "lacking: " in done.stdout


def test_presets_are_plain_toml_files_that_can_be_given_as_one() -> None:
    for path in presets().values():
        assert read_config(given_settings(path)) == read_config(tomllib.loads(path.read_text("utf-8")))
