"""A kind of edit is a generator in a file of its own, and one entry."""

from __future__ import annotations

from pathlib import Path

from house import House, toy

KINDS = """
from deltanas import nets
from deltanas.program import edits_of

print(sorted({edit.kind for edit in edits_of(nets.baseline("mlp"))}))
"""


def test_an_edit_kind_touches_two_files(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert "'bias'" not in house.python(KINDS)
    house.add("program/space/bias.py", toy("edit_kind.py"))
    house.change(
        "program/space/__init__.py",
        ("    restoration_changes,\n)", "    restoration_changes,\n    bias_changes,\n)"),
        ("from deltanas.program.space.recipe import", "from deltanas.program.space.bias import bias_changes\n"
         "from deltanas.program.space.recipe import"),
    )  # fmt: skip
    assert house.touched == {"program/space/bias.py", "program/space/__init__.py"}
    assert "'bias'" in house.python(KINDS)
