"""What nobody gives: hyperparameters that a program declares, and the epochs of a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltanas import nets, open_run
from deltanas.archive import read_folder
from deltanas.train.epochs import LONG_STEPS, settled_epochs
from support import Command

DROPS = (
    nets.baseline("mlp")
    .replace('{"lr", "momentum"}', '{"lr", "momentum", "dropout"}')
    .replace("super().__init__()", 'super().__init__()\n        self.drop = nn.Dropout(prm["dropout"])', 1)
    .replace("self.head(x)", "self.drop(self.head(x))")
)
_SIZE = ("--cycles", "1", "--candidates", "1", "--train-size", "100")
SEARCH = ("search", "--strategy", "random", *_SIZE, "--run", "run")


@pytest.fixture(autouse=True)
def programs(tmp_path: Path) -> None:
    (tmp_path / "drops.py").write_text(DROPS)
    (tmp_path / "deep.py").write_text(DROPS.replace("dropout", "depth"))


def test_check_names_what_it_took_for_a_declared_hyperparameter(deltanas: Command) -> None:
    done = deltanas("check", "drops.py", "--shape", "1x8x8")
    assert done.returncode == 0
    assert "drops.py: hyperparameter dropout = 0.2: declared by the program, not given" in done.stderr
    assert json.loads(deltanas("check", "drops.py", "--shape", "1x8x8", "--json").stdout)["assumed"] == {"dropout": 0.2}
    given = deltanas("check", "drops.py", "--shape", "1x8x8", "--json", "--prm", "dropout=0.5")
    assert (json.loads(given.stdout)["assumed"], given.stderr) == ({}, "")


def test_check_says_how_to_give_one_that_has_no_usual_value(deltanas: Command) -> None:
    done = deltanas("check", "deep.py", "--shape", "1x8x8")
    assert done.returncode == 1
    assert "KeyError: 'depth'" in done.stdout
    assert "give --prm depth=VALUE" in done.stdout
    assert deltanas("check", "deep.py", "--shape", "1x8x8", "--prm", "depth=0.1").returncode == 0


def test_evaluate_tells_epochs_and_hyperparameters(deltanas: Command) -> None:
    done = json.loads(deltanas("evaluate", "drops.py", "--train-size", "100", "--json").stdout)
    assert (done["status"], done["assumed"]) == ("trained", {"dropout": 0.2})
    assert done["epochs"] == settled_epochs(100, 32)
    large = deltanas("evaluate", "drops.py", "--train-size", "100", "--prm", "batch=1", "--prm", "lr=0.001", "--json")
    assert json.loads(large.stdout)["epochs"] == settled_epochs(100, 1)
    assert ", 2 epochs, " in deltanas("evaluate", "drops.py", "--train-size", "100", "--epochs", "2").stdout


def test_a_search_settles_its_epochs_and_keeps_them(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas(*SEARCH, "--baseline", "drops.py", "--baseline", "mlp")
    epochs, long = settled_epochs(100, 32), settled_epochs(100, 32, LONG_STEPS)
    assert f"a training: {epochs} epochs, so that 100 images give 128 optimizer steps or more; then {long}, 640" in (
        done.stderr
    )
    assert f"training the baselines, {long} epochs each (2)" in done.stderr
    assert "drops: hyperparameter dropout = 0.2: declared by the program, not given" in done.stderr
    with read_folder(tmp_path / "run").open() as run:
        config = run.manifest["config"]
    assert isinstance(config, dict)
    assert (config["train"]["epochs"], config["rungs"]) == (long, [epochs, long])
    assert {c.program.hyperparameters.get("dropout") for c in open_run(tmp_path / "run").candidates if c.program}
    assert deltanas(*SEARCH, "--epochs", "auto").returncode == 0
    assert deltanas(*SEARCH, "--rungs", "auto").returncode == 0
    assert deltanas(*SEARCH, "--epochs", long).returncode == 0
    refused = deltanas(*SEARCH, "--epochs", epochs)
    assert refused.returncode == 2
    assert f"leave train.epochs out, or give it {long}" in refused.stderr
    refused = deltanas(*SEARCH, "--rungs", "off")
    assert f"begun with `rungs` = ({epochs}, {long}), not ()" in refused.stderr


def test_a_run_of_one_epoch_is_taken_up_and_lengthened_with_one(deltanas: Command, tmp_path: Path) -> None:
    assert deltanas(*SEARCH, "--baseline", "mlp", "--epochs", "1").returncode == 0
    longer = deltanas(*SEARCH, "--cycles", "2", "--epochs", "auto")
    assert longer.returncode == 0, longer.stderr
    with read_folder(tmp_path / "run").open() as run:
        config = run.manifest["config"]
    assert isinstance(config, dict)
    assert config["train"]["epochs"] == 1


def test_a_hyperparameter_is_given_to_a_search(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas(*SEARCH, "--baseline", "drops.py", "--prm", "dropout=0.5", "--epochs", "1")
    assert "not given" not in done.stderr
    assert {c.program.hyperparameters["dropout"] for c in open_run(tmp_path / "run").candidates if c.program} == {0.5}


def test_a_rehearsal_tells_the_epochs(deltanas: Command) -> None:
    epochs, long = settled_epochs(100, 32), settled_epochs(100, 32, LONG_STEPS)
    done = deltanas(*SEARCH, "--baseline", "mlp", "--dry-run")
    assert f"of a cycle: 1 trained for {epochs} epochs, 1 trained for {long} epochs" in done.stdout
    assert f"a training: {long} epochs on" in done.stdout
    done = deltanas(*SEARCH, "--baseline", "mlp", "--dry-run", "--rungs", "off")
    assert f"a training: {epochs} epochs on" in done.stdout
    assert "of a cycle" not in done.stdout
