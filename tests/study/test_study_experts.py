"""Mixtures of a run: known effects are found, even draws pass and the published enumeration does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations, islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from deltanas.errors import UsageError
from deltanas.export.gates import gates_in
from deltanas.export.safetensors import safetensors_bytes
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.propose.quartets import Groups
from deltanas.records import Attempt, Candidate, Draft
from deltanas.sandbox import Weight
from deltanas.study import LackingError, coverage, experts_described, experts_study, plain
from deltanas.study.estimate import Absent

NAMES = [f"net{place}" for place in range(9)]
PROGRAMS = {name: Program.of(f"{name} = 1\nclass Net: ...\n") for name in NAMES}
SINGLES = {name: 0.70 + 0.01 * place for place, name in enumerate(NAMES)}


def quartets(seed: int, count: int, pool: int = 17) -> list[tuple[int, ...]]:
    groups = Groups(pool, 4, lambda place: Random(f"{seed}:{place}"))
    return [group for place in range(count) if (group := groups.at(place))]


def test_the_test_of_coverage_holds_its_level_and_rejects_the_published_enumeration() -> None:
    even = coverage(quartets(1, 96), 17)
    assert (even.groups, even.repeats, even.families.missing, even.pairs.missing) == (96, 0, 0, 0)
    assert even.families.p > 0.05 < even.pairs.p
    assert even.pairs.most - even.pairs.least <= 3
    enumerated = coverage(list(islice(combinations(range(17), 4), 96)), 17)
    assert max(enumerated.families.p, enumerated.pairs.p) < 1e-10
    rng = np.random.default_rng(0)
    found = [coverage([rng.choice(17, 4, replace=False).tolist() for _ in range(96)], 17) for _ in range(400)]
    for ps in ([one.families.p for one in found], [one.pairs.p for one in found]):
        # 5 % of draws by chance are rejected; five deviations of 400 are 22.
        assert abs(sum(p < 0.05 for p in ps) - 20) <= 22
        assert abs(float(np.median(ps)) - 0.5) < 0.13
    assert [found[0].families.degrees, found[0].pairs.degrees] == [16, 135]


def test_coverage_of_pairs_alone_is_seen() -> None:
    """All families equally often, and the same quartets again and again."""
    again = coverage([(0, 1, 2, 3), (4, 5, 6, 7)] * 12, 8)
    assert again.families.p == pytest.approx(1.0)
    assert again.pairs.p < 1e-10
    assert again.repeats == 22


@pytest.mark.parametrize("groups", [[], [(0, 1), (0, 1, 2)], [(0, 1, 2, 3)]])
def test_coverage_that_can_not_be_told_is_lacking(groups: Sequence[Sequence[int]]) -> None:
    with pytest.raises(LackingError):
        coverage(groups, 4)


def candidates(count: int = 60, noise: float = 0.001) -> list[Candidate]:
    """Mixtures whose score is .75 + .02 for net3, + .02 where net1 and net2 meet; two are refused, one fails."""
    rng = Random(0)

    def trained(score: float, seconds: float) -> dict[str, object]:
        done = Trained(score, 1000, 0, seconds, seconds, "C", epochs=1)
        return {"outcome": done, "trainings": (done,)}

    rows = [
        Candidate(0, place, "baseline", None, Draft(PROGRAMS[name]), name=name, **trained(SINGLES[name], 2.0))  # type: ignore[arg-type]
        for place, name in enumerate(NAMES)
    ]
    for place, group in enumerate(quartets(0, count, len(NAMES))):
        names = sorted((NAMES[one] for one in group), key=lambda name: -SINGLES[name])
        score = 0.75 + 0.02 * ("net3" in names) + 0.02 * ({"net1", "net2"} <= set(names)) + rng.gauss(0, noise)
        program = Program.of(f"mixture = {place}\n", parents=tuple(PROGRAMS[name].id for name in names))
        attempt = Attempt("", "experts", " + ".join(sorted(names)), Refused("build", "too slow") if place < 2 else None)
        ended = trained(score, 9.0)
        if place < 2:
            ended = {"outcome": Refused("build", "too slow")}
        elif place == 2:
            ended = {"outcome": Failed("timeout", "300 s", 300, 300, "C")}
        rows.append(Candidate(1, place, "experts", program.parent, Draft(program), (attempt,), **ended))  # type: ignore[arg-type]
    return rows


def test_yield_gains_and_effects_are_those_that_were_put_in() -> None:
    found = experts_study(candidates())
    assert (found.mixtures, found.passed.value, found.trained.value) == (60, 58 / 60, 57 / 60)
    assert [fault for _, fault in found.faults] == [
        "refused (build): too slow",
        "refused (build): too slow",
        "failed (timeout): 300 s",
    ]
    assert found.cost == 4.5
    assert found.experts[0] == ("net8", SINGLES["net8"])
    assert not isinstance(found.families, Absent)
    assert not isinstance(found.pairs, Absent)
    best = found.pairs[0]
    assert set(best.experts) == {"net1", "net2"}
    assert best.effect.low < 0.02 < best.effect.high
    assert best.effect.low > 0.015
    families = {one.experts[0]: one.effect for one in found.families}
    assert families["net3"].value == max(one.value for name, one in families.items() if name not in ("net1", "net2"))
    assert families["net3"].low > 0
    assert sum(one.effect.value for one in found.families) == pytest.approx(0.0, abs=1e-9)
    assert not isinstance(found.over_single, Absent)
    done = [row.score for row in candidates() if row.cycle and row.score is not None]
    assert found.over_single.value == pytest.approx(float(np.mean(done)) - SINGLES["net8"])
    told = experts_described(found)
    assert "net1 + net2" in told
    assert "trained: 95.0% [" in told
    assert json.loads(json.dumps(plain(found)))["coverage"]["pairs"]["missing"] == 0


def test_a_baseline_that_was_refused_as_a_copy_takes_no_ones_place() -> None:
    (first, *others), copied = candidates(), Refused("novelty", "a copy of net0")
    copy = Candidate(0, len(NAMES), "baseline", None, Draft(PROGRAMS["net0"]), name="copy", outcome=copied)
    found = experts_study([first, *others[: len(NAMES) - 1], copy, *others[len(NAMES) - 1 :]])
    assert found == experts_study(candidates())


def test_a_baseline_that_can_not_be_joined_is_missed_in_no_mixture() -> None:
    done = Trained(0.9, 1000, 0, 2.0, 2.0, "C", epochs=1)
    star = Draft(Program.of("from math import *\nclass Net: ...\n"))
    rows = [*candidates(), Candidate(0, 9, "baseline", None, star, outcome=done, name="star", trainings=(done,))]
    found, without = experts_study(rows), experts_study(candidates())
    assert (found.apart, found.experts[0]) == (("star",), ("star", 0.9))
    assert (found.coverage, found.families, found.pairs) == (without.coverage, without.families, without.pairs)
    assert found.foreseen == without.foreseen
    told = experts_described(found)
    assert "60 mixtures of 9 trained baselines" in told
    assert "in no mixture, as they can't share a file with others: star" in told


def test_pairs_without_an_effect_are_clear_of_0_as_often_as_chance_has_it() -> None:
    found = experts_study(candidates(noise=0.5))
    assert not isinstance(found.pairs, Absent)
    assert found.clear <= 6  # of 36, 1.8 by chance


def test_what_is_foreseen_comes_of_the_other_mixtures_alone() -> None:
    found = experts_study(candidates()).foreseen
    assert not isinstance(found, Absent)
    assert found.rho.value > 0.5
    assert found.top == 0
    noise = experts_study(candidates(noise=0.5)).foreseen
    assert not isinstance(noise, Absent)
    assert noise.rho.low < 0.2


def test_few_mixtures_say_what_they_lack_and_none_how_to_make_some() -> None:
    few = experts_study(candidates(12))
    told = experts_described(few)
    assert "effects of 9 families take 14 trained mixtures, and there are 9" in told
    assert "foreseen: not computed" in told
    with pytest.raises(UsageError, match="holds no mixtures") as caught:
        experts_study(candidates()[: len(NAMES)])
    assert "--strategy experts" in caught.value.hint


def test_use_of_the_gate_is_read_from_weights_and_from_nothing_else(tmp_path: Path) -> None:
    use = np.array([[0.75, 0.25], [1.0, 0.0]], "<f4")
    weights = [Weight("fc", "F32", (1,), b"\0" * 4), Weight("gate.use", "F32", (2, 2), use.tobytes())]
    good = safetensors_bytes(weights, {})
    files = {
        "good": good,
        "short": good[:-4],
        "other": safetensors_bytes(weights[:1], {}),
        "large": (2**60).to_bytes(8, "little"),
        "empty": b"",
    }
    for name, data in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(data)
        (tmp_path / name / "net.py").write_text("# Expert 1: mlp\n\n# Expert 2: my net\n")
    (gate,) = gates_in(tmp_path)
    assert gate.network == "good"
    assert gate.experts == (("mlp", 0.75, 1.0), ("my net", 0.25, 0.0))
    assert "good: mlp 0.75 (100%), my net 0.25 (0%)" in experts_described(experts_study(candidates()), [gate])
