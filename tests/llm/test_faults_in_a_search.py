"""A search with a server that does everything wrong in turn: no slot is spent, the run ends as an undisturbed one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deltanas.archive import RunArchive, create_run, read_folder, sqlite_url
from deltanas.cli import main
from deltanas.config import read_config
from deltanas.errors import ModelError
from deltanas.llm import open_model
from deltanas.llm.line import KEY
from deltanas.nets import baseline
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Program, Refused, diff
from deltanas.propose import Asking, FullProposer, Space
from deltanas.records import Candidate
from deltanas.rehearsal import rehearse
from deltanas.seams import silent
from deltanas.search import Search
from deltanas.wiring import open_search
from deltanas.wiring.proposing import first_request
from faulty_server import Handler, Server, answers, completion, running_server, says
from scripted_search import Fuse, Scores
from server_answers import ENDING, PASSING, SAID, TOO_MUCH, WITHOUT, Case, told
from tiny_model import SMALL

PLAN = Plan(cycles=2, candidates=3, seed=5, retries=1, finals=0)
EDIT = diff(baseline("mlp"), baseline("mlp").replace("nn.GELU", "nn.SiLU").replace("nn.ReLU", "nn.SiLU"))


def new_width(handler: Handler, body: dict[str, Any]) -> None:
    """The whole program with another width, by what is asked; every third reply is of no use."""
    asked = "".join("".join(message["content"].split()) for message in body["messages"])
    drawn = int(hashlib.sha256(asked.encode()).hexdigest(), 16) % 200
    said = SMALL.replace("8,", f"{drawn + 9},").replace("(8", f"({drawn + 9}") if drawn % 3 else "I would rather not."
    handler.send(200, json.dumps(completion(f"```python\n{said}```\n")))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sqlite_url(tmp_path_factory.mktemp("archive") / "archive.db")


@pytest.fixture(scope="module")
def undisturbed(url: str) -> list[Candidate]:
    """The rows of a run whose server never fails."""
    with running_server() as server, create_run(url, "undisturbed", {}) as archive:
        server.otherwise = new_width
        search(server, archive)
        return rows(archive)


def search(server: Server, archive: RunArchive, retries: int = 0, batch: int = 2) -> None:
    """Begin a run or take it up, with a server that is met anew."""
    model = open_model(server.spec, timeout=5.0, retries=retries)
    proposer = FullProposer(model, Space(None), Asking(batch=batch, top_k=5))
    baselines = {"small": Program.of(SMALL)}
    Search(PLAN, baselines, proposer, [], NoveltyGate(), Scores(Fuse()), archive, silent).run()


def rows(archive: RunArchive) -> list[Candidate]:
    """All that a run holds of its candidates, but for how long the server took and whether it counted tokens."""
    found = []
    for candidate in archive.view().candidates:
        attempts = [
            replace(one, calls=tuple(replace(call, model="", seconds=0.0) for call in one.calls))
            for one in candidate.attempts
        ]
        found.append(replace(candidate, attempts=tuple(attempts)))
    return found


def refusals(found: list[Candidate]) -> list[Refused]:
    return [attempt.refusal for candidate in found for attempt in candidate.attempts if attempt.refusal]


def test_the_undisturbed_run_has_all_that_a_run_may_have(undisturbed: list[Candidate]) -> None:
    assert len(undisturbed) == 7
    assert {refusal.stage for refusal in refusals(undisturbed)} == {"novelty", "apply"}
    assert {len(one.attempts) for one in undisturbed[1:]} == {1, 2}
    assert sum(one.score is not None for one in undisturbed) > 3


@pytest.mark.parametrize("case", [*PASSING, *ENDING, *WITHOUT, *TOO_MUCH], ids=lambda case: case.name)
def test_a_fault_of_the_server_costs_no_slot_and_the_run_ends_as_an_undisturbed_one(
    server: Server, url: str, undisturbed: list[Candidate], case: Case
) -> None:
    server.otherwise = new_width
    server.plan = [new_width] * 5 + [case.say]
    with create_run(url, case.name, {}) as archive:
        if case.outcome in ("ends", "passes"):
            with pytest.raises(ModelError, match="resumes it"):
                search(server, archive)
            assert not archive.finished
            assert all(one in undisturbed for one in rows(archive) if one.outcome)
        search(server, archive)
        assert archive.finished
        assert rows(archive) == undisturbed
    assert server.plan == []


@pytest.mark.parametrize("case", PASSING[::5], ids=lambda case: case.name)
def test_what_passes_within_the_budget_is_not_seen(
    server: Server, url: str, undisturbed: list[Candidate], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltanas.llm.server.PAUSE", 0.0)
    server.otherwise = new_width
    server.plan = [new_width] * 3 + [case.say]
    with create_run(url, f"{case.name} passes", {}) as archive:
        search(server, archive, retries=1)
        assert rows(archive) == undisturbed


@pytest.mark.parametrize("case", [TOO_MUCH[0], TOO_MUCH[-1], *SAID[::2]], ids=lambda case: case.name)
def test_what_is_no_fault_of_the_servers_is_written_down_as_what_it_is(server: Server, url: str, case: Case) -> None:
    server.otherwise = new_width
    server.plan = [new_width] * 3 + [case.say] * (2 if case.outcome == "prompt" else 1)
    with create_run(url, f"{case.name} spent", {}) as archive:
        search(server, archive, batch=1)
        (found,) = [refusal for refusal in refusals(rows(archive)) if case.words in refusal.reason]
    assert found.stage == ("apply" if case.outcome == "prompt" else "parse")
    assert found.reason.startswith("the server does not take the prompt" if case.outcome == "prompt" else "the reply")


def test_a_whole_search_by_the_command(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY, "sk-very-secret")
    server.plan = [says("yes"), answers(401, "bad key sk-very-secret")]
    server.otherwise = says(EDIT)
    run = tmp_path / "run"
    options = "--dataset digits --baseline mlp --cycles 1 --candidates 1 --decoding free --train-size 100 --epochs 1"
    command = ["deltanas", "search", "--llm", server.spec, *options.split(), "--run", str(run), "--set", "finals=0"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "the same command resumes it" in capsys.readouterr().err
    with read_folder(run).open() as archive:
        assert [one.cycle for one in archive.view().candidates] == [0]
        assert not archive.finished
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    with read_folder(run).open() as archive:
        assert [one.score is not None for one in archive.view().candidates] == [True, True]
        assert archive.finished
    for file in run.rglob("*"):
        assert file.is_dir() or b"sk-very-secret" not in file.read_bytes()


def test_a_reply_that_leaves_no_room_for_a_prompt_is_refused_at_the_start(server: Server) -> None:
    model = {"spec": server.spec, "decoding": "free", "max_tokens": 8192}
    settings = {"dataset": "digits", "baselines": ["mlp"], "model": model}
    assert not rehearse(settings).lacks, "it does not say how much it reads"
    server.listing = {"data": [{"id": "some/model", "max_model_len": 8192}]}
    (lack,) = rehearse(settings).lacks
    assert "`model.max_tokens` = 8192 leaves 0 of the 8192 tokens" in lack.message
    assert "--set model.max_tokens=" in lack.hint


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({}, 512),
        ({"strategy": "full"}, 1536),
        ({"steps_per_edit": 2}, 1024),
        ({"steps_per_edit": 5}, 1536),
        ({"strategy": "feedback", "feedback": {"form": "full"}}, 1536),
        ({"strategy": "full", "model": {"max_tokens": 99}}, 99),
    ],
)
def test_the_first_reply_may_be_as_long_as_later_ones(given: dict[str, Any], most: int) -> None:
    assert first_request(read_config(given), ()).max_tokens == most


def test_what_is_wrong_is_found_before_a_baseline_is_trained(server: Server, tmp_path: Path) -> None:
    server.otherwise = told("You exceeded your current quota.", 429, code="insufficient_quota")
    settings = {"dataset": "digits", "baselines": ["mlp"], "model": {"spec": server.spec, "decoding": "free"}}
    (lack,) = rehearse(settings).lacks
    assert "quota" in lack.message
    with pytest.raises(ModelError, match="quota"), open_search(settings, tmp_path / "run", silent):
        pass
    assert not (tmp_path / "run").exists()
    (asked, again) = server.bodies
    assert asked == again
    assert asked.keys() >= {"seed", "top_p", "temperature", "max_tokens"}
    assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert baseline("mlp") in asked["messages"][1]["content"]
