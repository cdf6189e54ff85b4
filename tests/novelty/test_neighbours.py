"""Programs that are alike are found among many, and refused with the nearest of them; the others are not."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.novelty import bench_novelty
from deltanas.errors import DeltanasError
from deltanas.nets import baselines
from deltanas.novelty import Neighbours, NoveltyGate
from deltanas.novelty.neighbours import FOUND, PERMUTATIONS, rows_of_a_band
from deltanas.program import Program, Refused, prm_text
from deltanas.program.shingles import Hashes, fingerprint, jaccard, shingles
from deltanas.records import Draft
from support import draft


def changed(source: str, lines: int, rng: Random) -> str:
    """Other numbers and names in some of its lines."""
    text = source.split("\n")
    for place in rng.sample(range(len(text)), lines):
        text[place] = f"    self.layer_{rng.randrange(1000)} = conv({rng.randrange(512)}, {rng.randrange(512)})"
    return "\n".join(text)


@pytest.fixture(scope="module")
def prints() -> list[Hashes]:
    """Of 100 programs, some of them but a line or two apart."""
    rng = Random(0)
    sources = [changed(source, rng.randrange(6), rng) for source in list(baselines().values())[:4] for _ in range(25)]
    return [fingerprint(Program.of(net=source)) for source in sources]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.97])
def test_those_that_are_alike_are_found_and_no_others(prints: list[Hashes], threshold: float) -> None:
    index = Neighbours(threshold)
    for number, one in enumerate(prints):
        index.add(str(number), index.sketched(one))
    found, alike = 0, 0
    for number, one in enumerate(prints):
        exact = {str(place): value for place, value in enumerate(jaccard(one, prints)) if value >= threshold}
        like = index.like(index.sketched(one))
        assert like[0] == (str(min(int(name) for name, value in exact.items() if value == 1)), 1.0), str(number)
        assert dict(like).items() <= exact.items()
        assert [value for _, value in like] == sorted((value for _, value in like), reverse=True)
        found, alike = found + len(like), alike + len(exact)
    assert alike > 1.2 * len(prints), "there is something to find"
    assert found / alike >= 0.99


def test_the_bands_meet_their_promise() -> None:
    for percent in range(1, 100):
        threshold, rows = percent / 100, rows_of_a_band(percent / 100)
        met = 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows)
        assert met >= FOUND or rows == 1
    assert rows_of_a_band(0.9) > rows_of_a_band(0.5) > 1


def test_numbers_count_and_comments_do_not() -> None:
    plain = 'a = conv(3, 64)  # wide\n"""A\ntext."""\nb = "# no comment"\n'
    assert (shingles(plain) == shingles('a=conv(3,64)\nb = "# no comment"')).all()
    assert jaccard(shingles(plain), [shingles(plain.replace("64", "32"))])[0] < 1
    assert jaccard(shingles(plain), [shingles(plain.replace("# no", "# a"))])[0] < 1


def test_only_equal_programs_have_an_index_of_one() -> None:
    one, other = Program.of(net="a = 1"), Program.of(net="a = 1", prm=prm_text({"lr": 0.1}))
    swapped = Program.of(net="a b a b c a b a b"), Program.of(net="a b a b c a b a b  # noted")
    assert jaccard(fingerprint(one), [fingerprint(one), fingerprint(other)])[1] < 1
    assert jaccard(fingerprint(swapped[0]), [fingerprint(swapped[1])])[0] < 1, "text that does not parse is itself"
    assert jaccard(fingerprint(one), []).tolist() == []


def test_a_near_copy_is_refused_with_its_nearest_neighbour() -> None:
    source, rng = baselines()["vgg"], Random(1)
    parent, cousin = draft(source, "t0"), draft(changed(source, 2, rng), "t1")
    gate = NoveltyGate(threshold=0.9)
    gate.remember([parent])
    near = draft(source.replace("width = 16", "width = 20"), "t2", parent.program.id)
    (refused,) = gate.judge([near])
    index = jaccard(fingerprint(near.program), [fingerprint(parent.program)])[0]
    assert refused == Refused(
        "novelty",
        f"too like its parent {parent.program.id}: Jaccard index {index:.3f} of their shingles, 0.9 or more is refused;"
        " change more",
    )
    gate.remember([cousin])
    (again,) = gate.judge([draft(cousin.program.net.replace("width = 16", "width = 20"), "t3", parent.program.id)])
    assert isinstance(again, Refused)
    assert f"too like program {cousin.program.id}" in again.reason, "the nearest is named, not the first"
    (other,) = gate.judge([draft(baselines()["mlp"], "t4")])
    assert isinstance(other, Draft)
    assert isinstance(NoveltyGate().judge([near])[0], Draft), "by default only equal programs are refused"


def test_what_is_remembered_twice_is_one_neighbour() -> None:
    gate, resumed = NoveltyGate(threshold=0.8), NoveltyGate(threshold=0.8)
    source = baselines()["nin"]
    for _ in range(2):
        gate.remember([draft(source, "t0")])
    resumed.remember([draft(source, "t0")])
    near = draft(source.replace("width = 24", "width = 20"), "t1")
    assert gate.judge([near]) == resumed.judge([near])
    assert isinstance(gate.judge([near])[0], Refused)


def test_the_benchmark_finds_what_is_alike_and_says_what_it_costs() -> None:
    said: list[str] = []
    found = bench_novelty(2000, tokens=60, threshold=0.8, rival=True, seed=0, say=said.append)
    assert [row["size"] for row in found["queries"]] == [1000, 2000]
    assert found["pairs"] > 300
    assert found["recall_low"] <= found["recall"] <= found["recall_high"]
    assert found["recall"] >= 0.99
    assert found["wrong"] == 0
    assert found["faster"] > found["faster_though_compared"] > 0
    assert found["cpu_seconds"] < found["compared_cpu_seconds"]
    assert len(said) == 2 + 10
    with pytest.raises(DeltanasError, match="too few"):
        bench_novelty(100, tokens=60, threshold=0.8, rival=False, seed=0, say=said.append)
