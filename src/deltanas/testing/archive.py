"""What every `Archive` holds."""

from __future__ import annotations

from dataclasses import replace

from deltanas.program import combined
from deltanas.records import Final
from deltanas.seams import Archive
from deltanas.testing.examples import BASE, BETTER, CHILD, FAILED, OTHER, TRAINED, error_of, program, rows
from deltanas.testing.listener import ADAPTER


class ArchiveContract:
    """One run's journal. Every change happens whole or not at all, and is there for who opens the run anew."""

    def archive(self) -> Archive:
        """A new run, open for writing."""
        raise NotImplementedError("say how a run is begun")

    def reopened(self, archive: Archive) -> Archive:
        """The same run, read again from where it is kept."""
        raise NotImplementedError("say how a run is opened again")

    def test_a_new_run_is_empty(self) -> None:
        archive = self.archive()
        found = [*archive.rows(), *archive.finals(), *archive.adapters()]
        assert found == [], f"it holds {found}"

    def test_rows_come_back_in_order_without_long_texts(self) -> None:
        archive = self.archive()
        archive.open(list(reversed(rows())))
        expected = [row.slim(None) for row in rows()]
        assert [row.slim(None) for row in archive.rows()] == expected, "other rows come back"
        assert [row.slim(None) for row in self.reopened(archive).rows()] == expected, "other rows come back later"

    def test_programs_come_back_by_their_identity(self) -> None:
        archive = self.archive()
        archive.open(rows())
        for each in (BASE, CHILD, OTHER):
            found = self.reopened(archive).program(each.id)
            assert (found, found.parent) == (each, each.parent), f"another program: {found}"
        assert error_of(lambda: archive.program("0" * 16)), "there is no such program"

    def test_a_batch_is_opened_whole_or_not_at_all(self) -> None:
        archive = self.archive()
        first, *rest = rows()
        archive.open([first])
        assert error_of(lambda: archive.open([*rest, first])), "a place is taken once"
        assert error_of(lambda: archive.open([rest[1], rest[1]])), "a place is taken once in a batch too"
        stranger = program("x = 1\n").id
        assert error_of(lambda: archive.open([replace(rest[1], parent=stranger)])), "a parent is a program of the run"
        assert [row.slim(None) for row in self.reopened(archive).rows()] == [first.slim(None)], (
            "part of a batch is there"
        )

    def test_a_candidate_settles_once(self) -> None:
        archive = self.archive()
        archive.open(rows())
        archive.record(1, 0, FAILED, FAILED)
        assert error_of(lambda: archive.record(1, 0, TRAINED, TRAINED)), "it was settled already"
        assert error_of(lambda: archive.record(1, 1, TRAINED, TRAINED)), "it was refused already"
        assert error_of(lambda: archive.record(9, 9, TRAINED, TRAINED)), "it was never opened"
        found = [row for row in self.reopened(archive).rows() if (row.cycle, row.index) == (1, 0)]
        assert [row.outcome for row in found] == [FAILED], f"it came to {found}"

    def test_each_training_is_kept_and_the_last_one_settles(self) -> None:
        archive = self.archive()
        archive.open(rows())
        for trainings, outcome in (((TRAINED,), None), ((TRAINED, BETTER), combined([TRAINED, BETTER]))):
            archive.record(1, 0, trainings[-1], outcome)
            (row,) = [row for row in self.reopened(archive).rows() if (row.cycle, row.index) == (1, 0)]
            assert (row.trainings, row.outcome) == (trainings, outcome), f"it came to {row}"

    def test_a_program_is_scored_on_the_test_split_once(self) -> None:
        archive = self.archive()
        archive.open(rows())
        archive.add_final(Final(BASE.id, TRAINED))
        archive.add_final(Final(OTHER.id, FAILED))
        assert error_of(lambda: archive.add_final(Final(BASE.id, FAILED))), "it has a final score"
        assert error_of(lambda: archive.add_final(Final("0" * 16, TRAINED))), "there is no such program"
        expected = [Final(BASE.id, TRAINED), Final(OTHER.id, FAILED)]
        assert self.reopened(archive).finals() == expected, f"finals: {self.reopened(archive).finals()}"

    def test_adapters_come_back(self) -> None:
        archive = self.archive()
        second = replace(ADAPTER, cycle=2, folder="adapters/2", parent=ADAPTER.folder)
        for adapter in (ADAPTER, second):
            archive.add_adapter(adapter)
        assert self.reopened(archive).adapters() == [ADAPTER, second], f"{self.reopened(archive).adapters()}"

    def test_a_finished_run_keeps_its_rows(self) -> None:
        archive = self.archive()
        archive.open(rows())
        archive.finish()
        assert len(list(self.reopened(archive).rows())) == len(rows()), "rows are gone"
