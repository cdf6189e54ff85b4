"""deltanas from Python: the same answers as on the command line, and a cheap import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import deltanas
from deltanas import nets
from deltanas.errors import UsageError
from deltanas.program import edits_of
from deltanas.propose import RandomProposer, Space
from deltanas.seams import Builds


def test_importing_it_loads_neither_torch_nor_a_database() -> None:
    code = "import sys, deltanas; print(sorted({'torch', 'sqlalchemy', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_the_commands_load_no_torch_before_they_need_it() -> None:
    code = "import sys, deltanas.cli; print({'torch', 'transformers', 'scipy', 'llguidance'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


def test_check_tells_what_is_wrong() -> None:
    verdict = deltanas.check(nets.baseline("mlp"), (1, 1, 8, 8), (10,))
    assert verdict.ok
    assert verdict.reasons == ()
    assert verdict.params == deltanas.check(nets.baseline("mlp"), (1, 8, 8), (10,)).params
    verdict = deltanas.check("class Net: pass", (1, 1, 8, 8), (10,))
    assert not verdict.ok
    assert "no function `supported_hyperparameters()`" in verdict.reasons
    with pytest.raises(UsageError, match="no shapes"):
        deltanas.check("", (8, 8), (10,))
    with pytest.raises(UsageError, match=r"takes 111,758,706\.7 GiB as floats, and a program may take \d+ GiB"):
        deltanas.check("", (3, 99_999_999, 99_999_999), (10,))


def test_evaluate_gives_the_accuracy_that_a_search_gives(tmp_path: Path) -> None:
    source = nets.baseline("mlp")
    result = deltanas.evaluate(source, dataset="digits", train_size=100, seed=4)
    assert result.status == "trained"
    config = {
        "strategy": "random", "cycles": 1, "candidates": 1, "seed": 4, "baselines": ["mlp"], "train": {"size": 100},
        "rungs": "off",
    }  # fmt: skip
    view = deltanas.search(config, run=tmp_path / "run")
    assert view.candidates[0].score == result.accuracy
    assert view.candidates[0].program is not None
    assert view.candidates[0].program.id == result.program
    assert deltanas.open_run(tmp_path / "run") == view


def test_a_strategy_of_ones_own_fills_the_slots(tmp_path: Path) -> None:
    class Activations(RandomProposer):
        strategy = "activations"

    def proposer(builds: Builds) -> Activations:
        return Activations(Space(builds, kinds=lambda _: lambda kinds: "activation" if "activation" in kinds else ""))

    config = {
        "strategy": "random", "cycles": 1, "candidates": 2, "baselines": ["mlp"], "train": {"size": 100},
        "rungs": "off",
    }  # fmt: skip
    view = deltanas.search(config, run=tmp_path / "run", proposer=proposer)
    made = [candidate for candidate in view.candidates if candidate.cycle]
    assert [candidate.strategy for candidate in made] == ["activations"] * 2
    kinds = {edit.text: edit.kind for edit in edits_of(nets.baseline("mlp"))}
    assert {kinds[candidate.attempts[-1].edit] for candidate in made} == {"activation"}
    assert deltanas.search(config, run=tmp_path / "run", proposer=proposer) == view


def test_apply_edit_and_its_error() -> None:
    edit = "<<<<<<< SEARCH\nb = 2\n=======\nb = 3\n>>>>>>> REPLACE\n"
    assert deltanas.apply_edit("a = 1\nb = 2\n", edit) == deltanas.AppliedEdit("a = 1\nb = 3\n", "exact")
    with pytest.raises(deltanas.EditError) as miss:
        deltanas.apply_edit("a = 1\nb = 22\n", edit)
    assert "b = 22" in miss.value.nearest
