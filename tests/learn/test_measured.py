"""Measured edits: their file, where they come from, how noisy they are, which are elites."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.errors import DataError, UsageError
from deltanas.learn.elites import EliteRule
from deltanas.learn.measured import MeasuredEdit, read_measured, write_measured
from deltanas.learn.near import lemur_edits
from deltanas.learn.noise import gain_noise, training_noise
from deltanas.learn.sources import gains_edits, own_edits
from deltanas.program import SPACES, Program, Refused, Trained, apply_edit, combined, edits_of, prm_text
from deltanas.program.transforms.space import REMOVE
from deltanas.program.trial import Experiment, Trial
from deltanas.records import Attempt, Candidate, Draft
from deltanas.task import DENOISE
from lemur_wheels import net
from support import block as edit
from toy_task import ERROR

A, B = (f"width = {value}\ndepth = 3\n" for value in (8, 9))


WIDER = MeasuredEdit("a", A, edit("width = 8", "width = 16"), gain=0.1, accuracy=0.6, noise=0.02, origin="here")


def trained(*accuracies: float, n: int = 100) -> tuple[Trained, ...]:
    return tuple(Trained(accuracy, n, seed, 1.0, 1.0, "A") for seed, accuracy in enumerate(accuracies))


def row(
    cycle: int, index: int, net: str, parent: Program | None, *accuracies: float, goal: str = "g", said: str = ""
) -> Candidate:
    attempt = Attempt(said, "exact", goal, None)
    program = parent.edited("net", net) if parent else Program.of(net)
    trainings = trained(*accuracies)
    outcome = combined(trainings) if accuracies else None
    parent_id, name = (parent.id, "") if parent else (None, goal)
    return Candidate(cycle, index, "delta", parent_id, Draft(program, 7), (attempt,), outcome, trainings, name)


def test_a_corpus_comes_back_from_its_file(tmp_path: Path) -> None:
    told = replace(WIDER, goal="Make it wider.", before=0.5, params=12, moved=-0.01, noise=None, origin="é")
    edits = [WIDER, told, replace(WIDER, source=B, edit=edit("depth = 3", "depth = 4"), family="b")]
    path = tmp_path / "deep" / "c.jsonl"
    assert write_measured(path, edits) == 3
    assert read_measured(path) == edits
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert ["source" in one for one in rows] == [True, False, True]
    assert rows[0]["parent"] == Program.of(A).id


def test_a_mark_of_byte_order_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    write_measured(path, [WIDER])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_measured(path) == [WIDER]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"family": "a", "edi', "cut short"),
        ("[1]", "not a JSON object"),
        ('{"family": "a", "edit": "x", "gain": 1}', "lacks accuracy"),
        ('{"family": "a", "edit": "x", "gain": "much", "accuracy": 1}', "`gain` is no number"),
        ('{"family": "a", "edit": "x", "gain": NaN, "accuracy": 1}', "`gain` is no number"),
        ('{"family": 3, "edit": "x", "gain": 1, "accuracy": 1}', "`family` is no text"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "params": "5"}', "`params` is no number"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "source": "", "prm": "lr"}', "`prm` is no JSON"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "source": "", "prm": "5"}', "`prm` is no JSON object"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "parent": "0f"}', "text of its parent 0f"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "parent": ["0f"]}', "text of its parent"),
        (
            '{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "prm": "{\\"lr\\": \\"x\\"}"}',
            "`prm` is no JSON object",
        ),
        ('{"family": "a", "edit": "x", "gain": 0, "accuracy": 1, "noise": -1}', "`noise` is -1"),
        ('{"family": "a", "edit": "x", "gain": 0, "accuracy": 1, "part": "bogus"}', "`part` is 'bogus'"),
        ('{"family": "a", "edit": "x", "accuracy": 1, "gain": 1' + "0" * 400 + "}", "`gain` is no number"),
        ('{"family": "a", "edit": "x", "gain": 1, "accuracy": 1, "goal": "\\ud800"}', "`goal` is no text"),
        ("[" * 200_000, "not JSON"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "c.jsonl"
    write_measured(path, [WIDER])
    path.write_text(path.read_text() + line)
    with pytest.raises(DataError, match=f"c.jsonl, line 2: .*{said}"):
        read_measured(path)
    with pytest.raises(UsageError, match="no corpus"):
        read_measured(tmp_path / "none.jsonl")


def test_what_a_search_measured() -> None:
    base = row(0, 0, A, None, 0.5, 0.52, goal="base")
    assert base.program
    said = edit("width = 8", "width = 16")
    better = row(1, 0, apply_edit(A, said).source, base.program, 0.6, 0.64, goal="wider", said=said)
    whole = row(1, 1, A.replace("3", "4"), base.program, 0.4, 0.42, goal="deeper", said="```python\n...\n```")
    assert better.program
    again = row(2, 0, A.replace("8", "32"), better.program, 0.7, 0.7, goal="wider", said="nonsense")
    refused = Candidate(2, 1, "delta", base.program.id, None, (), Refused("build", "no"))
    found = own_edits([base, better, whole, again, refused])
    assert [one.gain for one in found] == pytest.approx([0.11, -0.1, 0.08])
    assert [one.family for one in found] == ["base"] * 3
    assert [one.goal for one in found] == ["wider", "deeper", "wider"]
    assert found[0].edit == said
    for one, candidate in zip(found, (better, whole, again), strict=True):
        assert candidate.program
        assert one.child.net == candidate.program.net
    assert [one.moved for one in found] == [None, None, pytest.approx(0.11)]
    assert [one.before for one in found] == pytest.approx([0.51, 0.51, 0.62])
    spread = ((0.0002 + 0.0008 + 0.0002 + 0.0) / 4) ** 0.5  # pooled over four programs of two trainings each
    assert [one.noise for one in found] == pytest.approx([spread] * 3)


def test_a_gain_is_positive_where_the_score_got_better() -> None:
    base = row(0, 0, A, None, 0.9)
    (one,) = own_edits([base, row(1, 0, B, base.program, 0.8)], metric=ERROR)
    assert one.gain == pytest.approx(0.1), "an error that fell"


def test_with_one_seed_the_noise_is_that_of_the_images() -> None:
    base = row(0, 0, A, None, 0.5)
    (one,) = own_edits([base, row(1, 0, B, base.program, 0.8)])
    assert one.noise == pytest.approx(((0.25 + 0.16) / 100) ** 0.5)


def test_with_one_seed_there_is_no_noise_of_a_score_that_is_no_share() -> None:
    base = row(0, 0, A, None, 31.5)
    (one,) = own_edits([base, row(1, 0, B, base.program, 31.7)], metric=DENOISE.metric)
    assert one.gain == pytest.approx(0.2)
    assert one.noise is None


def test_noise_is_pooled_by_family_where_it_was_repeated_often_enough() -> None:
    steady = [("steady", [0.5, 0.5, 0.5, 0.5, 0.5])]
    wild = [("wild", [0.4, 0.6])]
    noise = training_noise([*steady, *wild, ("once", [0.9])])
    assert noise["steady"] == 0
    assert "wild" not in noise
    assert gain_noise(noise, "wild", 1, 1) == pytest.approx((0.02 / 5) ** 0.5 * 2**0.5)
    assert gain_noise(training_noise([("once", [0.9])]), "once", 1, 1) is None


def gains(*pairs: tuple[float, float | None]) -> list[MeasuredEdit]:
    return [replace(WIDER, gain=gain, noise=noise, accuracy=0.5 + gain) for gain, noise in pairs]


def test_an_elite_gained_beyond_its_noise() -> None:
    edits = gains((0.02, 0.01), (0.01, 0.01), (-0.1, 0.01), (0.3, None), (0.1, 0.2))
    assert EliteRule().chosen(edits) == edits[:1]
    assert EliteRule(beyond=0.5).chosen(edits) == [edits[0], edits[1]]


def test_the_published_rules_go_by_accuracy_alone() -> None:
    edits = gains(*[(gain, None) for gain in (-0.2, -0.14, -0.12, 0.0, 0.1, 0.1)])  # accuracies .30 .36 .38 .5 .6 .6
    assert EliteRule(rule="floor", least=3).chosen(edits) == edits[3:]
    assert EliteRule(rule="floor", least=4).chosen(edits) == edits[1:]
    assert EliteRule(rule="quantile", share=1 / 6).chosen(edits) == edits[4:], "of equals both"
    assert EliteRule(rule="quantile", share=0.5).chosen(edits) == edits[3:]


def test_a_family_gives_so_many_elites_at_most_those_that_gained_most() -> None:
    gains = {"a": (0.1, 0.3, 0.2, 0.3), "b": (0.15,)}
    edits = [replace(WIDER, family=family, gain=gain) for family, some in gains.items() for gain in some]
    assert EliteRule(per_family=2).chosen(edits) == [edits[1], edits[3], edits[4]]
    assert EliteRule(per_family=9).chosen(edits) == EliteRule().chosen(edits) == edits
    assert EliteRule(rule="quantile").chosen([]) == []


def lemur_trials(scores: dict[str, Sequence[float]], dataset: str = "mnist", lr: float = 0.1) -> list[Trial]:
    settings = {"lr": lr, "transform": "norm", "epoch": 5}
    return [
        Trial(
            Experiment("img-classification", dataset, "acc", name),
            1,
            score,
            None,
            json.dumps({**settings, "uid": str(n)}),
        )
        for name, values in scores.items()
        for n, score in enumerate(values)
    ]


def test_near_programs_of_one_protocol_are_measured_edits() -> None:
    # Each line of `net` that holds the width differs: two lines, so four out and in.
    sources = {"a": net(8), "b": net(16), "c": net(32) + "\n".join(f"x{n} = {n}" for n in range(30)), "d": net(64)}
    one = lemur_trials({"a": [0.5, 0.52], "b": [0.6, 0.6], "c": [0.9, 0.9]})
    other = lemur_trials({"b": [0.3], "d": [0.7]}, lr=0.2)
    found = lemur_edits(sources, [*one, *other])
    assert [(edit.origin, round(edit.gain, 3)) for edit in found] == [
        ("lemur mnist a -> b", 0.09),
        ("lemur mnist b -> d", 0.4),
    ]
    assert {edit.family for edit in found} == {"a"}, "b joins them"
    assert found[0].child.net == sources["b"]
    spread = (0.0002 / 3) ** 0.5
    assert found[0].noise == pytest.approx(spread), "the mean of two less the mean of two"
    assert found[1].noise == pytest.approx(spread * 2**0.5)
    assert lemur_edits(sources, one, distance=3) == []
    assert lemur_edits(sources, lemur_trials({"a": [0.5]})) == []


def test_measured_edits_of_a_descendant(tmp_path: Path) -> None:
    source = nets.baselines()["mlp"]
    step, change = [one for one in edits_of(source) if one.part == "net"][:2]
    child = apply_edit(source, step.text).source
    base, descendant = (Program.of(text, prm=prm_text(nets.DEFAULT_PRM)) for text in (source, child))
    parents = [
        {"baseline": "mlp", "program": base.id, "params": 5, "accuracies": [0.5, 0.52]},
        {"baseline": "mlp.1", "root": "mlp", "edits": [step.text], "program": descendant.id, "params": 6}
        | {"accuracies": [0.6, 0.62]},
    ]
    row = {"draw": 7, "baseline": "mlp.1", "edit": change.text, "accuracies": [0.65], "seeds": [0], "failure": None}
    (tmp_path / "edits.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "baselines.jsonl").write_text("".join(json.dumps(each) + "\n" for each in parents))
    (one,) = gains_edits(tmp_path)
    assert (one.family, one.source, one.params) == ("mlp", child, 6), "it is of its baseline's family"
    assert one.gain == pytest.approx(0.65 + 0.01 - 0.61), "less the luck of the seed"
    parents[1]["edits"] = [change.text]
    (tmp_path / "baselines.jsonl").write_text("".join(json.dumps(each) + "\n" for each in parents))
    with pytest.raises(DataError, match="not the one that was measured"):
        gains_edits(tmp_path)
    parents[1]["edits"] = ["no edit"]
    (tmp_path / "baselines.jsonl").write_text("".join(json.dumps(each) + "\n" for each in parents))
    with pytest.raises(DataError, match="not the one that was measured"):
        gains_edits(tmp_path)


def test_the_data_set_of_gains(tmp_path: Path) -> None:
    source = nets.baselines()["mlp"]
    base = Program.of(source, prm=prm_text(nets.DEFAULT_PRM))
    change = next(one for one in edits_of(source) if one.part == "net")
    measured = {"baseline": "mlp", "parent": base.id, "params": 9, "flops": 1, "kind": change.kind, "edit": change.text}
    rows = [
        {**measured, "draw": 0, "accuracies": [0.6, 0.62], "failure": None},
        {**measured, "draw": 17, "accuracies": [None, 0.62], "failure": "it took too long"},
    ]
    text = "".join(json.dumps(each) + "\n" for each in rows)
    (tmp_path / "edits.jsonl").write_text(text + '{"cut off')
    parent = {"baseline": "mlp", "program": base.id, "params": 5, "accuracies": [0.5, 0.5, 0.5, 0.5, 0.54]}
    (tmp_path / "baselines.jsonl").write_text(json.dumps(parent) + "\n")
    (tmp_path / "meta.json").write_text(json.dumps({"prm": nets.DEFAULT_PRM}))
    (one,) = gains_edits(tmp_path)
    assert (one.family, one.source, one.params, one.origin) == ("mlp", source, 5, "gains 0")
    assert one.gain == pytest.approx(0.61 + 0.008 / 3 - 0.508), "less the luck that its parent had with these seeds"
    spread = ((0.0002 + 0.00128) / 5) ** 0.5
    assert one.noise == pytest.approx(spread * (1 / 2 + 1 / 5) ** 0.5, rel=0.01)
    # The second seed lifts both baselines by .04 over their means: what the edit owes to it is taken off.
    vgg = Program.of(nets.baselines()["vgg"], prm=prm_text(nets.DEFAULT_PRM))
    lucky = [{**parent, "accuracies": [0.5, 0.58]}, {**parent, "baseline": "vgg", "program": vgg.id}]
    lucky[1]["accuracies"] = [0.6, 0.68]
    (tmp_path / "baselines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lucky))
    (tmp_path / "edits.jsonl").write_text(json.dumps({**rows[0], "accuracies": [0.64], "seeds": [1]}) + "\n")
    (one,) = gains_edits(tmp_path)
    assert one.gain == pytest.approx(0.6 - 0.54)
    assert one.accuracy == pytest.approx(0.6)
    (tmp_path / "baselines.jsonl").write_text(json.dumps({**parent, "program": "0123"}) + "\n")
    with pytest.raises(DataError, match="built-in network mlp is not the one"):
        gains_edits(tmp_path)
    (tmp_path / "edits.jsonl").write_text("not json\n")
    with pytest.raises(DataError, match=r"edits.jsonl, line 1: not JSON"):
        gains_edits(tmp_path)
    for damaged in (
        {},
        {**rows[0], "baseline": "none"},
        {**rows[0], "accuracies": ["x"]},
        {**rows[0], "accuracies": 3},
    ):
        (tmp_path / "baselines.jsonl").write_text(json.dumps(parent) + "\n")
        (tmp_path / "edits.jsonl").write_text(json.dumps(damaged) + "\n")
        with pytest.raises(DataError, match="another form"):
            gains_edits(tmp_path)


def test_an_edit_keeps_all_parts_of_its_parent(tmp_path: Path) -> None:
    whole = replace(WIDER, transform="t = 1\n", prm='{"lr": 0.1}')
    other = replace(whole, prm='{"lr": 0.2}', goal="g")
    again = replace(whole, edit=edit("width = 8", "width = 4"))
    assert write_measured(tmp_path / "rows.jsonl", [WIDER, whole, again, other]) == 4
    assert read_measured(tmp_path / "rows.jsonl") == [WIDER, whole, again, other]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert ["source" in row for row in rows] == [True, True, False, True]
    assert whole.child.transform == "t = 1\n"
    assert whole.child.hyperparameters["lr"] == 0.1
    assert whole.pair == other.pair, "what is held out is so with any hyperparameters"
    assert whole.pair != WIDER.pair
    assert whole.ask.key == WIDER.ask.key


def test_an_edit_of_a_part_is_measured_as_one_of_that_part() -> None:
    base = Program.of(A, transform="a = 1\n", prm='{"lr": 0.1}')
    child = base.edited("transform", "a = 2\n")
    kept = Attempt(edit("a = 1", "a = 2"), "exact", "", None, part="transform")
    score = [Trained(share, 100, 0, 1.0, 1.0, "A") for share in (0.5, 0.7)]
    mixed = Program(base.edited("net", f"{A}x = 1\n").parts, (base.id, child.id))
    rows = [
        Candidate(0, 0, "baseline", None, Draft(base), (), score[0], (score[0],), name="a"),
        Candidate(1, 0, "x", base.id, Draft(child), (kept,), score[1], (score[1],)),
        Candidate(1, 1, "x", base.id, Draft(mixed), (replace(kept, edit="mix"),), score[1], (score[1],)),
    ]
    (found,) = own_edits(rows)
    assert (found.part, found.edit, found.parent, found.child) == ("transform", kept.edit, base, child)
    assert found.ask.parts == ("transform",)


def test_an_edit_from_no_transform_and_back_to_none_is_measured() -> None:
    none = Program.of(A)
    first = SPACES["transform"].edits(none)[0]
    one = first.apply(none)
    (last,) = [edit for edit in SPACES["transform"].edits(one) if edit.kind == REMOVE]
    score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
    for parent, made in ((none, first), (one, last)):
        child = made.apply(parent)
        kept = Attempt(made.text, "exact", "", None, part="transform")
        rows = [
            Candidate(0, 0, "baseline", None, Draft(parent), (), score, (score,), name="a"),
            Candidate(1, 0, "x", parent.id, Draft(child), (kept,), score, (score,)),
        ]
        (found,) = own_edits(rows)
        assert (found.edit, found.parent, found.child) == (made.text, parent, child)
        assert found.ask.text == parent.editable("transform")
    assert last.apply(one).transform == ""
