"""Strategies by name: a strategy is one file and one entry, a stranger's is found by import path or entry point."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from deltanas import open_run, search
from deltanas.config import SearchConfig, read_config
from deltanas.errors import UsageError
from deltanas.propose import STRATEGIES, Context, RandomProposer, Space, Strategy, strategy_named
from deltanas.settings import Section
from deltanas.wiring.proposing import context_of, parent_rule_of, proposer_of
from deltanas.wiring.resuming import resumed_config
from support import Command

TOY = '''
"""A strategy of its own file."""

from pydantic import Field

from deltanas.propose import RandomProposer, Space, Strategy
from deltanas.settings import Section


class Toys(Section):
    count: int = Field(3, ge=1, description="number of toys")


class ToyProposer(RandomProposer):
    strategy = "toy"


def first(slot, journal, rng):
    return journal[0].program


TOY = Strategy(
    name="toy",
    about="a toy",
    build=lambda context: ToyProposer(Space(context.builds), batch=context.own(Toys).count),
    settings=Toys,
    parent=lambda context: first,
)
'''
SMALL = {"cycles": 1, "candidates": 2, "baselines": ["mlp", "nin"], "train": {"size": 100}, "finals": 0}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy's file on the path, under a name of its own for each test."""
    module = f"toy_{re.sub(r'[^a-z0-9]', '_', tmp_path.name)}"
    (tmp_path / f"{module}.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    return module


def offered(folder: Path, package: str, name: str, value: str) -> None:
    """What pip leaves of an installed package."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[deltanas.strategies]\n{name} = {value}\n")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_record_says_what_its_strategy_is(name: str) -> None:
    record = STRATEGIES[name]
    assert strategy_named(name) is record
    assert (record.name, bool(record.about)) == (name, True)
    if not record.calls:
        proposer = record.build(Context())
        assert proposer.strategy == name
    else:
        with pytest.raises(UsageError, match="asks a language model"):
            record.build(Context())


def test_one_file_and_one_entry_add_a_strategy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Toys(Section):
        count: int = 3

    class ToyProposer(RandomProposer):
        strategy = "toy"

    toy = Strategy(
        name="toy",
        about="a toy",
        build=lambda context: ToyProposer(Space(context.builds), batch=context.own(Toys).count),
        settings=Toys,
    )
    monkeypatch.setitem(STRATEGIES, "toy", toy)
    assert proposer_of(read_config({"strategy": "toy", "toy": {"count": 5}}), None, None).batch == 5
    assert read_config({"strategy": "random"}).model_dump()["toy"] == {"count": 3}
    with pytest.raises(UsageError, match=r"unknown config key `toy\.size`\n.*known keys: count"):
        read_config({"toy": {"size": 5}})


def test_a_strategy_at_an_import_path_searches_and_resumes(toy: str, tmp_path: Path) -> None:
    spec = f"{toy}:TOY"
    given = {**SMALL, "strategy": spec, "toy": {"count": 1}}
    view = search(given, run=tmp_path / "run")
    made = [candidate for candidate in view.candidates if candidate.cycle]
    assert [candidate.strategy for candidate in made] == ["toy"] * 2
    assert {candidate.parent for candidate in made} == {view.candidates[0].program.id}, "its own rule of parents"  # type: ignore[union-attr]
    stored = view.manifest["config"]
    assert isinstance(stored, dict)
    assert (stored["strategy"], stored["toy"]) == (spec, {"count": 1})
    longer = search({"cycles": 2, "strategy": spec}, run=tmp_path / "run")
    assert [candidate.strategy for candidate in longer.candidates if candidate.cycle] == ["toy"] * 4
    with pytest.raises(UsageError, match=r"begun with `toy\.count` = 1, not 2"):
        resumed_config(stored, {"toy": {"count": 2}})


def test_an_entry_point_of_an_installed_package_is_a_strategy(toy: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is none of this name"):
        strategy_named("toy")
    offered(tmp_path, "toys", "toy", f"{toy}:TOY")
    config = read_config({"strategy": "toy", "toy": {"count": 7}})
    assert (proposer_of(config, None, None).strategy, proposer_of(config, None, None).batch) == ("toy", 7)
    assert config.proposing.about == "a toy"
    with pytest.raises(UsageError, match=r"'tay': there is none of this name\n.*known: delta, .*, outside, toy"):
        strategy_named("tay")
    offered(tmp_path, "rivals", "toy", "rivals.toys:TOY")
    with pytest.raises(UsageError, match=r"(?s)is offered by \w+ and by \w+\n.*by its place: .*:TOY"):
        strategy_named("toy")


def test_a_package_that_offers_the_name_of_a_built_in_strategy_is_told_apart(toy: str, tmp_path: Path) -> None:
    offered(tmp_path, "toys", "random", f"{toy}:TOY")
    with pytest.raises(
        UsageError, match=r"'random' is offered by deltanas itself and by toys\n.*by its place: \w+:TOY"
    ):
        read_config({"strategy": "random"})
    assert strategy_named(f"{toy}:TOY").name == "toy"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "absent.module:TOY", r"No module named 'absent'\n.*is its package installed"),
        ("import absent_too", "{}:TOY", r"No module named 'absent_too'\n.*importing \w+ fails"),
        ("x = = 3", "{}:TOY", r"invalid syntax.*\n.*importing \w+ fails"),
        ("\nTOY = Strategi()", "{}:TOY", r"NameError: name 'Strategi' .*\.py, line 2.*\n.*importing \w+ fails"),
        (TOY, "{}:TYO", r"has no 'TYO'\n.*its strategies: \w+:TOY"),
        ("TOY = 3", "{}:TOY", r"is of type int, and no Strategy\n.*Strategy\(name=\.\.\., about"),
        (TOY.replace('name="toy"', 'name="random"'), "{}:TOY", "has the name of a built-in one, 'random'"),
        (TOY.replace('name="toy"', 'name="my toy"'), "{}:TOY", r"has the name 'my toy'\n.*lower-case letters"),
        (TOY.replace('name="toy"', 'name="train"'), "{}:TOY", "'train' has the name of a setting"),
        (TOY.replace("(Section)", "").replace("settings=Toys", "settings=dict"), "{}:TOY", "settings of type dict"),
        ("", ":TOY", "Empty module name"),
    ],
)
def test_a_strategy_that_can_not_be_had_says_why(text: str, name: str, message: str, toy: str, tmp_path: Path) -> None:
    (tmp_path / f"{toy}.py").write_text(text)
    with pytest.raises(UsageError) as error:
        read_config({"strategy": name.format(toy)})
    assert re.search(message, str(error.value)), str(error.value)


def test_settings_that_forgive_unknown_keys_are_refused(toy: str, tmp_path: Path) -> None:
    text = TOY.replace("class Toys(Section)", "import pydantic\n\n\nclass Toys(pydantic.BaseModel)")
    (tmp_path / f"{toy}.py").write_text(text)
    with pytest.raises(UsageError, match=r"(?s)settings of type \w+, no Section.*deltanas\.settings\.Section"):
        strategy_named(f"{toy}:TOY")


def test_what_the_settings_give_to_a_strategy() -> None:
    config = read_config({"strategy": "evolution", "evolution": {"population": 3}, "model": {"decoding": "free"}})
    context = context_of(config)
    assert context.asking.decoding == "free"
    rule: object = parent_rule_of(config)
    assert context.settings is rule
    assert SearchConfig.model_fields["strategy"].default == "delta"


def test_the_strategy_of_the_docs_runs(deltanas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text("utf-8")
    (name, code), *_ = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^    deltanas search (--strategy \w+:\w+ .*)$", text, re.MULTILINE)
    (tmp_path / name).write_text(code)
    small = ("--cycles", 1, "--candidates", 2, "--baseline", "mlp", "--train-size", 100, "--run", "run")
    done = deltanas("search", *command.split(), *small)
    assert done.returncode == 0, done.stderr
    del sys.modules[Path(name).stem]
    done = deltanas("search", "--cycles", 2, "--run", "run")  # resumed by what is stored
    assert done.returncode == 0, done.stderr
    view = open_run(tmp_path / "run")
    made = [candidate for candidate in view.candidates if candidate.cycle]
    assert len(made) == 4
    assert {candidate.strategy for candidate in made} == {"favourite"}
    assert {candidate.kept.kind for candidate in made if candidate.kept} == {"width"}
