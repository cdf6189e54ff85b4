"""A copy of the package in which a test adds something as a contributor would; it counts the files touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import deltanas


def toy(name: str) -> str:
    """The text of a file of `extending/toys`, which `docs/extending.md` shows."""
    return (Path(__file__).parent / "extending" / "toys" / name).read_text("utf-8")


class House:
    """The package in a folder of its own. `touched`: the files that were added or changed, as paths in the package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.touched: set[str] = set()
        self._package = folder / "deltanas"
        self._python = folder / "venv" / "bin" / "python"
        shutil.copytree(Path(deltanas.__file__).parent, self._package)  # with what is compiled
        # An interpreter of its own: the fork server takes no package path from outside.
        venv.create(folder / "venv", symlinks=True)
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        installed = [path for path in sys.path if path.endswith("site-packages")]
        (site / "house.pth").write_text("\n".join([str(folder), *installed]))

    def add(self, name: str, text: str) -> None:
        """A file that was not there."""
        assert not (self._package / name).exists()
        self._write(name, text)

    def change(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace texts that stand in a file once; where "" stands for the text, append."""
        text = (self._package / name).read_text("utf-8")
        for old, new in changes:
            assert not old or text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
            text = text.replace(old, new) if old else f"{text}\n\n{new}"
        self._write(name, text)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """`deltanas` of this copy, in its folder."""
        return self._ran("-c", "from deltanas.cli import main; main()", *map(str, arguments))

    def python(self, code: str) -> str:
        """What a program prints that imports this copy."""
        return self._ran("-c", code).stdout

    def _ran(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = subprocess.run(
            [str(self._python), *arguments],
            cwd=self.folder, env=env, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def _write(self, name: str, text: str) -> None:
        self.touched.add(name)
        (self._package / name).write_text(text, "utf-8")
