"""What an archive does with schemas of other versions, and what its own one refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, IntegrityError

from archive_rows import CANDIDATES, sql
from deltanas.archive import RunArchive, create_run, list_runs, open_run, schema
from deltanas.archive.place import place_of
from deltanas.archive.tables import metadata
from deltanas.errors import ArchiveError


class SchemaContract:
    """A suite gives the fixtures `url` and `run`."""

    def test_a_newer_schema_is_refused(self, url: str, run: RunArchive) -> None:
        run.close()
        sql(url, "UPDATE deltanas_schema SET version_num = '9999'")
        uses: list[Callable[[str], object]] = [
            list_runs,
            lambda url: open_run(url, "first"),
            lambda url: create_run(url, "second", {}),
        ]
        for use in uses:
            with pytest.raises(
                ArchiveError, match=r"newer deltanas \(schema 9999, this version knows 0\d+\)"
            ) as refusal:
                use(url)
            assert "Upgrade" in refusal.value.hint

    def test_an_older_schema_is_brought_up_to_date_or_left_whole(
        self, url: str, run: RunArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run.open(CANDIDATES)
        run.close()
        newer = tmp_path / "migrations"
        shutil.copytree(schema.MIGRATIONS, newer, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(schema, "MIGRATIONS", newer)
        command.revision(schema.scripts(), "a colour", rev_id="9000")
        (script,) = (newer / "versions").glob("9000_*.py")
        body = "op.add_column('runs', sa.Column('colour', sa.Text))"
        empty = script.read_text()
        script.write_text(
            empty.replace("raise NotImplementedError", f"{body}\n    op.execute('SELECT nonsense FROM runs')")
        )
        with pytest.raises(ArchiveError, match="nonsense"):
            list_runs(url)
        with pytest.raises(DBAPIError, match="colour"):
            sql(url, "SELECT colour FROM runs")
        script.write_text(empty.replace("raise NotImplementedError", body))
        with open_run(url, "first") as reader:
            assert reader.candidates() == CANDIDATES
        assert sql(url, "SELECT colour FROM runs") is None
        assert sql(url, "SELECT version_num FROM deltanas_schema") == "9000"

    def test_the_files_of_the_migrations_name_the_versions_in_their_order(self) -> None:
        steps = ScriptDirectory.from_config(schema.scripts()).walk_revisions()
        assert schema.known() == [step.revision for step in steps][::-1]

    def test_the_migrations_make_the_tables(self, url: str, run: RunArchive) -> None:
        with place_of(url).engine(write=True).connect() as connection:
            options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []

    def test_a_score_without_a_training_can_not_be_stored(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        run.close()
        for change in ("score = 0.5 WHERE status = 'failed'", "status = 'fine'", "settled = NULL"):
            with pytest.raises(IntegrityError, match=r"(?i)check constraint"):
                sql(url, f"UPDATE candidates SET {change}")
