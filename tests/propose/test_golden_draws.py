"""What the uniform draws of earlier versions were: the same seeds give the same edits, whatever holds the edits now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from deltanas.nets import DEFAULT_PRM, baselines
from deltanas.program import Program, prm_text
from deltanas.propose import BanditProposer, RandomProposer, Space
from deltanas.propose.bandit import ThompsonKinds
from deltanas.propose.goals import drawn_goal
from deltanas.seams import Ask

GOLDEN = json.loads((Path(__file__).parents[1] / "goldens" / "draws.json").read_text("utf-8"))
"""Identities of 0.1.0; draws of 0.5.0, whose space has stages, blocks of other families and schedules too.

draws: by network and setting, hashes of what each way to draw gave. identities: by network.
"""


def digest(drawn: object) -> str:
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", sorted(baselines()))
def test_the_same_seeds_give_the_same_edits_as_before(name: str) -> None:
    parent = Program.of(baselines()[name], prm=prm_text(DEFAULT_PRM))
    for scope, parts in (("architecture", ("net",)), ("recipe", ("recipe",)), ("both", ("net", "recipe"))):
        asks = [Ask(1, i, a, f"7:1:{i}:{a}", parent, parts=parts) for i in range(6) for a in range(2)]
        space = Space(None)
        drawn = [
            [one.edit for one in RandomProposer(space).propose(asks)],
            [one.edit for one in BanditProposer(Space(None, ThompsonKinds())).propose(asks)],
            [[goal, [edit.text for edit in edits]] for goal, edits in space.aimed(asks, 4, drawn_goal)],
            [[edit.text for edit in edits] for edits in space.mixed(asks, 5)],
        ]
        assert list(map(digest, drawn)) == GOLDEN["draws"][f"{name} {scope}"]


@pytest.mark.parametrize("name", sorted(baselines()))
def test_programs_keep_their_identities(name: str) -> None:
    source, prm = baselines()[name], prm_text(DEFAULT_PRM)
    parent = Program.of(source, prm=prm)
    others = [Program.of(source), Program.of(source, "t = 1\n", prm), parent.edited("prm", '{"lr": 0.1}')]
    assert [program.id for program in (parent, *others)] == GOLDEN["identities"][name]
