"""What a program declares is read from its text; usual values stand in for what nobody gave."""

from __future__ import annotations

import pytest

from deltanas.nets import DEFAULT_PRM, baselines
from deltanas.program import USUAL, Program, assumed, declared, prm_text


def program(names: str, body: str) -> str:
    return f"def supported_hyperparameters():\n    return {names}\n\n\ndef rate(prm):\n    return {body}\n"


@pytest.mark.parametrize("names", ["{'lr', 'dropout'}", "set(['lr', 'dropout'])", "{'lr'} | {'dropout'}"])
def test_names_are_read_from_what_the_function_returns(names: str) -> None:
    assert declared(program(names, "prm['dropout']")) == {"lr", "dropout"}


def test_nothing_is_declared_by_text_that_does_not_parse_or_by_another_function() -> None:
    assert declared("def supported_hyperparameters(:") == frozenset()
    assert declared("def others():\n    return {'dropout'}\n") == frozenset()
    assert assumed("def supported_hyperparameters(: 'dropout'", {}) == {}


@pytest.mark.parametrize(
    ("names", "body", "given", "found"),
    [
        ("{'dropout'}", "prm['dropout']", {}, {"dropout": 0.2}),
        ("{'dropout'}", "prm.get('dropout')", {}, {"dropout": 0.2}),
        ("{'dropout', 'norm_eps'}", "prm['dropout'] + prm['norm_eps']", {}, {"dropout": 0.2, "norm_eps": 1e-6}),
        ("{'dropout'}", "prm['dropout']", {"dropout": 0.5}, {}),
        ("{'dropout'}", "prm.get('dropout', 0.1)", {}, {}),
        ("{'dropout'}", "0.1", {}, {}),
        ("{'lr'}", "prm['dropout']", {}, {}),
        ("{'lr', 'tie_weights'}", "prm['tie_weights']", {}, {}),
    ],
    ids=["read", "read by get", "two", "given", "own default", "not read", "not declared", "no usual value"],
)
def test_a_usual_value_is_for_what_is_declared_read_and_not_given(
    names: str, body: str, given: dict[str, float], found: dict[str, float]
) -> None:
    assert assumed(program(names, body), given) == found


def test_an_edit_that_declares_one_gets_its_usual_value_and_passes_it_on() -> None:
    parent = Program.of(program("{'lr'}", "prm['lr']"), prm=prm_text(DEFAULT_PRM))
    child = parent.edited("net", program("{'lr', 'dropout'}", "prm['dropout']"))
    assert child.hyperparameters == {**DEFAULT_PRM, "dropout": USUAL["dropout"]}
    assert child.parent == parent.id
    assert child.edited("net", parent.net).hyperparameters == child.hyperparameters
    given = Program.of(parent.net, prm=prm_text({**DEFAULT_PRM, "dropout": 0.5}))
    assert given.edited("net", child.net).hyperparameters["dropout"] == 0.5


def test_the_built_in_programs_need_none() -> None:
    assert {name: assumed(source, {}) for name, source in baselines().items()} == {name: {} for name in baselines()}
