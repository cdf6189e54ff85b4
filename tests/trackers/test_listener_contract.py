"""What draws, what mirrors and what is silent hold the contract of listeners."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pytest

from deltanas.narrate import Narrator
from deltanas.seams import Listener, silent
from deltanas.testing import ListenerContract
from deltanas.trackers import Mirror


class Kept:
    """A tracker in memory."""

    def held(self) -> set[tuple[str, int]]:
        return set()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        assert step > 0
        assert values

    def close(self) -> None: ...


class TestSilent(ListenerContract):
    def listener(self) -> Listener:
        return silent


class TestNarrator(ListenerContract):
    quiet = False

    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        self._open: list[Narrator] = []
        yield
        for narrator in self._open:
            narrator.__exit__(None, None, None)

    def listener(self) -> Listener:
        for narrator in self._open:
            narrator.__exit__(None, None, None)
        self._open = [Narrator(quiet=self.quiet)]
        return self._open[0].__enter__()


class TestQuietNarrator(TestNarrator):
    quiet = True


class TestMirror(ListenerContract):
    @pytest.fixture(autouse=True)
    def _unwarned(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        yield
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING], "its tracker failed"

    def listener(self) -> Listener:
        return Mirror(silent, "kept", Kept)
