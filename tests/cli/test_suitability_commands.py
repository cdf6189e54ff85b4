"""`study suitability` and `suggest` on small imported runs; each hint is followed on the input that raised it."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.config import read_config
from deltanas.errors import DeltanasError, UsageError
from deltanas.program import Failed, Trained
from deltanas.records import Candidate, Draft
from deltanas.sources import _of_run, data_at, evidence_of
from deltanas.study.predictors import TREES
from deltanas.wiring import program_of, programs_of
from lemur_wheels import net, rows, trial, write_wheel
from support import invoked

Command = Callable[..., str]
SETS = ("cifar-10", "mnist", "svhn")
NAMES = [f"{letter}Net-{number}" for letter in "ABCDEF" for number in (1, 2)]


@pytest.fixture
def deltanas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TREES, "max_iter", 5)  # what they find is for other tests
    return invoked


def wheel_of(folder: Path, sets: tuple[str, ...] = SETS, *, trials: bool = True, epochs: int = 1) -> Path:
    """Twelve networks of six families; the wider ones are better, on mnist less so."""
    files = {f"ab/nn/nn/{name}.py": net(8 + place).encode() for place, name in enumerate(NAMES)}
    for place, name in enumerate(NAMES):
        for number, dataset in enumerate(sets):
            score = 0.4 + 0.1 * number + 0.02 * place * (1 if dataset != "mnist" else (-1) ** place)
            text = rows(*(trial(score + 0.001 * more, lr=0.1 + more) for more in range(4)))
            if trials:
                files[f"ab/nn/stat/img-classification_{dataset}_acc_{name}/{epochs}.json"] = text.encode()
    return write_wheel(folder / "nn_dataset-9.9.9-py3-none-any.whl", files)


def test_suitability_of_a_wheel_and_of_a_run_is_the_same(deltanas: Command, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path)
    deltanas("lemur", "import", wheel)
    text = deltanas("study", "suitability", wheel, "--label", "quantile")
    told = json.loads(deltanas("study", "suitability", "runs/lemur-9.9.9", "--label", "quantile", "--json"))
    assert text.startswith(told["verdict"])
    for name in ("examples", "majority", "sets_alone", "code", "ceiling", "leak"):
        assert {"value", "low", "high", "n"} <= told[name].keys()
    assert told["examples"]["n"] == 3 * len(NAMES) - told["ties"]
    assert (told["families"], told["networks"], told["epoch"], told["misfiled"]) == (6, 12, 1, 0)


def _no_trials(folder: Path) -> list[object]:
    return ["study", "suitability", wheel_of(folder, trials=False)]


def _one_set(folder: Path) -> list[object]:
    return ["study", "suitability", wheel_of(folder, SETS[:1])]


def _no_such_epoch(folder: Path) -> list[object]:
    return ["study", "suitability", wheel_of(folder, epochs=2)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (_no_trials, "holds no trials of networks"),
        (_one_set, "there is one data set alone \\(cifar-10\\)"),
        (_no_such_epoch, "holds no trials of classifiers after 1 epochs"),
    ],
)
def test_what_can_not_be_compared_is_said_and_the_hint_mends_it(
    deltanas: Command, tmp_path: Path, given: Callable[[Path], list[object]], says: str
) -> None:
    arguments = given(tmp_path)
    with pytest.raises(DeltanasError, match=says) as caught:
        deltanas(*arguments)
    hint = caught.value.hint
    if option := re.search(r"--epoch \d+", hint):
        deltanas(*arguments, *option[0].split(), "--json")
        return
    assert "nn-dataset" in hint
    (tmp_path / "whole").mkdir()
    whole = wheel_of(tmp_path / "whole")  # what the command of the hint fetches and imports
    if "lemur import" in hint:
        deltanas("lemur", "import", whole)
        whole = tmp_path / "runs/lemur-9.9.9"
    assert deltanas("study", "suitability", whole, "--json")


def test_suggestions_are_named_as_a_search_takes_them(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    told = json.loads(deltanas("suggest", "--dataset", "folder:photos", "--top", "4", "--json"))
    assert [one["program"] for one in told[:1]] == ["lemur:runs/lemur-9.9.9#FNet-1"]
    assert all(one.keys() == {"program", "score", "low", "high", "source"} for one in told)
    assert [one["score"] for one in told] == sorted((one["score"] for one in told), reverse=True)
    every = json.loads(deltanas("suggest", "--dataset", "cifar10", "--top", "99", "--json"))
    assert {one["program"] for one in every if one["source"] == "code"} == set(nets.baselines())
    assert every[0]["source"] == "measured", "LEMUR's cifar-10 is cifar10 here"
    line = deltanas("suggest", "--dataset", "folder:photos", "--top", "2").splitlines()[-1]
    words = shlex.split(line)
    assert words[:4] == ["deltanas", "search", "--dataset", "folder:photos"]
    named = read_config({"dataset": "digits", "baselines": [word for word in words[4:] if word != "--baseline"]})
    assert list(programs_of(named)) == ["FNet-1", "ENet-1"]


def test_a_mixture_counts_the_programs_that_a_run_brings(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    with pytest.raises(UsageError, match="joins 2 to 8 programs, not 9"):
        deltanas("experts", "assemble", "lemur:runs/lemur-9.9.9", "mlp")
    source = deltanas("experts", "assemble", "lemur:runs/lemur-9.9.9#FNet-1", "mlp")
    assert "Mixture of 2 experts: FNet-1 + mlp" in source


def test_suggested_stands_for_the_first_suggestions(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    for name in ("suggested", "suggested:lemur:runs/lemur-9.9.9", "suggested:runs/lemur-9.9.9"):
        config = read_config({"dataset": "digits", "baselines": [name], "suggested_programs": 2})
        assert list(programs_of(config)) == ["FNet-1", "ENet-1"]
    first = programs_of(config)["FNet-1"].hyperparameters
    assert first["lr"] == pytest.approx(3.1), "the settings of its best trial"


def test_a_misfiled_trial_suggests_nothing_and_is_told(deltanas: Command, tmp_path: Path) -> None:
    files = {f"ab/nn/nn/{name}.py": net(8 + place).encode() for place, name in enumerate([*NAMES, "Wrong"])}
    for place, name in enumerate(NAMES):
        where = f"ab/nn/stat/img-classification_svhn_acc_{name}"
        files[f"{where}/1.json"] = rows(trial(0.4 + 0.01 * place)).encode()
        files[f"{where}/5.json"] = rows(*(trial(0.5 + 0.001 * more, lr=0.1 + more) for more in range(9))).encode()
    files["ab/nn/stat/img-classification_svhn_acc_Wrong/1.json"] = rows(trial(0.93)).encode()
    wheel = write_wheel(tmp_path / "nn_dataset-9.9.9-py3-none-any.whl", files)
    deltanas("lemur", "import", wheel)
    said: list[str] = []
    assert evidence_of("lemur", said.append).rows
    programs_of(read_config({"dataset": "svhn", "baselines": ["suggested"]}), said.append)
    drawn = programs_of(read_config({"dataset": "svhn", "baselines": ["lemur"], "lemur_programs": 99}), said.append)
    assert {*drawn} == {*NAMES}
    assert [line for line in said if "misfiled: Wrong with 0.930 on svhn" in line] == said[:1] * 3
    for options in (["--dataset", "folder:x", "--epochs", "1"], ["--dataset", "svhn"]):
        told = deltanas("suggest", *options, "--top", "99", "--json")
        assert "#Wrong" not in told
    assert "#FNet-2" in told


def test_a_network_that_failed_in_a_longer_training_is_not_suggested() -> None:
    held = dict(list(nets.baselines().items())[:5])
    failed = Failed("timeout", "300 s", 300, 300, "C")
    made = []
    for place, (name, source) in enumerate(held.items()):
        short, long = (Trained(score - 0.01 * place, 1000, 0, 1.0, 1.0, "C", epochs=epochs)
                       for score, epochs in ((0.9, 4), (0.95, 19)))  # fmt: skip
        last = failed if place == 0 else long
        made.append(
            Candidate(
                0, place, "baseline", None, Draft(program_of(source)), name=name, outcome=last, trainings=(short, last)
            )
        )
    names = [row.program for row in _of_run("digits", made).rows]
    assert set(names) == {*list(held)[1:]}


def test_a_table_of_trainings_is_evidence_and_its_last_row_may_be_cut_short(deltanas: Command, tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    lines = [
        {"program": name, "dataset": dataset, "epochs": 1, "seed": seed, "score": 0.1 + 0.01 * place + 0.001 * seed}
        for dataset in ("digits", "fashion-mnist")
        for place, name in enumerate(nets.baselines())
        for seed in range(2)
    ]
    text = "".join(
        json.dumps(line) + "\n" for line in [*lines, {**lines[0], "score": None}, {**lines[0], "program": "x"}]
    )
    table.write_text(text + '{"program": "mlp", "sco')
    told = json.loads(deltanas("suggest", "--dataset", "folder:x", "--from", table, "--json"))
    assert told[0]["program"] == list(nets.baselines())[-1]
    assert {one["program"] for one in told} <= set(nets.baselines())
    check = json.loads(deltanas("suggest", "--dataset", "folder:x", "--from", table, "--check", "--json"))
    assert [row["dataset"] for row in check] == ["digits", "fashion-mnist"]
    assert check[0]["rho"]["value"] > 0.9
    assert "+1.00" in deltanas("suggest", "--dataset", "folder:x", "--from", table, "--check")
    for wrong in (
        "no rows\n",
        *(json.dumps({**lines[0], "score": score}) + "\n" for score in (float("nan"), -0.1, 84)),
    ):
        table.write_text(wrong)
        with pytest.raises(UsageError, match="no table of trainings") as caught:
            deltanas("suggest", "--dataset", "folder:x", "--from", table)
        assert "suitability_table" in caught.value.hint


def test_prompts_are_chosen_for_a_model_alone(deltanas: Command, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path)
    with pytest.raises(UsageError, match="--kind is of prompts, and no language model is asked"):
        deltanas("study", "suitability", wheel, "--kind", "names")
    deltanas("study", "suitability", wheel)


def test_an_unknown_data_set_is_no_new_one_and_the_hint_names_it(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    with pytest.raises(UsageError, match=r"unknown data set .svnh.; known are: .*fashion-mnist") as caught:
        deltanas("suggest", "--dataset", "svnh")
    [option] = re.findall(r"`(--dataset \w+)`", caught.value.hint)
    assert json.loads(deltanas("suggest", *option.split(), "--json"))


def test_networks_for_a_data_set_of_another_task_are_not_suggested(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    for dataset in ("photos", "photos:mine", "pairs:mine"):
        with pytest.raises(UsageError, match=f"{dataset} is for denoise, and suggestions are of classifiers") as caught:
            deltanas("suggest", "--dataset", dataset)
        assert "deltanas search --task denoise" in caught.value.hint


def test_evidence_that_is_not_there_is_said(deltanas: Command, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the one run runs/lemur-\\*, and there are 0") as caught:
        deltanas("suggest", "--dataset", "digits")
    assert "deltanas lemur import WHEEL" in caught.value.hint
    with pytest.raises(UsageError, match="nowhere is no run and no table"):
        deltanas("suggest", "--dataset", "digits", "--from", "nowhere")
    deltanas("lemur", "import", wheel_of(tmp_path))
    assert deltanas("suggest", "--dataset", "digits")
    with pytest.raises(UsageError, match="holds no classifier 'GNet'") as caught:
        programs_of(read_config({"dataset": "digits", "baselines": ["lemur:runs/lemur-9.9.9#GNet"]}))
    [line] = re.findall(r"`deltanas (.+)`", caught.value.hint)
    assert "FNet-1" in deltanas(*shlex.split(line))
    for place in ("nn_dataset-9.9.9-py3-none-any.whl", "lemur:nn_dataset-9.9.9-py3-none-any.whl", "lemur:nowhere"):
        with pytest.raises(UsageError, match=r"(whl|nowhere) is no imported run") as caught:
            deltanas("suggest", "--dataset", "digits", "--from", place)
        assert "`deltanas lemur import WHEEL`" in caught.value.hint
    one = wheel_of(tmp_path, SETS[:1])
    deltanas("lemur", "import", one, "--run", "runs/one")
    with pytest.raises(UsageError, match="no data set can be left out"):
        deltanas("suggest", "--dataset", "digits", "--from", "lemur:runs/one", "--check")


def test_a_network_that_was_measured_elsewhere_alone_is_taken_up_by_a_search(deltanas: Command, tmp_path: Path) -> None:
    files = {f"ab/nn/nn/{name}.py": net(8 + place).encode() for place, name in enumerate(NAMES)}
    for place, name in enumerate(NAMES):
        for dataset in SETS if name != "FNet-2" else SETS[1:]:
            text = rows(trial(0.4 + 0.02 * place, lr=0.1 if dataset == "mnist" else 0.3))
            files[f"ab/nn/stat/img-classification_{dataset}_acc_{name}/1.json"] = text.encode()
    deltanas("lemur", "import", write_wheel(tmp_path / "nn_dataset-9.9.9-py3-none-any.whl", files))
    told = json.loads(deltanas("suggest", "--dataset", "cifar10", "--top", "3", "--json"))
    assert "lemur:runs/lemur-9.9.9#FNet-2" in [one["program"] for one in told]
    found = programs_of(read_config({"dataset": "cifar10", "baselines": [one["program"] for one in told]}))
    assert list(found) == [one["program"].partition("#")[2] for one in told]
    suggested = read_config({"dataset": "cifar10", "baselines": ["suggested"]})
    assert list(programs_of(suggested)) == list(found)


def test_programs_of_two_runs_that_share_a_name_are_searched_together(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    again = wheel_of(tmp_path).rename(tmp_path / "nn_dataset-9.9.8-py3-none-any.whl")
    deltanas("lemur", "import", again, "--run", "runs/lemur-9.9.8")
    names = [f"lemur:runs/lemur-9.9.{number}#FNet-1" for number in (9, 8)]
    assert list(programs_of(read_config({"baselines": names}))) == ["FNet-1"], "one program"
    other = wheel_of(tmp_path)
    with zipfile.ZipFile(other) as held:
        files = {
            name: held.read(name).replace(b"(19,", b"(190,").replace(b" 19)", b" 190)") for name in held.namelist()
        }
    deltanas("lemur", "import", write_wheel(other, files), "--run", "runs/lemur-9.9.7")
    names = [f"lemur:runs/lemur-9.9.{number}#FNet-{one}" for number in (9, 7) for one in (2, 1)]
    found = programs_of(read_config({"baselines": [*names, "mlp"]}))
    clash = [name for name in found if "#" in name]
    assert set(found) == {*clash, "FNet-1", "FNet-2", "mlp"} - {one.partition("#")[2] for one in clash}
    assert {one.partition("#")[0] for one in clash} == {"lemur-9.9.9", "lemur-9.9.7"}


def test_a_folder_of_images_is_one_data_set_however_it_is_written(deltanas: Command, tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    lines = [
        {
            "program": name,
            "dataset": dataset,
            "epochs": 1,
            "score": 0.5 + (-0.01 if "photos" in dataset else 0.01) * place,
        }
        for dataset in ("digits", "folder:photos")
        for place, name in enumerate(nets.baselines())
    ]
    table.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("folder:photos", "folder:photos/", f"folder:{tmp_path}/photos", "folder:other/../photos"):
        told = json.loads(deltanas("suggest", "--dataset", name, "--from", table, "--json"))
        assert told[0]["program"] == next(iter(nets.baselines())), name
    assert data_at("folder:photos", Path("/a/b")) == "folder:/a/b/photos"
    assert data_at("npz:/c/d.npz", Path("/a")) == "npz:/c/d.npz"
    assert data_at("digits", Path("/a")) == "digits"


def test_a_table_whose_data_set_is_no_text_is_refused(deltanas: Command, tmp_path: Path) -> None:
    for wrong in ({"dataset": ["x"]}, {"program": ["mlp"]}, {"dataset": 3}):
        line = {"program": "mlp", "dataset": "digits", "epochs": 1, "score": 0.5} | wrong
        (tmp_path / "table.jsonl").write_text(json.dumps(line) + "\n")
        with pytest.raises(UsageError, match="no table of trainings"):
            deltanas("suggest", "--dataset", "digits", "--from", "table.jsonl")


def test_options_without_effect_are_refused_and_a_check_needs_no_data_set(deltanas: Command, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path)
    for option, value in (("--taught", 20), ("--asked", 20), ("--out", "there")):
        with pytest.raises(UsageError, match=f"{option} is of \\w+, and no language model is asked"):
            deltanas("study", "suitability", wheel, option, value)
    deltanas("lemur", "import", wheel)
    assert json.loads(deltanas("suggest", "--check", "--json"))
    with pytest.raises(UsageError, match="--check judges the first 8, whatever --top says"):
        deltanas("suggest", "--check", "--top", 3)
    with pytest.raises(UsageError, match="no data set is named") as caught:
        deltanas("suggest")
    assert "--dataset NAME" in caught.value.hint


def test_mixtures_of_too_few_suggestions_are_mended_by_more_of_them(deltanas: Command, tmp_path: Path) -> None:
    deltanas("lemur", "import", wheel_of(tmp_path))
    given = {"dataset": "digits", "strategy": "experts", "baselines": ["suggested"]}
    with pytest.raises(UsageError, match="joins 4 baselines, and 3 are given that fit") as caught:
        programs_of(read_config(given))
    [number] = re.findall(r"--set suggested_programs=(\d)", caught.value.hint)
    assert len(programs_of(read_config({**given, "suggested_programs": int(number)}))) == 4
