"""One contract, held by SQLite and by PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings

from archive_rows import (
    APPLIED,
    ATTEMPTS,
    BASE,
    CANDIDATES,
    CHILD,
    FAILED,
    MANIFEST,
    NO_EDIT,
    OTHER,
    TRAINED,
    sql,
)
from deltanas.archive import RunArchive, create_run, list_runs, open_run, sqlite_url
from deltanas.archive.place import place_of
from deltanas.errors import ArchiveError
from deltanas.program import Program, Refused, combined
from deltanas.records import Attempt, Candidate, Draft, Duel, Final, Lease, Measurement, Pair
from deltanas.seams import Archive
from deltanas.testing import ArchiveContract
from schema_contract import SchemaContract


class StoreContract(SchemaContract, ArchiveContract):
    """What both databases hold on top of the contract of archives."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def run(self, url: str) -> Iterator[RunArchive]:
        with create_run(url, "first", MANIFEST) as run:
            yield run

    @pytest.fixture(autouse=True)
    def _placed(self, url: str) -> Iterator[None]:
        self._url, self._opened = url, ExitStack()
        with self._opened:
            yield

    def archive(self) -> Archive:
        return self._opened.enter_context(create_run(self._url, "first", MANIFEST))

    def reopened(self, archive: Archive) -> Archive:
        return self._opened.enter_context(open_run(self._url, "first"))

    def test_all_that_is_stored_comes_back_equal(self, url: str, run: RunArchive) -> None:
        run.open(list(reversed(CANDIDATES)))
        run.record(1, 0, TRAINED, TRAINED)
        run.add_final(Final(CHILD.id, FAILED))
        final = replace(TRAINED, score=0.1 + 0.2, confusion=((0, 0, 5), (0, 11, 2), (999, 0, 2**40)))
        run.add_final(Final(BASE.id, final))
        expected = [CANDIDATES[0], replace(CANDIDATES[1], outcome=TRAINED, trainings=(TRAINED,)), *CANDIDATES[2:]]
        assert run.candidates() == expected
        with open_run(url, "first") as reader:
            view = reader.view()
            assert (reader.name, reader.manifest, reader.finished) == ("first", MANIFEST, False)
            assert reader.program(CHILD.id) == CHILD
            assert reader.program(CHILD.id).parent == BASE.id
        assert list(view.candidates) == expected
        assert view.programs == {program.id: program for program in (BASE, CHILD, OTHER)}
        assert view.finals == (Final(CHILD.id, FAILED), Final(BASE.id, final))
        assert (view.name, view.manifest, view.finished) == ("first", MANIFEST, False)

    def test_any_text_comes_back_equal(self, run: RunArchive) -> None:
        cycles = count()

        @settings(max_examples=40, deadline=None)
        @given(ATTEMPTS)
        def comes_back(attempts: tuple[Attempt, ...]) -> None:
            candidate = Candidate(next(cycles), 0, "delta", None, None, attempts, Refused("apply", "none"))
            run.open([candidate])
            assert run.candidates()[-1] == candidate

        comes_back()

    def test_nul_and_lone_surrogates_are_replaced_visibly(self, run: RunArchive) -> None:
        broken = Program.of("x = '\x00\ud800'\n")
        attempt = Attempt("a\x00b\udfff", None, "\x00", Refused("contract", "\x00"))
        run.open([Candidate(0, 0, "delta", None, Draft(broken), (attempt,))])
        (stored,) = run.candidates()
        assert stored.attempts == (Attempt("a\ufffdb\ufffd", None, "\ufffd", Refused("contract", "\ufffd")),)
        assert stored.draft is not None
        assert (stored.draft.program.id, stored.draft.program.net) == (broken.id, "x = '\ufffd\ufffd'\n")

    def test_open_is_all_or_nothing(self, run: RunArchive) -> None:
        run.open(CANDIDATES[:1])
        with pytest.raises(ArchiveError, match="cycle 0, index 0 already"):
            run.open([CANDIDATES[1], CANDIDATES[0]])
        with pytest.raises(ArchiveError, match="cycle 1, index 0 already"):
            run.open([CANDIDATES[1], CANDIDATES[1]])
        with pytest.raises(ArchiveError, match=f"no program {OTHER.id}, named as a parent"):
            run.open([CANDIDATES[1], replace(CANDIDATES[2], parent=OTHER.id)])
        assert run.candidates() == CANDIDATES[:1]
        assert list(run.view().programs) == [BASE.id]

    def test_measurements_belong_to_candidates_and_are_made_once(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        run.record(1, 0, TRAINED, TRAINED)
        before = run.pulse()
        timed, none = Measurement("latency_ms", 0.25, 0.24, 0.27, 50), Measurement("latency_ms", None, detail="é\n")
        run.measure(1, 0, timed)
        run.measure(0, 0, none)
        run.measure(0, 0, Measurement("memory", 1e-300, 0.0, 1.0, 1))
        assert run.pulse() != before
        with pytest.raises(ArchiveError, match="cycle 1, index 0 has its latency_ms already"):
            run.measure(1, 0, none)
        with pytest.raises(ArchiveError):
            run.measure(7, 0, timed)
        for rows in (run.candidates(), list(run.rows())):
            found = {(row.cycle, row.index): row.measurements for row in rows}
            assert found[1, 0] == (timed,)
            assert found[0, 0] == (none, Measurement("memory", 1e-300, 0.0, 1.0, 1))
            assert not any(made for slot, made in found.items() if slot not in ((0, 0), (1, 0)))

    def test_settling_twice_is_told(self, run: RunArchive) -> None:
        run.open(CANDIDATES)
        run.record(1, 0, FAILED, FAILED)
        with pytest.raises(ArchiveError, match="settled already"):
            run.record(1, 0, TRAINED, TRAINED)
        with pytest.raises(ArchiveError, match=r"settled already \(refused\)"):
            run.record(1, 1, TRAINED, TRAINED)
        with pytest.raises(ArchiveError, match="never opened"):
            run.record(9, 9, TRAINED, TRAINED)
        assert run.candidates()[1].outcome == FAILED

    def test_each_training_is_kept_and_the_last_settles(self, run: RunArchive) -> None:
        run.open(CANDIDATES)
        second = replace(TRAINED, score=0.5, seed=5)
        run.record(1, 0, TRAINED, None)
        assert (run.candidates()[1].outcome, run.candidates()[1].trainings) == (None, (TRAINED,))
        run.record(1, 0, second, combined([TRAINED, second]))
        settled = run.candidates()[1]
        assert settled.trainings == (TRAINED, second)
        assert settled.score == (0.8125 + 0.5) / 2
        assert settled.standard_error == pytest.approx(0.15625)
        with pytest.raises(ArchiveError, match="settled already"):
            run.record(1, 0, second, None)
        assert len(run.candidates()[1].trainings) == 2

    def test_what_is_known_of_attempts_and_drafts_comes_back(self, run: RunArchive) -> None:
        tried = replace(NO_EDIT, round=1, program="p", trace="t", effective=False)
        kept = replace(APPLIED, round=1, program=CHILD.id, trace="t2", effective=True)
        draft = Draft(CHILD, 1, 2, "t2", (0.1, None, -1e-30), effective=True)
        candidate = Candidate(1, 0, "delta", BASE.id, draft, (tried, kept, tried), FAILED, (TRAINED, FAILED))
        run.open([CANDIDATES[0], candidate])
        assert run.candidates()[1] == candidate

    def test_a_run_can_be_lengthened(self, url: str, run: RunArchive) -> None:
        run.finish()
        run.amend({"config": {"cycles": 9}}, reopen=True)
        assert not run.finished
        with open_run(url, "first") as reader:
            assert (reader.manifest, reader.finished) == ({"config": {"cycles": 9}}, False)

    def test_the_pulse_moves_with_every_write(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        lease = Lease(1, 0, "ada", "t", BASE.id, "2026-01-01T00:00:00+00:00")
        writes: tuple[Callable[[], None], ...] = (
            lambda: run.ledger.lease(lease),
            lambda: run.ledger.lease(replace(lease, owner="process 1")),
            lambda: run.ledger.lease(replace(lease, asker="bob")),
            lambda: run.ledger.begin(Duel(0, 1, 0, BASE.id, 0.05, 0.01)),
            lambda: run.ledger.add(0, Pair(1, 0.5, 0.5, 2.0)),
            lambda: run.ledger.close(0, "failed", 12.5),
            lambda: run.amend({"config": {"cycles": 2}}),
            lambda: run.amend({"config": {"cycles": 9}}),
        )
        with open_run(url, "first") as reader:
            pulses = [reader.pulse()]
            for write in writes:
                write()
                pulses.append(reader.pulse())
                assert reader.pulse() == pulses[-1]
            assert len(set(pulses)) == len(pulses)
            assert reader.view().manifest == {"config": {"cycles": 9}}
            assert reader.manifest == {"config": {"cycles": 9}}
            run.amend({"config": {"cycles": 10}})
            reader.overview()
            assert reader.manifest == {"config": {"cycles": 10}}

    def test_a_program_is_one_row_and_keeps_its_first_text(self, url: str, run: RunArchive) -> None:
        again = Program.of(f"# a comment\n{BASE.net}", prm=BASE.prm)
        assert again.id == BASE.id
        run.open([CANDIDATES[0]])
        run.open([Candidate(0, 1, "baseline", None, Draft(again)), Candidate(0, 2, "baseline", None, Draft(BASE))])
        assert sql(url, "SELECT count(*) FROM programs") == 1
        assert run.program(BASE.id).net == BASE.net
        with create_run(url, "second", {}) as second:  # another run edits the text that it was given itself
            second.open([Candidate(0, 0, "baseline", None, Draft(again))])
            assert second.program(BASE.id).net == again.net

    def test_the_test_split_is_used_once_a_program(self, run: RunArchive) -> None:
        run.open(CANDIDATES)
        run.add_final(Final(CHILD.id, TRAINED))
        with pytest.raises(ArchiveError, match="final score already"):
            run.add_final(Final(CHILD.id, FAILED))
        with pytest.raises(ArchiveError):
            run.add_final(Final("0000000000000000", TRAINED))
        assert run.finals() == [Final(CHILD.id, TRAINED)]

    def test_runs_are_listed_with_what_became_of_them(self, url: str, run: RunArchive) -> None:
        begun = datetime.now(UTC)
        run.open(CANDIDATES)
        run.finish()
        with create_run(url, "second", {}):
            first, second = list_runs(url)
        assert (first.name, second.name) == ("first", "second")
        assert first.counts == {"open": 1, "refused": 2, "failed": 1, "trained": 1}
        assert abs((begun - first.created).total_seconds()) < 60
        assert first.finished is not None
        assert first.finished >= first.created
        assert (second.finished, sum(second.counts.values())) == (None, 0)
        assert run.finished

    def test_names(self, url: str, run: RunArchive) -> None:
        with pytest.raises(ArchiveError, match="no run 'nobody'") as unknown:
            open_run(url, "nobody")
        assert "first" in unknown.value.hint
        with pytest.raises(ArchiveError, match="holds a run 'first' already"):
            create_run(url, "first", {})
        for name in ("", "x" * 201, "a\x00"):
            with pytest.raises(ArchiveError, match="can't name a run"):
                create_run(url, name, {})
        with create_run(url, "../é %'\"", {}), open_run(url, "../é %'\""):
            assert [each.name for each in list_runs(url)] == ["first", "../é %'\""]

    def test_a_reader_writes_nothing(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        with open_run(url, "first") as reader:
            writes: list[Callable[[], None]] = [
                lambda: reader.record(1, 0, TRAINED, TRAINED),
                lambda: reader.open([replace(CANDIDATES[0], index=5)]),
                lambda: reader.add_final(Final(BASE.id, TRAINED)),
                reader.finish,
            ]
            for write in writes:
                with pytest.raises(ArchiveError, match="open for reading"):
                    write()
        assert run.candidates() == CANDIDATES

    def test_a_closed_archive_says_so(self, url: str) -> None:
        run = create_run(url, "first", {})
        run.close()
        run.close()
        with pytest.raises(ArchiveError, match="closed"):
            run.candidates()

    def test_a_reader_sees_one_moment(self, url: str, run: RunArchive) -> None:
        trained = "SELECT count(*) FROM candidates WHERE status = 'trained'"
        run.open(CANDIDATES)
        with place_of(url).engine(write=False).begin() as reader:
            before = reader.exec_driver_sql(trained).scalar_one()
            run.record(1, 0, TRAINED, TRAINED)
            assert reader.exec_driver_sql(trained).scalar_one() == before
        assert sql(url, trained) == 2

    def test_a_run_has_one_writer(self, url: str, run: RunArchive) -> None:
        with pytest.raises(ArchiveError, match=f"'first' is being written by process {os.getpid()}"):
            open_run(url, "first", writer=True)
        run.close()
        with open_run(url, "first", writer=True) as again:
            again.open(CANDIDATES)
            with pytest.raises(ArchiveError, match="is being written"):
                open_run(url, "first", writer=True)

    def test_the_lock_ends_with_its_process(self, url: str) -> None:
        create_run(url, "first", {}).close()
        hold = "import sys, time; from deltanas.archive import open_run; a = open_run(*sys.argv[1:], writer=True)"
        holder = subprocess.Popen(
            [sys.executable, "-c", f"{hold}; print('held', flush=True); time.sleep(100)", url, "first"],
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(ArchiveError, match=f"process {holder.pid}"):
                open_run(url, "first", writer=True)
        finally:
            holder.kill()
            holder.communicate()
        for wait in (0.0, 0.1, 0.5, 1.0, 2.0):  # PostgreSQL has to notice the lost connection
            time.sleep(wait)
            try:
                open_run(url, "first", writer=True).close()
                break
            except ArchiveError as error:
                last = error
        else:
            raise last

    def test_two_processes_write_two_runs(self, url: str) -> None:
        script = (
            "import sys; from deltanas.archive import create_run; from deltanas.program import Trained, Program\n"
            "from deltanas.records import Candidate, Draft\n"
            "with create_run(*sys.argv[1:], {}) as run:\n"
            "    for index in range(40):\n"
            "        run.open([Candidate(0, index, 'random', None, Draft(Program.of(f'x = {index}\\n')))])\n"
            "        done = Trained(index / 40, 40, 1, 1.0, 1.0, 'A'); run.record(0, index, done, done)\n"
            "    run.finish()\n"
        )
        # Neither finds a database: one of them makes it.
        writers = [subprocess.Popen([sys.executable, "-c", script, url, name]) for name in ("one", "two")]
        assert [writer.wait(60) for writer in writers] == [0, 0]
        for summary in list_runs(url):
            assert summary.counts["trained"] == 40
            assert summary.finished is not None

    def test_further_parts_and_parents_are_kept_and_all_parents_must_be_known(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        mixed = Program({**CHILD.parts, "experts": "4 \n", "gate": "soft"}, (BASE.id, CHILD.id, OTHER.id))
        edit = Attempt("mix", None, "", None, part="experts")
        made = Candidate(2, 0, "mixture", BASE.id, Draft(mixed), (edit,))
        assert made.parents == mixed.parents
        unknown = replace(made, index=1, draft=Draft(Program(mixed.parts, (BASE.id, "ffff"))))
        with pytest.raises(ArchiveError, match="holds no program ffff, named as a parent"):
            run.open([unknown])
        run.open([made])
        run.close()
        with open_run(url, "first") as reader:
            assert reader.program(mixed.id) == mixed
            found = reader.candidates()[-1]
            assert (found, found.parents, found.attempts) == (made, mixed.parents, (edit,))
        sql(url, f"UPDATE programs SET more_parts = '{{}}' WHERE id = '{mixed.id}'")
        with open_run(url, "first") as reader:
            assert [error.message.split("id ")[1][:16] for error in reader.damage()] == [mixed.id]

    def test_a_damaged_program_is_named_and_the_rest_is_read(self, url: str, run: RunArchive) -> None:
        run.open(CANDIDATES)
        run.close()
        sql(url, f"UPDATE programs SET net = 'class Net: pass' WHERE id = '{CHILD.id}'")
        with open_run(url, "first") as reader:
            with pytest.raises(ArchiveError, match=rf"table programs, key \(run 1, id {CHILD.id}\)"):
                reader.program(CHILD.id)
            assert reader.program(BASE.id) == BASE
            view = reader.view()
            assert [error.message.split("id ")[1][:16] for error in reader.damage()] == [CHILD.id]
        assert set(view.programs) == {BASE.id, OTHER.id}
        without = [
            replace(each, draft=None) if each.draft and each.draft.program == CHILD else each for each in CANDIDATES
        ]
        assert list(view.candidates) == without
        with pytest.raises(ArchiveError, match="table programs"):  # to go on would lead elsewhere
            open_run(url, "first", writer=True)

    def test_a_damaged_time_of_the_end_is_told_with_its_row(self, url: str, run: RunArchive) -> None:
        run.finish()
        run.close()
        sql(url, "UPDATE runs SET finished = 'x'")
        told = "table runs, key 1: 'x' is no time at which the run ended"
        with open_run(url, "first") as reader:
            with pytest.raises(ArchiveError, match=told):
                _ = reader.finished
            with pytest.raises(ArchiveError, match=told):
                reader.overview()
        with pytest.raises(ArchiveError, match=told):
            list_runs(url)

    def test_a_recorded_identity_stays_in_force(self, url: str, run: RunArchive) -> None:
        """A later canonical form, or another Python's, gives the same text another identity."""
        old = Program({"net": "class Net: pass\n"}, identity="00000000000000aa")
        run.open([Candidate(0, 0, "baseline", None, Draft(old))])
        assert run.program("00000000000000aa").id == "00000000000000aa"
        assert [each.draft.program.id for each in run.candidates() if each.draft] == ["00000000000000aa"]


class TestSqlite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return sqlite_url(tmp_path / "a ?%&#run" / "archive.db")

    @pytest.mark.parametrize("table", ["candidates", "trainings"])
    def test_a_score_that_is_a_text_is_told_with_its_row(self, url: str, run: RunArchive, table: str) -> None:
        """PostgreSQL holds a column to its type, SQLite does not."""
        run.open(CANDIDATES)
        run.record(1, 0, TRAINED, TRAINED)
        run.close()
        sql(url, f"UPDATE {table} SET score = 'x' WHERE score IS NOT NULL")
        with open_run(url, "first") as reader:
            with pytest.raises(ArchiveError, match=r"\(run 1, cycle \d, .*\): the stored score, 'x', is no number"):
                reader.view()
            assert reader.program(BASE.id) == BASE


class TestPostgres(StoreContract):
    @pytest.fixture
    def url(self, postgres: str) -> str:
        return postgres

    def test_a_database_without_an_archive(self, url: str) -> None:
        with pytest.raises(ArchiveError, match="is no archive"):
            list_runs(url)

    def test_a_missing_database_is_named_without_the_password(self, url: str) -> None:
        with pytest.raises(ArchiveError, match=r'postgres:\*\*\*@/nowhere.*"nowhere" does not exist') as told:
            list_runs(re.sub(r"/archive\d+", "/nowhere", url))
        assert "secret" not in str(told.value)
