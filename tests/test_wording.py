from __future__ import annotations

from deltanas.wording import counted


def test_one_of_a_kind_is_no_plural() -> None:
    assert counted(1, "network") == "1 network"
    assert counted(0, "network") == "0 networks"
    assert counted(1200, "match", "matches") == "1,200 matches"
