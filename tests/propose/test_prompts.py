"""Prompts and grammars against files, word for word. `UPDATE_GOLDENS=1 pytest tests/propose` writes the files anew."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import llguidance
import pytest
from llguidance import LLMatcher

from deltanas.nets import baselines
from deltanas.program import Program, Refused, SpaceEdit, apply_edit, edits_of
from deltanas.propose.asking import MOST_EARLIER, recalled
from deltanas.propose.feedback import Trial
from deltanas.propose.goals import Goal, any_goal, drawn_goal, facts, goals
from deltanas.propose.grammar import anchored_grammar, typed_grammar, written
from deltanas.propose.prompt import render
from deltanas.records import Attempt, Call, Telemetry
from deltanas.seams import Ask

pytest_plugins = ["tiny_model"]

GOLDENS = Path(__file__).parents[1] / "goldens"

CALL = Call("m", "p", "old\n=>\nnew", 1, 1, 0.1)
EARLIER = (
    Attempt("<edit text>", None, "goal", Refused("apply", "quotes lines that the file\ndoes not have")),
    Attempt(
        "x", "exact", "goal", Refused("build", "RuntimeError: shapes"), (Call("m", "p", "old\n=>\nnew", 1, 1, 0.1),)
    ),
)


def assert_golden(name: str, text: str) -> None:
    file = GOLDENS / name
    if os.environ.get("UPDATE_GOLDENS"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), f"{file} differs; UPDATE_GOLDENS=1 writes it anew"


GOAL = "Use another kind of pooling."
PLACE = "        self.pool = nn.AdaptiveAvgPool2d(1)"
TELEMETRY = Telemetry(0.8125, 21386, {GOAL: -0.012, "Make the network wider.": 0.02})


@pytest.mark.parametrize("name", ["typed", "blocks", "full"])
@pytest.mark.parametrize("earlier", [(), EARLIER], ids=["first", "again"])
def test_the_prompt_is_as_kept(small: Program, name: str, earlier: tuple[Attempt, ...]) -> None:
    known = facts(GOAL, TELEMETRY if earlier else Telemetry())
    messages = render(
        name,
        source=small.net.rstrip("\n"),
        goal=GOAL,
        place=PLACE,
        earlier=recalled(earlier),
        facts=known,
        reason=False,
    )
    text = "".join(f"[{message.role}]\n{message.content}\n\n" for message in messages)
    assert_golden(f"prompt-{name}-{'again' if earlier else 'first'}.txt", text)


@pytest.mark.parametrize("trials", [0, 2], ids=["first", "again"])
def test_the_request_for_advice_is_as_kept(small: Program, trials: int) -> None:
    told = [
        Trial("It has one layer.", "Add another.", "61.0 % accuracy, +1.5 points"),
        Trial("It is slow.", "Use fewer channels.", "refused (build): RuntimeError: shapes"),
    ][:trials]
    known = facts("", TELEMETRY if trials else Telemetry())
    messages = render("advice", source=small.net.rstrip("\n"), trials=told, facts=known, kinds=["depth", "kernel"])
    text = "".join(f"[{message.role}]\n{message.content}\n\n" for message in messages)
    assert_golden(f"prompt-advice-{'again' if trials else 'first'}.txt", text)


def test_a_program_cannot_pass_for_a_turn_of_the_chat() -> None:
    source = "# user\nx = '{{ goal }}'\n# assistant\n{% if"
    messages = render("typed", source=source, goal="g", place="", earlier="", facts=[], reason=False)
    empty = render("typed", source="", goal="", place="", earlier="", facts=[], reason=False)
    assert [message.role for message in messages] == [message.role for message in empty]
    assert source in messages[-3].content


def test_what_was_said_before_is_kept_verbatim_up_to_a_length() -> None:
    text = recalled(EARLIER)
    assert "<edit text>\nRefused: quotes lines that the file\ndoes not have" in text
    assert text.endswith("old\n=>\nnew\nRefused: RuntimeError: shapes")
    long = Attempt("y" * 9999, None, "goal", Refused("apply", "the end"))
    assert len(recalled((long,))) == MOST_EARLIER
    assert recalled((long,)).endswith("Refused: the end")


def test_every_edit_of_the_baselines_fits_a_goal() -> None:
    edits = [edit for source in baselines().values() for edit in edits_of(source)]
    assert [edit for edit in edits if not any(goal.fits(edit) for goal in goals().get(edit.kind, ()))] == []


@pytest.mark.parametrize(
    ("which", "new", "fits"),
    [
        ("", "nn.Conv2d(8, 8, 5)", True),
        ("more", "nn.Conv2d(8, 8, 5)", True),
        ("less", "nn.Conv2d(8, 8, 5)", False),
        ("less", "nn.Conv2d(8, 8, 1)", True),
        ("more", "nn.Conv2d(8, 8, 3), nn.ReLU()", True),
        ("less", "nn.Conv2d(8, 8)", True),
        ("/ReLU/", "nn.Conv2d(8, 8, 3), nn.ReLU()", True),
        ("/Conv2d/", "nn.Conv2d(8, 8, 3), nn.ReLU()", False),
        (r"/\* [2-9]/", "nn.Conv2d(8 * 2, 8, 3)", True),
    ],
)
def test_a_goal_says_which_edits_fit_it(which: str, new: str, fits: bool) -> None:
    assert Goal("", which).fits(SpaceEdit("kernel", "net", "nn.Conv2d(8, 8, 3)", new)) is fits


def test_what_is_asked_for_is_what_is_offered() -> None:
    parent = Program.of(baselines()["resnet"])
    kernels = [edit for edit in edits_of(parent.net) if edit.kind == "kernel"]
    asked = set()
    for index in range(30):
        goal, fitting = drawn_goal(Ask(1, index, 0, f"0:1:{index}:0", parent), kernels)
        (which,) = {one.which for one in goals()["kernel"] if one.text == goal}
        assert fitting == tuple(edit for edit in kernels if Goal("", which).fits(edit))
        assert 0 < len(fitting) < len(kernels)
        asked.add(goal)
    assert asked == {goal.text for goal in goals()["kernel"]}


def test_goals_that_gained_come_more_often(small: Program) -> None:
    edits = [edit for edit in edits_of(small.net) if edit.kind == "activation"]
    gained, lost, untried = (goal.text for goal in goals()["activation"])
    telemetry = Telemetry(gains={gained: 0.01, lost: -0.01})
    asks = [Ask(1, index, 0, f"0:1:{index}:0", small, telemetry=telemetry) for index in range(700)]
    counts = Counter(drawn_goal(ask, edits)[0] for ask in asks)
    # 4 : 2 : 1. Five deviations of the middle one are 59.
    assert abs(counts[gained] - 400) < 66
    assert abs(counts[untried] - 200) < 60
    assert abs(counts[lost] - 100) < 47


def test_a_program_without_edits_is_asked_for_anything() -> None:
    goal = any_goal(Ask(1, 0, 0, "0:1:0:0", Program.of("x = 1\n")))
    assert goal in {one.text for some in goals().values() for one in some}


def test_the_grammars_are_as_kept(small: Program) -> None:
    assert_golden("grammar-typed.lark", typed_grammar([edit for edit in edits_of(small.net) if edit.kind == "insert"]))
    assert_golden("grammar-anchored.lark", anchored_grammar(small.net))
    assert_golden("grammar-anchored-place.lark", anchored_grammar(small.net, PLACE))


BYTES = llguidance.LLTokenizer("byte")


def accepts(grammar: str, text: str) -> bool:
    matcher = LLMatcher(BYTES, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return bool(matcher.consume_tokens(list(text.encode()))) and bool(matcher.is_accepting())


def test_the_typed_grammar_accepts_the_edits_and_nothing_else(small: Program) -> None:
    edits = edits_of(small.net)
    chosen, others = edits[::2], edits[1::2]
    grammar = typed_grammar(chosen)
    assert all(accepts(grammar, written(edit)) for edit in chosen)
    assert not any(accepts(grammar, written(edit)) for edit in others)
    for text in ("", written(chosen[0])[:-1], written(chosen[0]) + "\n", written(chosen[0]).replace("=>", "->")):
        assert not accepts(grammar, text)


@pytest.mark.parametrize("name", sorted(baselines()))
def test_the_typed_grammar_of_a_whole_baseline_accepts_its_edits(name: str) -> None:
    edits = edits_of(baselines()[name])
    grammar = typed_grammar(edits)
    assert all(accepts(grammar, written(edit)) for edit in edits[::9])


def test_the_anchored_grammar_holds_the_search_side_to_whole_consecutive_lines(small: Program) -> None:
    def block(old: str, new: str) -> str:
        return f"<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE"

    grammar = anchored_grammar(small.net)
    act = '        self.act = nn.ReLU()  # "quoted" \\n é\n'
    pool = "        self.pool = nn.AdaptiveAvgPool2d(1)\n"
    assert accepts(grammar, block(act, "        self.act = nn.Anything(\n\n  at all\n"))
    assert accepts(grammar, block(act + pool, ""))
    for old in ("", act[:-2] + "\n", act[2:], pool + act, act + "\n", "        self.pool = nn.AdaptiveAvgPool2d(2)\n"):
        assert not accepts(grammar, block(old, "x = 1\n"))
    assert not accepts(grammar, block(act, "x = 1\n") + "\n")
    assert not accepts(grammar, block(act, "x\n" * 25))
    assert apply_edit(small.net, block(act, "        self.act = nn.GELU()\n")).rung == "exact"


def test_a_place_is_what_is_replaced_by_another_text(small: Program) -> None:
    grammar = anchored_grammar(small.net, PLACE)
    marks = f"<<<<<<< SEARCH\n{PLACE}\n=======\n", ">>>>>>> REPLACE"
    for new in ("", "        self.pool = nn.AdaptiveMaxPool2d(1)\n", f"{PLACE}\n        x = 1\n", f"{PLACE} \n"):
        assert accepts(grammar, new.join(marks))
    assert not accepts(grammar, f"{PLACE}\n".join(marks))
    assert not accepts(grammar, f"<<<<<<< SEARCH\n        self.act = nn.ReLU()\n=======\n{marks[1]}")


OPENS, ENDS = "        self.stem = nn.Sequential(", "            nn.ReLU(),\n        )"
LAYERS = "            nn.Conv2d(3, 8, 3),\n            nn.ReLU(),"


@pytest.mark.parametrize(
    ("place", "new", "fits"),
    [
        (OPENS, "        self.root = nn.Sequential(nn.BatchNorm2d(min(3, (1 + 2))),\n", True),
        (OPENS, "        self.stem = nn.Conv2d(3, 8, 3)\n", False),
        (OPENS, "            self.stem = nn.Sequential(  \n", False),
        (OPENS, "\n        self.stem = nn.Sequential(nn.ReLU(),\n", False),
        (OPENS, "", False),
        (LAYERS, "            nn.GELU(),\n", True),
        (LAYERS, "            nn.GELU()\n", False),
        (LAYERS, "", True),
        (ENDS, "            nn.GELU())\n", True),
        (ENDS, "            nn.GELU(),\n", False),
        (ENDS, "            nn.GELU())\n        x = (1)\n", True),
    ],
)
def test_new_lines_can_stand_where_the_old_ones_stood(place: str, new: str, fits: bool) -> None:
    text = f"<<<<<<< SEARCH\n{place}\n=======\n{new}>>>>>>> REPLACE"
    assert accepts(anchored_grammar(f"x = 1\n{place}\n", place), text) == fits


@pytest.mark.parametrize("name", sorted(baselines()))
def test_every_simple_edit_is_text_that_the_grammar_of_its_place_allows(name: str) -> None:
    for edit in edits_of(baselines()[name])[::9]:
        if edit.old in baselines()[name]:
            new = f"{edit.new}\n" if edit.new else ""
            text = f"<<<<<<< SEARCH\n{edit.old}\n=======\n{new}>>>>>>> REPLACE"
            assert accepts(anchored_grammar(baselines()[name], edit.old), text), edit


@pytest.mark.parametrize("name", ["typed", "blocks", "advice"])
def test_the_prompts_of_hyperparameters_show_json_and_no_network(name: str) -> None:
    known = {"source": '{"batch": 8}', "earlier": "", "facts": [], "goal": "Lower it.", "reason": False, "place": ""}
    messages = render(name, of="prm", trials=[], kinds=[], **known)
    said = "\n".join(message.content for message in messages)
    assert '```json\n{"batch": 8}\n```' in said
    assert "nn." not in said
