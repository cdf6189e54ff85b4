"""From settings to what foretells gains: the table that comes with deltanas, a file, or another run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deltanas.archive import POINTER, read_folder
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.forecast import BUILTIN, LEAST, Forecaster, Table, builtin, read_table, rows_of
from deltanas.task import CLASSIFY, task_of
from deltanas.wiring.teaching import measured_edits

GZIP = b"\x1f\x8b"


def forecast_of(config: SearchConfig, tell: Callable[[str], None]) -> Forecaster | None:
    """What ranks the draws of a search; None where nothing does. tell: told what it goes by, and what it does not know.

    Raises UsageError, DataError, ArchiveError where there is no such table, or it is of another task.
    """
    if config.screen == "off":
        return None
    forecast = Forecaster(_table(config))
    known, origin = forecast.known, forecast.table.origin
    if forecast.table.rows:
        measured = (
            f", of {origin['dataset']}, {origin['train_size']:,} images, epochs {origin['epochs']}" if origin else ""
        )
        tell(f"screen: draws are ranked by {sum(known.values()):,} measured edits{measured}, and by those of this run")
    else:
        tell(f"screen: the edits that come with deltanas are of classification, and the task is {config.task}")
    for part in config.parts:
        if known[part] < LEAST:
            tell(
                f"screen: {known[part]} measured edits of the part {part}, and {LEAST} are needed: its edits are drawn"
                " unranked until the run has as many"
            )
    return forecast


def _table(config: SearchConfig) -> Table:
    if config.screen == BUILTIN:
        return builtin() if config.task == CLASSIFY.name else Table(())
    place = Path(config.screen).expanduser()
    if not place.exists():
        raise UsageError(
            f"`screen` = {config.screen!r}: there is nothing at this place",
            "give builtin, off, a file of measured edits, the folder of `python -m benchmarks gains`, or a run",
        )
    if place.is_file() and place.read_bytes()[:2] == GZIP:
        return read_table(place)
    if (place / POINTER).exists():
        _require_task(place, config.task)
    return Table(tuple(rows_of(measured_edits(place))))


def _require_task(place: Path, task: str) -> None:
    with read_folder(place).open() as run:
        theirs = task_of(run.manifest).name if "config" in run.manifest else task
    if theirs != task:
        raise UsageError(
            f"`screen` = {str(place)!r} is a run of the task {theirs}, and this one's is {task}",
            "name a run of the same task, or give --screen builtin",
        )
