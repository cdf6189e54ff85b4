"""Runs the code that stands in a hint, and sees that it overwrites nothing."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from deltanas.errors import DeltanasError
from deltanas.train.data import Dataset, load
from own_data import tree

BINARIES = Path(sys.executable).parent


@dataclass(frozen=True)
class Hinted:
    """An input that is refused, and what its hint must do for it.

    Attributes:
        lay: lays it down in a folder and returns the name of the data set, as seen from there.
        says: a pattern of the message.
        follow: what the hint says in prose, done; returns the name of the data set that is mended so. None: each
            piece of code in the hint is run instead, on an input of its own.
        options: of `load`. mended: of `load` after the hint.
        given: names that the code leaves to the user.
    """

    name: str
    lay: Callable[[Path], str]
    says: str
    follow: Callable[[Path], str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    mended: Mapping[str, Any] = field(default_factory=dict)
    given: str = ""

    def refusal(self, folder: Path) -> tuple[str, DeltanasError]:
        name = self.lay(folder)
        with pytest.raises(DeltanasError, match=self.says) as caught:
            load(name, **self.options)
        return name, caught.value

    def mend(self, folder: Path) -> Iterator[tuple[str, Dataset]]:
        """Each way that the hint names, on a copy of the input: what was run, and the data set that comes of it."""
        name, error = self.refusal(folder)
        ways: list[str | None] = [None] if self.follow else list(code_in(error.hint))
        assert ways, f"no code in backticks: {error.hint}"
        for way in ways:
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            self.lay(folder)
            before = tree(folder)
            after = self._named(error.hint, name) if way else name
            if way:
                run(way, folder, self.given)
            elif self.follow:
                after = self.follow(folder)
            kept = list(tree(folder).values())
            assert all(kept.count(content) >= 1 for content in before.values()), "the hint lost or changed a file"
            yield way or "by hand", load(after, **{**self.options, **self.mended})

    @staticmethod
    def _named(hint: str, name: str) -> str:
        named = re.search(r"name ((?:npz|folder):\S+?)(?=[;,]? |[;,]?$)", hint.replace("\n", " "))
        return named[1] if named else name


def code_in(hint: str) -> list[str]:
    """What stands in backticks, but for single words."""
    return [code for code in re.findall(r"`([^`]+)`", hint) if " " in code]


def run(code: str, folder: Path, given: str = "") -> None:
    """Runs a line of Python, after the line `given`, or of the shell in a folder."""
    if code.startswith("import "):
        with chdir(folder):
            exec(f"{given}\n{code}", {})
        return
    command = ["bash", "-c", f"PATH={BINARIES}:$PATH; {code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{code}\n{done.stderr}"


def raised_in(package: Path) -> dict[tuple[str, int], str]:
    """Where a package makes errors with a hint, by file and last line of the call: the source of the hint."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[_, hint, *_]) if name.endswith("Error"):
                    found[str(path.relative_to(package)), node.lineno] = ast.unparse(hint)
    return found


@contextmanager
def watched(package: Path) -> Iterator[set[tuple[str, int]]]:
    """Collects where the errors of a package are made."""
    seen: set[tuple[str, int]] = set()
    made = DeltanasError.__init__

    def noted(self: DeltanasError, message: str, hint: str = "") -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame and not Path(frame.f_code.co_filename).is_relative_to(package):
            frame = frame.f_back
        if frame:
            seen.add((str(Path(frame.f_code.co_filename).relative_to(package)), frame.f_lineno))
        made(self, message, hint)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeltanasError, "__init__", noted)
        yield seen
