"""The page of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from deltanas.archive import POINTER, RunArchive, RunFolder
from deltanas.errors import DeltanasError, UsageError
from deltanas.pages.held import Held
from deltanas.pages.place import require_page
from deltanas.records import RunView
from deltanas.report import Diagnostic, Drawn, Live, document, draw, render
from deltanas.task import task_of
from deltanas.whole import write_whole


def write_report(folder: RunFolder, view: RunView, path: Path | None = None, against: Sequence[RunView] = ()) -> Path:
    """Write the page whole or not at all.

    path: where to, if not in the folder of the run. against: runs to compare it with.

    Raises:
        UsageError: something else than a page is there.
    """
    target = path or folder.report
    if path is not None:
        require_page(path, "--out")
    elif target.is_dir():
        raise UsageError(f"{target} is a folder, so the report can't be written there", "move it away and try again")
    write_whole(target, render(view, lambda: _diagnostics(view), against))
    return target


def current_report(folder: RunFolder, run: RunArchive) -> Path | None:
    """The page of a run, if it was written after the search ended; a run that has ended does not change."""
    ended, page = run.ended, folder.report
    return page if ended and page.is_file() and page.stat().st_mtime >= ended.timestamp() else None


def _diagnostics(view: RunView) -> list[Diagnostic]:
    from deltanas.study import convergence_of, sections  # SciPy takes a second to load

    return [Diagnostic(s.title, s.verdict, s.figures, s.known) for s in sections(convergence_of(view))]


@dataclass(frozen=True, slots=True)
class LivePage:
    """A drawn page, as a server hands it out (`serve.Snapshot`)."""

    drawn: Drawn
    home: str = ""

    @property
    def title(self) -> str:
        return f"{self.drawn.title} · deltanas report"

    @property
    def parts(self) -> dict[str, str]:
        return {name: part.html for name, part in self.drawn.parts.items()}

    def page(self, *, nonce: str, script: str, revision: str) -> str:
        return document(self.drawn, Live(nonce, script, revision, self.home))

    def candidate(self, name: str) -> Mapping[str, object] | None:
        return self.drawn.candidate(name)


class Followed:
    """A run that another process may be writing, or is yet to begin (`serve.Run`). For one thread.

    What can't be read is said on the page, under which stands what was read last.
    """

    def __init__(self, path: Path, against: Sequence[RunView] = (), home: str = "") -> None:
        """home: address of the page that lists the runs."""
        self._path, self._against, self._home = path, against, home
        self._held = Held(path)
        self._was_there = False
        self._view = RunView(path.resolve().name, False, {}, (), {})
        self._studied: object = None
        self._diagnostics: list[Diagnostic] = []

    def stamp(self) -> object:
        try:
            pulse = self._open().pulse()
            return self._held.mark, pulse
        except DeltanasError as error:
            self.close()
            return str(error)

    def draw(self) -> LivePage:
        notice = ""
        try:
            view = self._open().view()
            task_of(view.manifest)  # one that this version does not know can't be shown
            self._view = view
        except DeltanasError as error:
            self.close()
            notice = str(error)
        return LivePage(draw(self._view, self._diagnosed, self._against, notice), self._home)

    def _open(self) -> RunArchive:
        if not (self._path / POINTER).exists():
            raise UsageError(
                f"the run at {self._path} is gone: this page waits for another one"
                if self._was_there
                else f"there is no run at {self._path} yet: this page waits for it",
                f"begin it with `deltanas search --run {quote(str(self._path))}`",
            )
        held = self._held.mark
        archive = self._held.open()
        if self._held.mark != held:
            self._was_there, self._studied = True, None
        return archive

    def close(self) -> None:
        self._held.close()

    def _diagnosed(self) -> list[Diagnostic]:
        """Anew when a cycle has ended: they cost more than all the rest, and speak of cycles."""
        unsettled = [c.cycle for c in self._view.candidates if c.outcome is None]
        settled = [c.cycle for c in self._view.candidates if c.outcome is not None]
        reached = min(unsettled, default=max(settled, default=0) + 1), self._view.finished
        if reached != self._studied:
            self._studied, self._diagnostics = reached, _diagnostics(self._view)
        return self._diagnostics
