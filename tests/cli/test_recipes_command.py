"""`recipes inject` prints the program, or ends with status 1 and the reason on stderr."""

from __future__ import annotations

import json
from pathlib import Path

from deltanas import nets
from deltanas.program.recipes import with_recipe
from support import Command


def test_the_program_is_printed_or_refused_with_the_line(deltanas: Command, tmp_path: Path) -> None:
    base = nets.baseline("mlp")
    (tmp_path / "mlp.py").write_text(base)
    done = deltanas("recipes", "inject", "mlp.py", "--loss", "ngl", "--optimizer", "sgd", "--lr", "0.01")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == with_recipe(base, loss="ngl", optimizer="sgd", rate=0.01)
    same = deltanas("recipes", "inject", "-", "--loss", "ce", "--json", text=base)
    assert json.loads(same.stdout) == {"source": base, "changed": False}
    assert same.stderr == "unchanged: the program has all of this\n"
    assert deltanas("recipes", "inject", "-", text=base).stderr == "unchanged: no recipe is named\n"
    (tmp_path / "odd.py").write_text(base.replace("return x", "return x.softmax(1)"))
    refused = deltanas("recipes", "inject", "odd.py", "--loss", "nll")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "line 45: the loss gets probabilities, no logits" in refused.stderr
    assert deltanas("recipes", "inject", "mlp.py", "--loss", "mse").returncode == 2
