"""A program: immutable, addressed by the content of its parts, small in memory."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import FrozenInstanceError

import pytest

from deltanas.program import Program, differing_parts

NET = "class Net:\n    width = 1\n"


def test_texts_are_read_by_the_names_of_their_parts() -> None:
    program = Program({"net": NET, "prm": '{"lr": 0.1}', "expert": "x"}, ("a", "b"))
    assert (program.net, program.transform, program.prm, program.part("expert")) == (NET, "", '{"lr": 0.1}', "x")
    assert program.hyperparameters == {"lr": 0.1}
    assert (program.parent, program.parents) == ("a", ("a", "b"))
    assert Program.of(NET).parent is None
    assert (Program.of(NET).prm, Program.of(NET).part("expert")) == ("{}", "")


def test_a_program_is_what_its_parts_are_and_not_what_it_was_made_from() -> None:
    one, other = Program.of(NET, parents=("a",)), Program({"net": NET, "transform": "", "prm": "{}"}, ("b", "c"))
    assert one == other
    assert hash(one) == hash(other)
    assert one.id == other.id
    assert len({one, other, Program.of(NET, prm='{"lr": 1}')}) == 2


def test_a_further_part_counts_as_it_is_written_and_only_where_there_is_one() -> None:
    plain = Program.of(NET)
    numbers = [plain.edited("expert", text).id for text in ("1", "2", "", "# 1")]
    assert len(set(numbers)) == 4
    assert numbers[2] == plain.id
    assert plain.edited("other", "1").id != numbers[0]
    assert plain.edited("net", f"# said\n{NET}").id == plain.id


def test_an_edited_program_has_one_parent() -> None:
    base = Program.of(NET, parents=("a", "b"))
    child = base.edited("transform", "t = 1\n")
    assert child.parents == (base.id,)
    assert list(differing_parts(base, child)) == [("transform", "", "t = 1\n")]
    kept = Program(child.parts, identity="0123456789abcdef")
    assert (kept, kept.id) == (child, "0123456789abcdef")


def test_nothing_changes_a_program() -> None:
    program = Program.of(NET)
    with pytest.raises(FrozenInstanceError):
        program.parents = ("a",)  # type: ignore[misc]
    assert not hasattr(program, "__dict__")


def test_a_program_survives_pickling() -> None:
    program = Program({"net": NET, "expert": "x"}, ("a",))
    again = pickle.loads(pickle.dumps(program))
    assert (again, again.id, again.parents) == (program, program.id, program.parents)


def test_a_program_costs_few_bytes_beside_its_texts() -> None:
    texts = [f"x = {number}\n" for number in range(10_000)]
    names, prm = [f"{number:016x}" for number in range(10_000)], '{"lr": 0.1}'
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        pairs = zip(texts, names, strict=True)
        held = [Program({"net": text, "prm": prm}, (name,), identity=name) for text, name in pairs]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(held) < 180
