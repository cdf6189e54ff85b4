"""Losses and optimizers whose effects are known: comparisons, verdicts, and what is said where data is lacking."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from deltanas.errors import DataError
from deltanas.intervals import Estimate, wilson
from deltanas.study import RecipeStudy, recipe_study, recipes_as_json, recipes_described
from deltanas.trainings import read_grid
from study.recipe_tables import OPTIMIZERS, Row, failed, rows_of, written
from support import Command

HOLDS, NOT, UNKNOWN = "holds", "does not hold", "can't be told from this table"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of()


@pytest.fixture(scope="module")
def told(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = written(tmp_path_factory.mktemp("tables") / "table.jsonl", rows)
    return plain_of(recipe_study(read_grid(path)))


def plain_of(study: RecipeStudy) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(recipes_as_json(study), allow_nan=False))
    return found


def studied(folder: Path, rows: list[Row]) -> dict[str, Any]:
    return plain_of(recipe_study(read_grid(written(folder / "table.jsonl", rows))))


def verdict_of(told: dict[str, Any], name: str, arm: str) -> str:
    (found,) = (one["verdict"] for one in told["verdicts"] if (one["name"], one["arm"]) == (name, arm))
    return str(found)


def test_the_verdicts_are_those_that_were_built_in(told: dict[str, Any]) -> None:
    """NGL is as good as cross-entropy but under SGD, so no one combination is the most robust."""
    expected = {
        "ce_adam_robust": (UNKNOWN, UNKNOWN),
        "ngl_sgd_bad": (HOLDS, HOLDS),
        "ngl_sgd_is_scale": (HOLDS, HOLDS),
        "ngl_adaptive": (HOLDS, HOLDS),
        "adadelta_bad": (HOLDS, UNKNOWN),
        "adagrad_bad": (HOLDS, HOLDS),
        "adam_is_adamw": (HOLDS, HOLDS),
        "itself": (HOLDS, HOLDS),
        "ce_is_nll": (HOLDS, HOLDS),
    }
    for name, verdicts in expected.items():
        assert tuple(verdict_of(told, name, arm) for arm in ("fixed", "tuned")) == verdicts, name
    assert verdict_of(told, "adadelta_climbs", "both") == HOLDS
    for one in told["verdicts"]:
        assert one["estimate"]["low"] <= one["estimate"]["value"] <= one["estimate"]["high"]
        assert one["why"]


def test_the_effects_are_found(told: dict[str, Any]) -> None:
    def pair(first: str, second: str, within: str) -> dict[str, Any]:
        keys = {"arm": "fixed", "within": within, "first": first, "second": second}
        (found,) = (one for one in told["pairs"] if all(one[key] == value for key, value in keys.items()))
        return dict(found)

    adadelta = pair("adadelta", "adam", "ce")
    assert adadelta["difference"]["low"] < -0.29 < adadelta["difference"]["high"] + 0.01
    assert adadelta["rank_biserial"]["value"] == -1
    assert adadelta["p_holm"] < 0.001 < 0.9 < adadelta["bayes"]["worse"]
    twins = pair("ce", "nll", "adam")
    assert (twins["p"], twins["difference"]) == (1.0, {"value": 0.0, "low": 0.0, "high": 0.0})
    assert twins["bayes"]["equivalent"] == 1
    ranks = {one["name"]: one for one in told["ranks"] if (one["arm"], one["within"]) == ("fixed", "ce")}
    assert set(ranks) == set(OPTIMIZERS)
    assert ranks["adadelta"]["mean_rank"] == 6
    assert all(0 < one["accuracy"]["low"] < one["accuracy"]["high"] for one in ranks.values())


def test_six_optimizers_and_three_losses_are_compared_and_not_all_at_once(told: dict[str, Any]) -> None:
    assert {one["treatments"] for one in told["friedman"]} == {6, 3}
    assert len(told["friedman"]) == 2 * (3 + 6)
    assert {round(one["critical_difference"], 2) for one in told["friedman"]} == {1.83, 0.8}


def test_shares_sum_to_one_and_name_the_optimizer(told: dict[str, Any]) -> None:
    for one in told["shares"]:
        assert sum(share["value"] for share in one["shares"].values()) == pytest.approx(1)
    fixed = told["shares"][0]["shares"]
    assert fixed["optimizer"]["value"] > 0.5 > fixed["seed"]["high"]


def test_scatter_of_one_network_alone_gives_no_shares(tmp_path: Path) -> None:
    rows = rows_of(networks=5, seeds=2, arms=("fixed",))
    flat = [row if row["network"] == "net0" else {**row, "score": 0.5} for row in rows]
    (told,) = studied(tmp_path, flat)["shares"]
    assert "the scatter is that of one network alone" in told["why"]


def test_the_curve_of_the_rates_has_its_top_in_the_middle(told: dict[str, Any]) -> None:
    assert len(told["sensitivity"]) == 19
    for curve in told["sensitivity"]:
        scores = [point["score"]["value"] for point in curve["points"]]
        assert scores.index(max(scores)) == 2
        assert curve["best_at_edge"]["value"] == 0


def test_claims_that_are_false_do_not_hold(tmp_path: Path, rows: list[Row]) -> None:
    turned = []
    for row in (row for row in rows if row["arm"] == "fixed"):
        cost = {"adam": 0.1, "ce": 0.0}.get(row["optimizer"], 0.0) if row["loss"] == "ce" else 0.0
        lift = 0.2 if (row["loss"], row["optimizer"], row["scale"]) == ("ngl", "sgd", 1.0) else 0.0
        turned.append({**row, "score": row["score"] - cost + lift})
    told = studied(tmp_path, turned)
    for name in ("ngl_sgd_bad", "ce_adam_robust", "adam_is_adamw", "ce_is_nll"):
        assert verdict_of(told, name, "fixed") == NOT, name
    assert verdict_of(told, "ngl_sgd_is_scale", "fixed") == UNKNOWN


def test_a_seed_that_moves_all_networks_alike_shows_in_a_combination_against_itself(tmp_path: Path) -> None:
    rows = [row for row in rows_of(arms=("fixed",), shared=0.01) if row["loss"] == "ce"]
    told = studied(tmp_path, rows)
    (found,) = (one for one in told["verdicts"] if one["name"] == "itself")
    assert found["verdict"] == NOT
    assert found["estimate"]["low"] > 0.3
    assert float(found["why"].rpartition("its own ")[2].removesuffix(" %")) < 7


def test_a_failure_ranks_last_and_is_left_out_once_more(tmp_path: Path, rows: list[Row]) -> None:
    def fails(row: Row) -> bool:
        keys = ("arm", "phase", "loss", "optimizer")
        return tuple(row[key] for key in keys) == ("fixed", "score", "ce", "adam") and row["network"] < "net13"

    table = [failed(row) if fails(row) else row for row in rows if row["arm"] == "fixed" and row["loss"] == "ce"]
    told = studied(tmp_path, table)
    ranks = {
        one["failures"]: one
        for one in told["ranks"]
        if (one["arm"], one["within"], one["name"]) == ("fixed", "ce", "adam")
    }
    assert ranks["last"]["mean_rank"] > ranks["left out"]["mean_rank"] + 1
    assert ranks["last"]["failed"] == sum(map(fails, rows)) > 0
    tests = {one["failures"]: one for one in told["friedman"] if (one["arm"], one["within"]) == ("fixed", "ce")}
    assert tests["last"]["blocks"] == 17
    assert tests["left out"]["incomplete"] == 17 - tests["left out"]["blocks"] > 0
    (share,) = (one for one in told["failures"] if one["failed"])
    assert share["share"]["low"] < share["failed"] / share["trained"] < share["share"]["high"]


def test_the_share_of_failures_is_as_sure_as_the_networks_are_many(tmp_path: Path, rows: list[Row]) -> None:
    """Trainings of one network that all fail tell no more than one of them."""

    def share(few: Callable[[Row], bool], datasets: tuple[str, ...] = ("digits",)) -> Estimate:
        base = [row for row in rows if row["arm"] == "fixed" and (row["loss"], row["optimizer"]) == ("ce", "adam")]
        table = [{**(failed(row) if few(row) else row), "dataset": name} for name in datasets for row in base]
        (found,) = studied(tmp_path, table)["failures"]
        return Estimate(**found["share"])

    whole = share(lambda row: row["network"] in ("net1", "net2", "net3"))
    for name in ("value", "low", "high"):
        assert getattr(whole, name) == pytest.approx(getattr(wilson(3, 17), name))
    assert share(lambda row: False) == wilson(0, 17)
    assert share(lambda row: row["seed"] == 0) == wilson(17, 85)
    assert share(lambda row: row["network"] == "net1", ("digits", "other")).low == pytest.approx(wilson(1, 17).low)


def test_equal_scores_share_their_rank_in_the_verdict_on_ranks_too(tmp_path: Path) -> None:
    """The mean of the same scores in another order differs by what the sum rounds."""
    scores = {"adadelta": (0.1, 0.2, 0.3), "adam": (0.3, 0.2, 0.1), "adagrad": (0.1, 0.1, 0.1), "sgd": (0.9, 0.9, 0.9)}
    table = [
        {"network": f"net{n}", "dataset": "digits", "loss": "ce", "optimizer": name, "arm": arm, "phase": "score"}
        | {"rate": 0.01, "seed": seed, "score": score}
        for n, arm in product(range(4), ("fixed", "tuned"))
        for name, found in scores.items()
        for seed, score in enumerate(found)
    ]
    told = studied(tmp_path, table)
    (why,) = (one["why"] for one in told["verdicts"] if one["name"] == "adadelta_climbs")
    assert "mean rank 2.50 of 4" in why


def test_a_recipe_that_could_not_be_put_in_is_a_gap_and_no_failure(tmp_path: Path, rows: list[Row]) -> None:
    gone = [
        {**row, "score": None, "failure": "inject: no constructor call"}
        if (row["network"], row["loss"], row["optimizer"]) == ("net1", "ce", "sgd")
        else row
        for row in rows
        if row["arm"] == "fixed" and row["loss"] == "ce"
    ]
    told = studied(tmp_path, gone)
    assert all(one["failed"] == 0 for one in told["failures"])
    assert any("could not be put into the network" in note for note in told["notes"])
    untold = [{**row, "decay": None} if row["failure"] else row for row in gone]
    assert studied(tmp_path, untold)["notes"] == told["notes"]
    assert [(one["within"], one["incomplete"]) for one in told["friedman"]] == [("ce", 1)]


def test_one_network_is_said_to_be_too_few(tmp_path: Path) -> None:
    told = studied(tmp_path, rows_of(networks=1))
    assert all(one["p"] is None and "1 network holds all" in one["why"] for one in told["friedman"])
    assert {one["verdict"] for one in told["verdicts"] if one["name"] != "ce_is_nll"} == {UNKNOWN}
    assert told["pairs"] == []
    assert all("why" in one for one in told["shares"])


def test_a_table_without_scores_or_with_half_its_rows(tmp_path: Path, rows: list[Row]) -> None:
    tuning = [row for row in rows if row["phase"] == "tune"]
    told = studied(tmp_path, tuning)
    assert told["notes"] == ["no row is of phase `score`, so there is nothing to compare yet"]
    assert told["verdicts"] == []
    assert len(told["sensitivity"]) == 19
    fixed = [row for row in rows if row["arm"] == "fixed" and row["loss"] == "ce"]
    half = studied(tmp_path, fixed[: len(fixed) // 2 + 7])
    assert any("were not trained" in note for note in half["notes"])
    fewer = [row for row in fixed if (row["optimizer"], row["network"], row["seed"]) != ("sgd", "net1", 4)]
    (note,) = studied(tmp_path, fewer)["notes"]
    assert "1 pair of a network and a recipe has fewer seeds than the 5 of others" in note


def test_trainings_that_failed_by_both_losses_are_no_equal_pairs(tmp_path: Path) -> None:
    rows = [row for row in rows_of(networks=4, seeds=2, arms=("fixed",)) if row["optimizer"] == "sgd"]
    alike = [row for row in rows if row["loss"] in ("ce", "nll")]
    (told,) = [one for one in studied(tmp_path, list(map(failed, alike)))["verdicts"] if one["name"] == "ce_is_nll"]
    assert told["verdict"] == UNKNOWN
    assert "one of which has a score" in told["why"]
    some = [failed(row) if row["network"] == "net0" else row for row in alike]
    (told,) = [one for one in studied(tmp_path, some)["verdicts"] if one["name"] == "ce_is_nll"]
    assert "6 of 6 pairs of trainings have equal scores" in told["why"]
    one = [failed(row) if row["network"] == "net0" and row["loss"] == "ce" else row for row in alike]
    (told,) = [one for one in studied(tmp_path, one)["verdicts"] if one["name"] == "ce_is_nll"]
    assert "6 of 8 pairs of trainings have equal scores" in told["why"]
    apart = [failed(row) if (row["loss"] == "ce") == (row["seed"] == 0) else row for row in alike]
    (told,) = [one for one in studied(tmp_path, apart)["verdicts"] if one["name"] == "ce_is_nll"]
    assert told["why"] == "0 of 8 pairs of trainings have equal scores"


def test_arms_that_share_no_network_are_not_compared(tmp_path: Path) -> None:
    rows = rows_of(networks=6, seeds=2)
    apart = [row for row in rows if (row["arm"] == "fixed") == (row["network"] in ("net0", "net1", "net2"))]
    (told,) = [one for one in studied(tmp_path, apart)["verdicts"] if one["name"] == "adadelta_climbs"]
    assert (told["verdict"], told["why"][:11]) == (UNKNOWN, "0 networks ")


def test_a_network_on_several_data_sets_counts_once(tmp_path: Path) -> None:
    """The same rows on a second data set tell nothing new: figures and intervals stay."""
    rows = rows_of(networks=6, seeds=4)
    both = [*rows, *({**row, "dataset": "other"} for row in rows)]
    one, two = (studied(tmp_path, table) for table in (rows, both))
    (note,) = two["notes"]
    assert "counts once" in note
    for key in ("verdicts", "pairs", "friedman"):
        assert two[key] == one[key] or key == "verdicts"
    for mine, theirs in zip(one["verdicts"], two["verdicts"], strict=True):
        if mine["name"] != "ce_is_nll":  # of trainings: there are twice as many
            assert theirs == mine
    assert [rank["mean_rank"] for rank in two["ranks"]] == [rank["mean_rank"] for rank in one["ranks"]]


def test_of_several_data_sets_those_count_that_hold_what_is_compared(tmp_path: Path) -> None:
    """A recipe that a second data set lacks is not compared with scores on the first alone."""
    rows = [row for row in rows_of(networks=6, seeds=2, arms=("fixed",)) if row["loss"] == "ce"]
    easier = [{**row, "dataset": "other", "score": min(1.0, row["score"] + 0.1)} for row in rows]
    lacking = [row for row in easier if row["optimizer"] != "sgd"]
    whole, less = (studied(tmp_path, table) for table in (rows, [*rows, *lacking]))
    pairs = [{(one["first"], one["second"]): one["difference"] for one in told["pairs"]} for told in (whole, less)]
    assert all(pairs[1][key] == value for key, value in pairs[0].items() if "sgd" in key)
    assert less["friedman"] == whole["friedman"]


def test_a_comparison_of_optimizers_says_where_it_is_one_of_decays(tmp_path: Path) -> None:
    rows = rows_of(networks=4, seeds=2, arms=("fixed",))
    theirs = [{**row, "decay": 0.01 if row["optimizer"] == "adamw" else 0.0} for row in rows]
    told = studied(tmp_path, theirs)
    assert "adadelta 0, adagrad 0, adam 0, adamw 0.01, rmsprop 0, sgd 0" in told["notes"][0]
    assert told["table"]["decays"]["adamw"] == 0.01
    assert "compares optimizer and decay together" in _why(told)
    alike = studied(tmp_path, rows)
    assert alike["notes"] == []
    assert "decay" not in _why(alike)
    untold = studied(tmp_path, [{key: value for key, value in row.items() if key != "decay"} for row in rows])
    assert "torch's default is 0.01 for adamw" in untold["notes"][0]
    assert untold["table"]["decays"]["adamw"] is None
    mixed = [*theirs, *({**row, "seed": row["seed"] + 10} for row in rows if row["optimizer"] == "adamw")]
    with pytest.raises(DataError, match="two protocols in one table, `decay` of"):
        read_grid(written(tmp_path / "mixed.jsonl", mixed))


def _why(told: dict[str, Any]) -> str:
    return next(str(one["why"]) for one in told["verdicts"] if one["name"] == "adam_is_adamw")


def test_too_few_blocks_for_holm_s_correction_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "t", rows_of(networks=7, seeds=2, arms=("fixed",)))
    words = recipes_described(recipe_study(read_grid(path)))
    assert "15 of them need 10 networks" in words
    assert "3 of them need 7 networks" not in words


def test_the_command_prints_words_or_json(tmp_path: Path, rows: list[Row], deltanas: Command) -> None:
    fixed = [{**row, "epochs": 1} for row in rows if row["arm"] == "fixed" and row["optimizer"] != "rmsprop"]
    path = written(tmp_path / "table.jsonl", fixed)
    words = deltanas("study", "recipes", str(path), "--loss", "ce", "--loss", "ngl")
    assert "NGL is bad under SGD: holds" in words.stdout
    assert "critical difference 1.48 of 4 ranks" in words.stdout
    assert "`epochs`" in words.stderr
    plain = json.loads(deltanas("study", "recipes", str(path), "--json", "--arm", "fixed").stdout)
    assert {"ranks", "friedman", "pairs", "verdicts"} <= plain.keys()
