"""Who filled a run from outside, what each one's edits were worth, and what they said of them."""

from __future__ import annotations

from deltanas.askers import askers, champion_of
from deltanas.report.reading import AbsentError, Reading, label


def askers_card(reading: Reading) -> dict[str, object]:
    """Notes are what an asker wrote, to be read by people: the template shows them as text."""
    view = reading.view
    found = askers(reading.journal, view.leases, view.duels)
    if not found:
        raise AbsentError("Nobody has told anything yet.")
    names = {(lease.cycle, lease.index): lease.asker for lease in view.leases}
    notes = [
        (label(row), names.get((row.cycle, row.index), ""), attempt.note)
        for row in reading.search
        for attempt in row.attempts
        if attempt.note
    ]
    return {"rows": found, "notes": notes, "champion": label(champion_of(reading.journal, view.duels))}
