"""Settings: every mistake is named, with the known keys or the range."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deltanas.config import SearchConfig, read_config
from deltanas.errors import UsageError
from deltanas.propose.experts import Experts
from deltanas.propose.outside import OutsideSettings
from deltanas.settings import given_settings, setting
from deltanas.wiring.resuming import begun_config, resumed_config


def test_options_are_laid_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "search.toml"
    file.write_text('dataset = "fashion-mnist"\ncycles = 5\n[train]\nsize = 1000\n')
    given = given_settings(file, {"cycles": 7, "train.epochs": 2, "seed": None})
    config = read_config(given)
    assert (config.dataset, config.cycles, config.train.size, config.train.epochs) == ("fashion-mnist", 7, 1000, 2)
    assert config.seed == SearchConfig().seed


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cycle": 3}, r"unknown config key `cycle`\n.*did you mean `cycles`\? known keys: dataset, task, strategy"),
        ({"train": {"siz": 3}}, r"unknown config key `train.siz`\n.*did you mean `size`"),
        ({"cycles": -1}, r"`cycles` = -1: .*greater than or equal to 1"),
        ({"candidates": 0}, r"`candidates` = 0: .*greater than or equal to 1"),
        (
            {"strategy": "magic"},
            r"`strategy` = 'magic': there is none .*known: delta, full, .*, experts, outside; package\.mod",
        ),
        ({"task": "magic"}, r"`task` = 'magic': .*there is none of this name; known: classify"),
        ({"train": {"size": 0}}, r"`train.size` = 0"),
        ({"model": {"temperature": "hot"}}, r"`model.temperature` = 'hot': .*valid number"),
        ({"train": 3}, r"`train` = 3"),
        ({"train": {"timeout": float("inf")}}, r"`train\.timeout` = inf: input should be a finite number"),
        ({"train": {"epochs": "0"}}, r"`train\.epochs` = '0': .*greater than or equal to 1, or 'auto'"),
        ({"growth": "0.9"}, r"`growth` = '0\.9': .*greater than or equal to 1, or 'off'"),
        ({"growth": "on"}, r"`growth` = 'on': .*valid number.*, or 'off'"),
        ({"growth": float("inf")}, r"`growth` = inf: input should be a finite number"),
        ({"proposals": "x"}, r"`proposals` = 'x': .*valid integer.*, or 'auto'"),
        ({"objectives": ["accuracy", 1]}, r"`objectives\.1` = 1: "),
    ],
)
def test_each_mistake_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_config(values)
    assert re.search(message, str(error.value), re.S), str(error.value)


def test_a_config_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no config file"):
        given_settings(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("cycles = = 3")
    with pytest.raises(UsageError, match=r"bad\.toml is not valid TOML: .*line 1"):
        given_settings(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'dataset = "\xff"')
    with pytest.raises(UsageError, match="can't be read"):
        given_settings(tmp_path / "latin.toml")


def test_a_run_keeps_its_settings_when_resumed() -> None:
    stored = read_config({"cycles": 3, "train": {"size": 500}}).model_dump(mode="json")
    assert resumed_config(stored, {}) == read_config(stored)
    assert resumed_config(stored, {"cycles": 3, "train": {"workers": 1}}).train.workers == 1
    with pytest.raises(UsageError, match="begun with `cycles` = 3, not 2"):
        resumed_config(stored, {"cycles": 2})
    with pytest.raises(UsageError, match=r"begun with `train\.size` = 500, not 600"):
        resumed_config(stored, {"train": {"size": 600}})


def test_a_step_of_a_resumed_tuning_takes_as_many_lessons() -> None:
    stored = read_config({"cycles": 3}).model_dump(mode="json")
    cut = resumed_config(stored, {"tuning": {"batch": 2, "accumulation": 4, "checkpointing": True}}).tuning
    assert (cut.batch, cut.accumulation, cut.checkpointing) == (2, 4, True)
    with pytest.raises(UsageError, match=r"`tuning\.batch` x `tuning\.accumulation` = 8, not 4") as refused:
        resumed_config(stored, {"tuning": {"batch": 4}})
    assert "product stays 8" in refused.value.hint


def test_what_was_settled_when_a_run_began_stays_where_auto_is_asked_for_again() -> None:
    stored = read_config({"train": {"epochs": 8, "device": "cpu"}}).model_dump(mode="json")
    asked = {"train": {"epochs": "auto", "device": "auto"}}
    assert (resumed_config(stored, asked).train.epochs, resumed_config(stored, asked).train.device) == (8, "cpu")
    assert resumed_config(stored, {"train": {"epochs": "8"}}).train.epochs == 8
    with pytest.raises(UsageError, match=r"begun with `train\.epochs` = 8, not 1"):
        resumed_config(stored, {"train": {"epochs": 1}})


def test_a_share_that_goes_on_needs_rungs_to_go_to() -> None:
    for rungs in ({"rungs": "off"}, {"rungs": "9"}, {"train": {"epochs": 9}}):
        with pytest.raises(UsageError, match=r"`promote` = 0\.5 .* one length of training") as refused:
            read_config({"promote": 0.5, **rungs})
    assert "give rungs, as --set rungs=1,9, or leave promote out" in str(refused.value)
    assert read_config({"promote": 0.5, "rungs": "1,9"}).promote == 0.5
    assert read_config({"promote": 0.5}).promote == 0.5, "with auto there may be rungs"
    named = read_config({"promote": 0.25, "rungs": "off"})
    assert named.promote == 0.25, "a run that was begun without rungs names the default"


@pytest.mark.parametrize("epochs", [0, "some"])
def test_epochs_are_a_number_or_auto(epochs: object) -> None:
    assert read_config({}).train.epochs == "auto"
    assert read_config({"train": {"epochs": "3"}}).train.epochs == 3
    with pytest.raises(UsageError, match=r"train\.epochs"):
        read_config({"train": {"epochs": epochs}})


def test_any_setting_is_set_by_its_dotted_key() -> None:
    said = ("model.top_k=50", "train.augment=flip,crop", "seeds=auto", 'dataset="npz:a=b.npz"', "learn.enabled=true")
    config = read_config(given_settings(options=dict(map(setting, said))))
    assert (config.model.top_k, config.train.augment, config.seeds) == (50, ("flip", "crop"), "auto")
    assert (config.dataset, config.learn.enabled) == ("npz:a=b.npz", True)
    assert setting("prm={lr = 0.1}") == ("prm", {"lr": 0.1})
    assert setting("archive=postgresql://host/name?a=b") == ("archive", "postgresql://host/name?a=b"), "no TOML"
    assert setting("dataset=x\ncycles = 3") == ("dataset", "x\ncycles = 3"), "one value alone"
    for wrong in ("cycles", "=3", "model.=3", ""):
        with pytest.raises(UsageError, match=r"sets nothing\n.*key=value"):
            setting(wrong)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("train.siz=3", r"unknown config key `train\.siz`\n.*did you mean `size`\? known keys: size, validation_size"),
        ("seed.siz=3", r"`seed` = {'siz': 3}: .*valid integer"),
        ("train=3", r"`train` = 3"),
        ("evolution.size=3", r"unknown config key `evolution\.size`\n.*known keys: population, share"),
        ("cycles=many", r"`cycles` = 'many': .*valid integer"),
    ],
)
def test_what_is_set_by_a_wrong_key_or_value_is_named(tmp_path: Path, said: str, message: str) -> None:
    file = tmp_path / "search.toml"
    file.write_text("seed = 4\n[train]\nsize = 10\n")
    with pytest.raises(UsageError) as error:
        read_config(given_settings(file, dict([setting(said)])))
    assert re.search(message, str(error.value)), str(error.value)


def test_settings_of_a_run_of_an_earlier_version_are_read() -> None:
    stored = json.loads((Path(__file__).parent / "archives" / "0.1.0-config.json").read_text("utf-8"))
    config = begun_config(stored)
    new: dict[str, object] = {"task": "classify", "objectives": [], "max_params": None, "max_flops": None}
    new |= {"pictures": 5, "steps_per_edit": 1, "recipes": {"prior": None}, "growth": "off", "transforms": []}
    new |= {"screen": "off", "experts": Experts().model_dump()}
    new |= {"rungs": [], "promote": 0.25, "final_epochs": None}
    new |= {"suggested_programs": 3, "npu": "ethos-u85", "outside": OutsideSettings().model_dump()}
    assert {**stored, **new} == {**config.model_dump(mode="json"), **stored}, "what it held stands where it stood"
    assert resumed_config(stored, {"cycles": 9, "feedback": {"window": 5}}).cycles == 9
    with pytest.raises(UsageError, match=r"begun with `feedback\.window` = 5, not 6"):
        resumed_config(stored, {"feedback": {"window": 6}})
    with pytest.raises(UsageError, match=r"begun with `growth` = 'off', not 1\.5"):
        resumed_config(stored, {"growth": "1.5"})
    assert (config.train.average, SearchConfig().train.average) == (0.0, 0.25), "it was scored by its last weights"
    assert (config.train.validation_size, SearchConfig().train.validation_size) == ("all", 3300)
    with pytest.raises(UsageError, match=r"begun with `train\.average` = 0\.0, not 0\.25"):
        resumed_config(stored, {"train": {"average": 0.25}})


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("architecture", ("net",)),
        ("recipe", ("recipe",)),
        ("both", ("net", "recipe")),
        ("net", ("net",)),
        ("recipe, net", ("net", "recipe")),
        (["recipe", "net"], ("net", "recipe")),
        (["recipe,net"], ("net", "recipe")),
        (["both"], ("net", "recipe")),
        (["architecture"], ("net",)),
    ],
)
def test_parts_are_read_by_their_names_and_by_those_of_earlier_versions(words: object, parts: tuple[str, ...]) -> None:
    config = read_config({"edits": words})
    assert config.edits == parts
    stored = json.loads(config.model_dump_json())
    assert resumed_config({**stored, "edits": words}, {"edits": ",".join(parts)}) == config


@pytest.mark.parametrize("words", ["optimizer", "net,optimizer", "", [], 3, [3], [[3]]])
def test_a_part_without_a_space_of_edits_is_refused_with_the_known_ones(words: object) -> None:
    with pytest.raises(UsageError, match="no space of edits for the part ") as caught:
        read_config({"edits": words})
    assert caught.value.hint == "known parts: net, recipe, transform, prm"


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_hyperparameter_is_a_finite_number(value: float) -> None:
    with pytest.raises(UsageError, match=r"`prm\.batch` = \w+: input should be a finite number"):
        read_config({"prm": {"batch": value}})


def test_a_value_nested_too_deep_to_read_is_a_usage_error(tmp_path: Path) -> None:
    deep = f"cycles={'[' * 5000}"
    with pytest.raises(UsageError, match="`cycles` = "):
        read_config(given_settings(options=dict([setting(deep)])))
    file = tmp_path / "deep.toml"
    file.write_text(deep)
    with pytest.raises(UsageError, match="is not valid TOML: "):
        given_settings(file)
