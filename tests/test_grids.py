"""From settings to a grid: what can't be one is told before anything is trained, and no table is touched by another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from deltanas.cli.grid import run, told_time
from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.grid import Cell, Clock, Row, keys_of, known_rows
from deltanas.nets import baselines
from deltanas.program import Program
from deltanas.program.recipes import decay_of
from deltanas.trainings import Recipe
from deltanas.wiring import builtin_programs
from deltanas.wiring.grids import GridOrder, GridParts, Injection, grid_of, grid_parts, open_grid

SMALL: dict[str, Any] = {"baselines": ["mlp"], "train": {"size": 200, "epochs": 1}}
ORDER = GridOrder(losses=("ce",), optimizers=("sgd", "adam"), seeds=2, rates=2)


def parts_of(order: GridOrder = ORDER, **given: Any) -> GridParts:
    return grid_parts(read_config({**SMALL, **given}), order)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (GridOrder(losses=("mse",)), "no loss 'mse'\n  known: ce, nll, ngl"),
        (GridOrder(optimizers=("lion",)), "no optimizer 'lion'\n  known: sgd, adam"),
        (GridOrder(arm="free"), "no arm 'free'\n  known: fixed, tuned, both"),
        (GridOrder(arm="fixed", rates=3), "--rates is for the tuned arm"),
        (GridOrder(ngl_scale=1.0), "no other scale"),
        (GridOrder(ngl_scale=float("nan")), "no other scale"),
        (GridOrder(ngl_scale=-1.0), "no other scale"),
        (GridOrder(ngl_scale=12.3, losses=("ce",)), "--ngl-scale is for NGL under SGD"),
        (GridOrder(datasets=("no-such",)), "no-such"),
    ],
)
def test_what_can_not_be_a_grid(order: GridOrder, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parts_of(order)
    assert says in str(caught.value)


def test_pairs_of_images_have_no_loss_of_classification() -> None:
    with pytest.raises(UsageError, match="photos holds pairs of images") as caught:
        parts_of(GridOrder(datasets=("photos",)), train={"size": 20})
    assert "deltanas datasets list" in caught.value.hint


def test_two_networks_of_one_name(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "net.py").write_text(f"x = '{place}'\n")
    with pytest.raises(UsageError, match="two baselines that differ have one name, net"):
        parts_of(baselines=[str(tmp_path / place / "net.py") for place in ("a", "b")])


def test_a_network_that_does_not_train_is_named_and_no_row_is_written(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(baselines()["mlp"].replace("self.head(x)", "self.heed(x)"))
    parts = parts_of(baselines=["mlp", str(tmp_path / "bad.py")])
    with (
        pytest.raises(UsageError, match=r"the network bad can't be trained on digits: .*heed"),
        open_grid(parts, tmp_path / "t.jsonl"),
    ):
        pass
    assert not (tmp_path / "t.jsonl").read_bytes()


@pytest.mark.parametrize("text", ["def f(:\n", f"x = {'+'.join(['1'] * 5000)}"], ids=["broken", "deep"])
def test_a_network_that_is_no_program_is_named_before_data_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UsageError, match=r"the network bad can't be trained: ") as caught:
        parts_of(replace(ORDER, datasets=("no-such",)), baselines=["mlp", str(tmp_path / "bad.py")])
    assert "without this one" in caught.value.hint


def test_a_grid_scores_the_last_weights_as_the_published_tables_do() -> None:
    usual, asked = parts_of(), parts_of(train={"average": 0.5, "validation_size": 100})
    assert [len(each.data["digits"].validation) for each in (usual, asked)] == [360, 100]
    assert usual.train["digits"].average == 0
    assert "average" not in usual.description["train"]
    assert asked.train["digits"].average == asked.description["train"]["average"] == 0.5


def test_the_natural_scale_is_a_recipe_beside_ngl_under_sgd() -> None:
    grid = grid_of(("mlp",), GridOrder(losses=("ce", "ngl"), optimizers=("sgd", "adam"), ngl_scale=12.3), 0)
    assert list(map(str, grid.recipes)) == ["ce + sgd", "ce + adam", "ngl + sgd", "ngl x 12.3 + sgd", "ngl + adam"]
    assert len(grid_of(("mlp",), GridOrder(), 0).recipes) == 18


def test_a_recipe_is_all_that_changes_and_torchs_defaults_stand_for_the_rest() -> None:
    inject = Injection(builtin_programs({}))

    def lines(loss: str, optimizer: str, scale: float = 1.0) -> list[str]:
        program = inject(Cell("mlp", "digits", Recipe(loss, optimizer, scale), "fixed", "score", 0.01, 1))
        assert isinstance(program, Program)
        assert program.parents == (builtin_programs({})["mlp"].id,)
        return [line for line in program.net.splitlines() if line.strip().startswith("self.optimizer = ")]

    assert lines("ce", "adam") == ["        self.optimizer = torch.optim.Adam(self.parameters(), lr=0.01)"]
    assert lines("ngl", "sgd", 12.3) == [
        "        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)"
    ]
    assert lines("nll", "adagrad") == ["        self.optimizer = torch.optim.Adagrad(self.parameters(), lr=0.01)"]
    assert lines("ce", "adadelta") == ["        self.optimizer = torch.optim.Adadelta(self.parameters(), lr=0.01)"]


def test_one_decay_for_all_optimizers_or_torchs_own() -> None:
    usual, same = parts_of(), parts_of(replace(ORDER, decay=0.01))

    def decays(parts: GridParts) -> list[float | None]:
        made = [parts.inject.of("mlp", Recipe("ce", name), 0.1) for name in ("sgd", "adam", "adamw", "adadelta")]
        return [decay_of(program.net) for program in made if isinstance(program, Program)]

    assert decays(usual) == [0, 0, 0.01, 0]
    assert decays(same) == [0.01] * 4
    assert "weight decay: sgd 0, adam 0" in list(usual.said())
    assert "weight decay: sgd 0.01, adam 0.01" in list(same.said())
    adamw = same.inject.of("mlp", Recipe("ce", "adamw"), 0.1)
    assert isinstance(adamw, Program)
    assert "weight_decay" not in adamw.net, "it is what AdamW does by itself"
    with pytest.raises(UsageError, match="--decay -1 is no number from 0 on"):
        grid_of(("mlp",), replace(ORDER, decay=-1.0), 0)


def test_a_recipe_that_does_not_fit_is_a_reason() -> None:
    net = baselines()["mlp"].replace("nn.CrossEntropyLoss()", "nn.MSELoss()")
    inject = Injection({"net": Program.of(net)})
    reason = inject(Cell("net", "digits", Recipe("ngl", "sgd"), "fixed", "score", 0.01, 1))
    assert isinstance(reason, str)
    assert "MSELoss" in reason


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a grid of two trainings, of which none learns much."""
    path = tmp_path_factory.mktemp("grid") / "t.jsonl"
    with open_grid(parts_of(), path) as opened:
        assert not opened.run.run(0)
    return path


@pytest.mark.parametrize(
    ("order", "given", "says"),
    [
        ({}, {"train": {"size": 100, "epochs": 1}}, "`train.size` was 200, and is 100"),
        ({}, {"train": {"size": 200, "epochs": 2}}, "`datasets.digits.epochs` was 1, and is 2"),
        ({}, {"prm": {"batch": 16}}, "`prm.batch` was 32, and is 16.0"),
        ({}, {"seed": 1}, "`seeds.mlp` has"),
        ({}, {"baselines": ["nin"]}, "it has `networks.mlp.program`, which this command leaves out"),
        ({"rates": 3}, {}, "`arms.tuned.rates.sgd` was"),
        ({"seeds": 1}, {}, "`seeds.mlp` has"),
        ({"optimizers": ("sgd",)}, {}, "`recipes` has ce \\+ adam"),
    ],
)
def test_a_table_of_another_grid_is_not_touched(
    table: Path, order: Mapping[str, Any], given: Mapping[str, Any], says: str
) -> None:
    whole = table.read_bytes()
    parts = parts_of(replace(ORDER, **order), **given)
    with pytest.raises(UsageError, match=f"holds another grid: {says}"), open_grid(parts, table):
        pass
    assert table.read_bytes() == whole


def test_a_grid_may_grow_and_the_machine_may_change(table: Path) -> None:
    order = GridOrder(losses=("ce", "ngl"), optimizers=("sgd", "adam", "adadelta"), seeds=3, rates=2, ngl_scale=12.3)
    parts = parts_of(order, baselines=["mlp", "nin"], train={"size": 200, "epochs": 1, "workers": 1, "unsafe": True})
    assert len(known_rows(table, parts.description, keys_of(parts.grid))[0]) == 1


def test_several_data_sets_each_have_their_pool(tmp_path: Path) -> None:
    y = np.arange(90) % 3
    x = (np.random.default_rng(0).integers(0, 100, (90, 6, 6)) + 70 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    own = f"npz:{tmp_path / 'own.npz'}"
    order = GridOrder(("digits", own), ("ce",), ("adam",), seeds=2, arm="fixed")
    parts, told = parts_of(order, train={"epochs": 1, "timeout": 60}), list[Row]()
    with open_grid(parts, tmp_path / "t.jsonl") as opened:
        opened.tell.append(told.append)
        assert opened.run.run()
        rows = list(opened.rows.values())
    assert [row["dataset"] for row in rows] == ["digits", own] * 2, "seed by seed, both data sets"
    assert told == rows
    assert {(row["dataset"], row["n"], row["failure"]) for row in rows} == {
        ("digits", 360, None),
        (own, len(parts.data[own].validation), None),
    }
    assert rows[1]["chance"] == pytest.approx(1 / 3, abs=0.03)


def test_a_dry_run_says_what_is_missing_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(run)

    def dry(*options: str, out: str = "t.jsonl") -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            app(["--out", out, "--dry-run", "--json", *options])
        return int(str(ended.value.code)), json.loads(capsys.readouterr().out)

    status, found = dry("--ngl-scale", "12.3")
    assert (status, found["lacks"]) == (0, [])
    assert found["counts"]["trainings tuned, to choose the rate"] == 17 * 19 * 5
    assert found["counts"]["rows that the table holds"] == 0
    assert "scores are of the validation split; the test split is not looked at" in found["does"]
    assert any("ngl x 12.3 + sgd" in line for line in found["does"])
    status, found = dry("--dataset", "folder:nowhere")
    assert status == 1
    assert "nowhere" in found["lacks"][0]["message"]
    status, found = dry(out="t.csv")
    assert status == 1
    assert found["lacks"][0]["hint"] == "give --out t.jsonl"
    status, found = dry(out=".")
    assert status == 1
    assert found["lacks"][0]["hint"] == "give --out grid.jsonl"
    status, found = dry("--prm", "lr=0.02")
    assert status == 1
    assert "--prm lr=0.02 would do nothing" in found["lacks"][0]["message"]
    with pytest.raises(UsageError, match="is a folder"):
        app(["--out", ".", "--dataset", "folder:nowhere"], standalone_mode=False)
    assert not list(tmp_path.iterdir())


def test_the_time_left_goes_by_what_each_network_costs() -> None:
    def row(network: str, seconds: float, seed: int = 0) -> Row:
        known: Any = {"dataset": "digits", "network": network, "program": network, "seed": seed, "seconds": seconds}
        return known  # type: ignore[no-any-return]

    keys: Any = [("slow", "digits"), ("slow", "digits"), *[("quick", "digits")] * 5]
    clock = Clock(keys, [row("slow", 8.0)])
    for seed in range(5):
        assert clock.left() is None
        clock.wrote(row("quick", 2.0, seed))
    clock._began -= 5.0
    left = clock.left()
    assert left == pytest.approx(2 * 8 / 2, rel=0.1), "two trainings at a time: ten seconds of training in five"
    assert (told_time(12.3), told_time(600), told_time(7_200)) == ("12 s", "10 min", "2 h 0 min")
