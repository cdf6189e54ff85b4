"""`experts assemble` prints a program that the other commands take, or ends with the line that stands in the way."""

from __future__ import annotations

import json
from pathlib import Path

from deltanas.nets import DEFAULT_PRM, baseline
from deltanas.program.assembly import Expert, assembled
from deltanas.program.heads import Head
from support import Command


def test_a_mixture_is_printed_and_checks(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(baseline("mlp"))
    done = deltanas("experts", "assemble", "nin", "mine.py", "--head", "mean", "--loss", "joint", "--prm", "lr=0.01")
    prm = {**DEFAULT_PRM, "lr": 0.01}
    wanted = assembled(
        [Expert("mine", baseline("mlp"), prm), Expert("nin", baseline("nin"), prm)], Head("mean", "joint")
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")
    told = json.loads(deltanas("experts", "assemble", "nin", "nin", "vgg", "mlp", "--json").stdout)
    assert told["experts"] == ["mlp", "nin", "nin", "vgg"]
    (tmp_path / "mixture.py").write_text(told["source"])
    assert "mixture.py: ok" in deltanas("check", "mixture.py", "--dataset", "digits").stdout


def test_what_can_not_be_assembled_is_told(deltanas: Command, tmp_path: Path) -> None:
    (tmp_path / "star.py").write_text(f"from math import *\n{baseline('mlp')}")
    refused = deltanas("experts", "assemble", "star.py", "nin")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "star, line 1: `from math import *` does not tell which names it binds" in refused.stderr
    (tmp_path / "star.py").write_text(f"from math import pi\n{baseline('mlp')}")  # as the hint says
    assert deltanas("experts", "assemble", "star.py", "nin").returncode == 0
    alone = deltanas("experts", "assemble", "nin")
    assert alone.returncode == 2
    assert "a mixture joins 2 to 8 programs, not 1" in alone.stderr
    assert deltanas("experts", "assemble", "mlp", "nin", "vgg", "vit").returncode == 0  # as its hint says
    nine = deltanas("experts", "assemble", *["mlp"] * 9)
    assert nine.returncode == 2
    assert "a mixture joins 2 to 8 programs, not 9" in nine.stderr
    (tmp_path / "wide.py").write_text(baseline("mlp").replace("out_shape[0]", "(out_shape[0] + 1)"))
    (tmp_path / "odd.py").write_text(deltanas("experts", "assemble", "wide.py", "nin").stdout)
    unlike = deltanas("check", "odd.py", "--dataset", "digits")
    assert unlike.returncode == 1
    assert "the experts give outputs of unlike shapes: (2, " in unlike.stdout


def test_a_search_joins_baselines_and_its_study_tells_of_them(deltanas: Command, tmp_path: Path) -> None:
    names = ["mlp", "nin", "shufflenet", "convmixer", "vit"]
    (tmp_path / "star.py").write_text(f"from math import *\n{baseline('mlp').replace('width = 256', 'width = 32')}")
    given = [*(part for name in [*names, "star.py"] for part in ("--baseline", name)), "--train-size", "100"]
    search = ["search", "--strategy", "experts", "--cycles", "1", "--candidates", "2", "--epochs", "1", *given]
    rehearsed = deltanas(*search, "--dry-run")
    assert "strategy: experts, count 4, head gate, loss own" in rehearsed.stdout
    done = deltanas(*search, "--run", "run")
    assert done.returncode == 0, done.stderr
    assert "in no mixture: star, line 1: `from math import *`" in done.stdout + done.stderr
    told = json.loads(deltanas("study", "experts", "run", "--json").stdout)
    assert (told["mixtures"], told["trained"]["value"], told["faults"]) == (2, 1.0, [])
    assert {name for name, _ in told["experts"]} == {*names, "star"}
    text = deltanas("study", "experts", "run").stdout
    assert "2 mixtures of 5 trained baselines" in text
    assert "gain over the best of its own experts" in text
    none = deltanas("study", "experts", "run", "--exported", "nowhere")
    assert none.returncode == 2
    hint = none.stderr.strip().splitlines()[-1]
    assert "deltanas runs export run --out nowhere" in hint
    few = deltanas("search", "--strategy", "experts", "--baseline", "mlp", "--baseline", "star.py", "--run", "few")
    assert few.returncode == 2
    assert "joins 4 baselines, and 1 are given that fit" in few.stderr
    assert "star, line 1" in few.stderr
    assert not (tmp_path / "few").exists()
