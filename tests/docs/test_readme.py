"""The strategy on the first page is one that the loop takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.config import read_config
from deltanas.program import Program
from deltanas.seams import Ask
from deltanas.wiring.proposing import proposer_of

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_the_strategy_of_the_first_page_proposes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [(name, code)] = re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    [named] = re.findall(r"`deltanas search --strategy (\w+:\w+)`", README)
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        proposer = proposer_of(read_config({"strategy": named}), None, None)
        asks = [Ask(1, index, 0, f"0:1:{index}:0", Program.of(nets.baselines()["mlp"])) for index in range(4)]
        proposals = proposer.propose(asks)
    finally:
        sys.modules.pop(name, None)
    assert [proposal.kind for proposal in proposals] == ["activation"] * 4
    assert all(proposal.program for proposal in proposals)
