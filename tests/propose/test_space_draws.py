"""Draws from the verified space: what holds is drawn, as often as it should, and a cache changes but the time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.config import TrainConfig
from deltanas.nets import baselines
from deltanas.program import Part, Program, Refused, apply_edit, edits_of
from deltanas.propose import CachedBuilds, Space
from deltanas.propose.goals import drawn_goal, goals
from deltanas.propose.space import WIDTHS
from deltanas.records import Attempt
from deltanas.seams import Ask, Built
from deltanas.wiring import open_shape_pool, program_of

pytest_plugins = ["tiny_model"]

SHAPE = (1, 12, 12)


class Counted:
    """Build checks that are passed on, and what was asked for."""

    def __init__(self, builds: CachedBuilds | Counted | None = None) -> None:
        self.asked: list[Program] = []
        self._builds = builds

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        self.asked += programs
        if self._builds is not None:
            return self._builds.build(programs)
        return [self.answer(program) for program in programs]

    @staticmethod
    def answer(program: Program) -> Built | Refused:
        """Without a sandbox: what holds `Identity` does not build, what holds `GELU` computes what its parent does."""
        if "Identity" in program.net:
            return Refused("build", "line 1: RuntimeError")
        text = "same" if "GELU" in program.net or program.parent is None else program.net
        return Built(1, 1, text, tuple(map(float, text.encode()[:8])))


@pytest.fixture(scope="module")
def pool() -> Iterator[Counted]:
    with open_shape_pool(SHAPE, 10, TrainConfig(workers=2)) as runner:
        yield Counted(CachedBuilds(runner, Path(os.devnull), ""))


def asks(parent: Program, n: int, part: Part = "net") -> list[Ask]:
    return [Ask(1, index, 0, f"0:1:{index}:0", parent, parts=(part,)) for index in range(n)]


def test_draws_build_and_change_the_function(pool: Counted) -> None:
    parents = [program_of(source) for source in list(baselines().values())[::4]]
    slots = [replace(ask, parent=parent) for parent in parents for ask in asks(parent, 1)]
    drawn = Space(pool).draw(slots)
    children = [edit.apply(parent) for parent, edit in zip(parents, drawn, strict=True) if edit]
    assert len(children) == len(parents)
    for before, after in zip(pool.build(parents), pool.build(children), strict=True):
        assert isinstance(before, Built)
        assert isinstance(after, Built)
        assert after.differs(before)


def test_edits_of_several_places_build(pool: Counted) -> None:
    parents = [program_of(source) for source in baselines().values()]
    edits = [(p, [e for e in edits_of(p.net) if e.kind == "width" and "\n...\n" in e.old]) for p in parents]
    children = [found[len(found) // 2].apply(parent) for parent, found in edits if found]
    assert len(children) >= 9
    assert sum(isinstance(one, Built) for one in pool.build(children)) >= 0.8 * len(children)


def test_what_fails_or_has_no_effect_is_passed_over(small: Program) -> None:
    space = Space(Counted())
    kinds = {edit.text: edit.kind for edit in edits_of(small.net)}
    offers = space.offer(asks(small, 60), 4)
    for offered in offers:
        assert 1 <= len(offered) <= 4
        assert len({kinds[edit.text] for edit in offered}) == 1
        assert not [edit for edit in offered if "Identity" in edit.apply(small).net or "GELU" in edit.apply(small).net]
    without = {edit.text for edit in edits_of(small.net) if "GELU" not in edit.new and "Identity" not in edit.new}
    assert {edit.text for offered in offers for edit in offered} <= without


def test_a_quarter_of_the_draws_is_a_width_and_the_rest_as_the_edits_are(small: Program) -> None:
    drawn = Space(Counted()).draw(asks(small, 2000))
    kinds = Counter(edit.kind for edit in drawn if edit)
    assert abs(kinds["width"] / 2000 - WIDTHS) < 0.04
    holds = [e for e in edits_of(small.net) if e.part == "net" and e.kind != "width"]
    others = Counter(edit.kind for edit in holds)
    for kind in ("insert", "head", "depth"):
        assert abs(kinds[kind] / 2000 - (1 - WIDTHS) * others[kind] / others.total()) < 0.05


def test_slots_of_one_parent_share_no_edit_while_there_are_others(small: Program) -> None:
    space = Space(Counted())
    offers = space.offer(asks(small, 6), 3)
    assert space.offer(asks(small, 6), 3) == offers
    texts = [edit.text for offered in offers for edit in offered]
    assert len(set(texts)) == len(texts) > 6
    alone = [space.offer([ask], 3)[0] for ask in asks(small, 6)]
    assert len({edit.text for offered in alone for edit in offered}) < len([1 for offered in alone for _ in offered])
    # Another parent takes nothing away, and where all edits are taken, they are shared.
    other = [replace(ask, parent=Program.of(baselines()["mlp"])) for ask in asks(small, 6)]
    assert space.offer([one for pair in zip(asks(small, 6), other, strict=True) for one in pair], 3)[::2] == offers
    assert all(Space(None).offer(asks(small, 40, "recipe"), 3))


def test_mixed_draws_are_of_the_kinds_that_single_ones_are(small: Program) -> None:
    kinds = {edit.text: edit.kind for edit in edits_of(small.net)}
    space = Space(Counted())
    offers = [offered for ask in asks(small, 300) for offered in space.mixed([ask], 6)]
    assert all(len({edit.text for edit in offered}) == 6 for offered in offers)
    drawn = Counter(kinds[edit.text] for offered in offers for edit in offered)
    assert abs(drawn["width"] / drawn.total() - WIDTHS) < 0.04
    assert not [edit for offered in offers for edit in offered if "Identity" in edit.new or "GELU" in edit.new]
    assert any(len({kinds[edit.text] for edit in offered}) > 3 for offered in offers)
    together = space.mixed(asks(small, 4), 6)
    assert together == space.mixed(asks(small, 4), 6)
    texts = [edit.text for offered in together for edit in offered]
    assert len(set(texts)) == len(texts)
    (ask,) = asks(small, 1, "recipe")
    everything = [edit for edit in edits_of(small.net) if edit.part == "recipe"]
    assert Space(None).mixed([ask], 500) == [tuple(everything)]


def test_a_goal_comes_first_and_only_what_fits_it_is_verified(small: Program) -> None:
    counted = Counted()
    slots = asks(small, 12)
    fits = {goal.text: goal for some in goals().values() for goal in some}
    for ask, (goal, edits) in zip(slots, Space(counted).aimed(slots, 4, drawn_goal), strict=True):
        assert 1 <= len(edits) <= 4
        assert all(fits[goal].fits(edit) for edit in edits), (ask.key, goal)
    held = Counted()
    (one,) = asks(small, 1)
    Space(held).aimed([one], 3, lambda _, edits: ("few", edits[:2]))
    assert len({program.net for program in held.asked if program.parent}) <= 2


def test_nothing_is_offered_twice_to_a_slot_and_an_empty_space_ends(small: Program) -> None:
    space = Space(None)
    (ask,) = asks(small, 1, "recipe")
    tried: list[str] = []
    while edit := space.draw([ask])[0]:
        tried.append(edit.text)
        ask = ask.again((*ask.earlier, Attempt(edit.text, "exact", edit.kind, Refused("novelty", "seen"))))
    assert sorted(tried) == sorted(edit.text for edit in edits_of(small.net) if edit.part == "recipe")
    assert Space(Counted()).offer(asks(Program.of("x = 1\n"), 1), 3) == [()]


def test_a_cache_changes_no_draw_and_asks_once(small: Program, tmp_path: Path) -> None:
    plain = Space(Counted()).offer(asks(small, 8), 3)
    first, second = Counted(), Counted()
    assert Space(CachedBuilds(first, tmp_path, "")).offer(asks(small, 8), 3) == plain
    assert Space(CachedBuilds(second, tmp_path, "")).offer(asks(small, 8), 3) == plain
    assert len({program.net for program in first.asked}) == len(first.asked)
    assert second.asked == []
    other = Counted()
    Space(CachedBuilds(other, tmp_path, "another shape")).offer(asks(small, 1), 1)
    assert other.asked


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"params": "many"}', b'{"stage": "nowhere", "reason": ""}', b"\xff\xfe"]
)
def test_a_damaged_entry_is_dropped_and_made_anew(small: Program, tmp_path: Path, damage: bytes) -> None:
    counted = Counted()
    builds = CachedBuilds(counted, tmp_path, "")
    answer = builds.build([small])
    (entry,) = entries(tmp_path)
    entry.write_bytes(damage)
    assert builds.build([small]) == answer
    assert len(counted.asked) == 2
    assert builds.build([small]) == answer
    assert len(counted.asked) == 2


def test_what_the_machine_may_have_caused_is_not_kept(small: Program, tmp_path: Path) -> None:
    class Slow(Counted):
        @staticmethod
        def answer(program: Program) -> Built | Refused:
            return Refused("build", "took longer than 20 s")

    slow = Slow()
    builds = CachedBuilds(slow, tmp_path, "")
    assert builds.build([small, small]) == builds.build([small, small])
    assert len(slow.asked) == 2
    assert entries(tmp_path) == []


def test_a_folder_that_cannot_be_written_stops_nothing(small: Program, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert isinstance(CachedBuilds(Counted(), blocked, "").build([small])[0], Built)


WRITER = """
import sys
from pathlib import Path
from deltanas.program import Program, Refused
from deltanas.propose import CachedBuilds
class Builds:
    def build(self, programs):
        return [Refused("build", "line 1: " + program.net * 999) for program in programs]
builds = CachedBuilds(Builds(), Path(sys.argv[1]), "")
print("ready", flush=True)
while True:
    for number in range(200):
        place = builds._place(Program.of(f"x = {number}"))
        place.unlink(missing_ok=True)
        builds.build([Program.of(f"x = {number}")])
"""


def test_two_writers_that_are_killed_leave_whole_entries(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        writer.stdout.close()
    while len(entries(tmp_path)) < 150:
        assert all(writer.poll() is None for writer in writers)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    missing = Counted()
    programs = [Program.of(f"x = {number}") for number in range(200)]
    answers = CachedBuilds(missing, tmp_path, "").build(programs)
    for program, answer in zip(programs, answers, strict=True):
        assert answer == Refused("build", "line 1: " + program.net * 999) or program in missing.asked
    assert len(missing.asked) < 60


def test_every_edit_of_every_baseline_applies_exactly() -> None:
    for source in baselines().values():
        for edit in edits_of(source):
            assert apply_edit(source, edit.text).rung == "exact"
