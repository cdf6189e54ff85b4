"""A screened search: what was foretold is journalled, and a run that was killed ends as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltanas import nets
from deltanas.archive import RunArchive, begin_run, read_folder
from deltanas.config import read_config
from deltanas.errors import DataError, UsageError
from deltanas.forecast import Forecaster, Table, builtin, write_table
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Program, prm_text
from deltanas.propose import RandomProposer, Space
from deltanas.propose.screen import Screen
from deltanas.report.figures import summary
from deltanas.report.page import document, draw
from deltanas.seams import silent
from deltanas.search import Search
from deltanas.wiring.resuming import resumed_config
from deltanas.wiring.screening import forecast_of
from scripted_search import Fuse, Scores, StopError

BASELINES = {name: Program.of(nets.baselines()[name], prm=prm_text(nets.DEFAULT_PRM)) for name in ("mlp", "vgg")}


def run(archive: RunArchive, fuse: int | None = None) -> None:
    forecast = Forecaster(builtin())
    proposer = RandomProposer(Space(None, screen=Screen(forecast, 8)), batch=4)
    plan = Plan(cycles=3, candidates=8, seed=1, finals=0)
    runner = Scores(Fuse(fuse))
    Search(plan, BASELINES, proposer, [], NoveltyGate(), runner, archive, silent, forecast=forecast).run()


def told(archive: RunArchive) -> list[tuple[object, ...]]:
    return [
        (row.cycle, row.index, row.program and row.program.id, row.score, *[one.predicted for one in row.attempts])
        for row in archive.rows()
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    _, archive = begin_run(path, None, {"config": {"screen": "builtin"}})
    with archive:
        run(archive)
    return path


@pytest.mark.parametrize("fuse", [1, 11, 19])
def test_a_killed_run_ends_with_the_same_rows(undisturbed: Path, tmp_path: Path, fuse: int) -> None:
    _, archive = begin_run(tmp_path / "run", None, {"config": {}})
    with archive, pytest.raises(StopError):
        run(archive, fuse)
    with read_folder(tmp_path / "run").open(writer=True) as archive:
        run(archive)
        found = told(archive)
    with read_folder(undisturbed).open() as archive:
        assert found == told(archive)
    assert all(isinstance(row[4], float) for row in found if row[0]), "each proposal of the search was foretold"


def test_the_report_tells_what_the_forecast_is_worth(undisturbed: Path) -> None:
    with read_folder(undisturbed).open() as archive:
        view = archive.view()
    screen = summary(view).screen
    assert screen is not None
    assert (screen.on, [cycle.cycle for cycle in screen.cycles]) == (True, [1, 2, 3])
    assert screen.n == sum(cycle.n for cycle in screen.cycles) > 12
    assert screen.low is not None
    assert screen.rho is not None
    assert screen.low < screen.rho
    page = document(draw(view))
    assert "Gains foretold and measured" in page
    assert screen.told in page


def test_a_table_is_the_builtin_or_a_file_or_a_run(tmp_path: Path, undisturbed: Path) -> None:
    lines: list[str] = []
    found = forecast_of(read_config({"strategy": "random", "screen": "builtin", "edits": "net,recipe"}), lines.append)
    assert found is not None
    assert "3,033 measured edits, of fashion-mnist, 4,000 images" in lines[0]
    assert "0 measured edits of the part recipe" in lines[1]
    write_table(tmp_path / "table", Table(builtin().rows[:300]))
    measured = forecast_of(read_config({"screen": str(tmp_path / "table")}), lines.append)
    assert measured is not None
    assert len(measured.table.rows) == 300
    other = forecast_of(read_config({"screen": str(undisturbed)}), lines.append)
    assert other is not None
    assert 12 < len(other.table.rows) <= 24
    assert not other.knows("net"), "they are too few"
    assert forecast_of(read_config({"screen": "off"}), lines.append) is None


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing at this place"):
        forecast_of(read_config({"screen": str(tmp_path / "none")}), print)
    (tmp_path / "file").write_bytes(b"\x1f\x8bno gzip")
    with pytest.raises(DataError, match="no table of measured edits"):
        forecast_of(read_config({"screen": str(tmp_path / "file")}), print)


def test_of_another_task_the_builtin_knows_nothing() -> None:
    lines: list[str] = []
    config = read_config({"strategy": "random", "screen": "builtin"}).model_copy(update={"task": "toy"})
    found = forecast_of(config, lines.append)
    assert found is not None
    assert not found.knows("net")
    assert "are of classification, and the task is toy" in lines[0]


def test_a_run_keeps_its_screen() -> None:
    begun = {"strategy": "random", "screen": "builtin"}
    assert resumed_config(begun, {}).screen == "builtin"
    for now in ("off", "elsewhere"):
        with pytest.raises(UsageError, match="begun with `screen` = 'builtin'"):
            resumed_config(begun, {"screen": now})
    assert resumed_config({**begun, "screen": "here"}, {"screen": "there"}).screen == "there", "what lies there counts"
    assert read_config({}).screen == "off"
