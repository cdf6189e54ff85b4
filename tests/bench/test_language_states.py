"""States of a language model beside the forecast's features: what is read, what is kept, and what a ladder shows."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from benchmarks import language_states
from benchmarks.forecast import _ridge
from benchmarks.hidden import DEPTHS, Kept, Reader, collect, key_of, rounds, states_of, untrained
from benchmarks.language_states import centred, ladder, permuted
from benchmarks.ranking import Floats
from deltanas.errors import DataError, UsageError
from deltanas.forecast import Row, builtin
from deltanas.learn.sources import gains_edits
from deltanas.llm import Message, Model
from deltanas.llm.local import LocalModel

pytest_plugins = ["tiny_model"]

GAINS = Path(__file__).parents[2] / "benchmarks" / "gains"


def known(count: int = 24, signal: float = 1.0) -> tuple[list[Row], dict[str, Floats]]:
    """Edits of 6 families: gains follow the trained states, and no feature."""
    chance = np.random.default_rng(1)
    direction = chance.normal(size=8)
    rows, states = [], []
    for family in range(6):
        for _ in range(count):
            state = chance.normal(size=(len(DEPTHS), 8))
            gain = signal * 0.01 * float(state[1] @ direction) + 0.01 * chance.normal()
            features = {f"token:{chance.integers(4)}": 1, "kind:k": 1}
            rows.append(Row(f"f{family}", f"p{family}", "net", features, gain))
            states.append(state + 5 * family)
    trained = np.array(states)
    return rows, {"trained": trained, "random": chance.normal(size=trained.shape)}


def test_states_that_tell_gains_lift_the_ranking_and_their_controls_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_states, "PERMUTATIONS", 1)
    told = ladder(*known())
    gained = told["differences"]["states - features"]["rho"]
    assert gained["low"] > 0.4
    for control in ("permuted", "random"):
        assert abs(told["differences"][f"{control} - features"]["rho"]["value"]) < 0.2
        assert told["differences"][f"states - {control}"]["rho"]["low"] > 0.3
    assert told["rungs"]["alone"]["rho"]["value"] > 0.5
    assert {name.split(",")[0] for name in told["rungs"]["states"]["settings"]} == {"depth 1.0"}
    assert sum(told["rungs"]["states"]["settings"].values()) == len(told["rho_by_family"]) == 6


def test_too_few_families_are_told() -> None:
    rows, states = known(2)
    few = [row for row in rows if row.family in ("f0", "f1")]
    with pytest.raises(UsageError, match="states of 2 families are known, and 5 are needed") as caught:
        ladder(few, states)
    assert "--minutes" in caught.value.hint


def test_features_alone_are_ranked_as_the_forecast_ranks_them() -> None:
    rows = builtin().rows[:400]
    shipped, here = _ridge(rows[:300], rows[300:]), language_states._foretold(rows[:300], rows[300:])
    assert [one.mean for one in here] == pytest.approx([one.mean for one in shipped], abs=2e-6)


def test_a_state_is_compared_with_those_of_its_parent_alone() -> None:
    rows, states = known(4)
    table = centred(states["trained"], rows)
    mixed = permuted(table, rows, 0)
    for start in range(0, len(rows), 4):
        assert table[start : start + 4].mean(0) == pytest.approx(0, abs=1e-9)
        assert sorted(mixed[start : start + 4].ravel()) == sorted(table[start : start + 4].ravel())
    assert (mixed != table).any()


@pytest.fixture(scope="module")
def reader(tiny_folder: Path) -> Reader:
    return Reader(f"path:{tiny_folder}")


def test_states_of_answers_side_by_side_are_those_of_each_text_alone(tiny: Model) -> None:
    model = cast("LocalModel", tiny)
    rows = [model.row((Message("user", "a parent"),), edit) for edit in ("one edit", "one more", "x")]
    found = states_of(model.network, rows, together=2)
    assert found == pytest.approx(states_of(model.network, rows, together=1), abs=1e-4)
    for row, states in zip(rows, found, strict=True):
        with torch.inference_mode():
            hidden = model.network(torch.tensor([row.tokens]), output_hidden_states=True).hidden_states
        assert row.tokens[-1] == model._end[0]
        for state, layer in zip(states, (hidden[1], hidden[2]), strict=True):
            assert state == pytest.approx(layer[0, row.begin : -1].mean(0).numpy(), abs=1e-4)


def test_edits_are_asked_for_as_a_search_asks_and_nothing_is_worked_out_twice(reader: Reader, tmp_path: Path) -> None:
    edits = [edit for edit in gains_edits(GAINS) if edit.family == "mlp"][:5]
    lessons = [one for one in reader.lessons(edits) if one]
    alone = [reader.lessons([edit])[0] for edit in edits]
    assert lessons == alone, "what edits of a parent share is written once"
    networks = {"trained": reader.model.network, "random": untrained(reader.model.network, 1)}

    def kept() -> dict[str, Kept]:
        return {name: Kept(tmp_path / "new" / f"{name}.npz") for name in networks}

    collect(reader.model, networks, kept(), [lessons[:2]])
    first = kept()
    assert [set(one.states) for one in first.values()] == [{key_of(one) for one in lessons[:2]}] * 2
    before = {name: dict(one.states) for name, one in first.items()}
    collect(reader.model, networks, first, [lessons], minutes=0)
    assert len(first["trained"].states) == 2, "no minute is left"
    collect(reader.model, networks, first, [[one] for one in lessons])
    for name, one in kept().items():
        assert len(one.states) == 5
        assert one.seconds >= first[name].seconds > 0
        assert all((one.states[key] == table).all() for key, table in before[name].items())
    key = key_of(lessons[0])
    assert not np.allclose(first["trained"].states[key], first["random"].states[key], atol=0.01)
    rows = [reader.model.row(lessons[0].messages, lessons[0].completion)]
    assert (states_of(untrained(reader.model.network, 1), rows) == first["random"].states[key]).all()


def test_turns_go_over_families_evenly() -> None:
    edits = gains_edits(GAINS)
    turns = rounds(edits)
    families = [{edits[place].family for place in turn} for turn in turns]
    assert all(len({edits[place].source for place in turn}) == 1 for turn in turns)
    assert len(set().union(*families[:17])) == 17
    assert len(set().union(*families[17:34])) == 17
    assert sorted(place for turn in turns for place in turn) == list(range(len(edits)))


def test_a_model_behind_a_server_and_a_file_that_holds_no_states_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no hidden states") as asked:
        Reader("openai:http://127.0.0.1:9/v1#m")
    assert "path:DIR" in asked.value.hint
    file = tmp_path / "trained.npz"
    file.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match="holds no states") as caught:
        Kept(file)
    command = caught.value.hint.split("`")[1]
    subprocess.run(shlex.split(command), check=True, cwd=tmp_path)
    assert Kept(file).states == {}
    assert len(list(tmp_path.iterdir())) == 1, "nothing is lost"
