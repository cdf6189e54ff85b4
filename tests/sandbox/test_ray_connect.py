"""A cluster of our own takes a token and listens on the loopback, or is not started."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from deltanas.errors import SandboxError
from deltanas.sandbox import connect


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_private_cluster", connect._private_cluster.__wrapped__)


def imported(*, connected: bool) -> SimpleNamespace:
    return SimpleNamespace(is_initialized=lambda: connected)


def test_where_ray_was_imported_without_its_settings_no_cluster_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", imported(connected=False))
    with pytest.raises(SandboxError, match="Ray was imported before") as caught, connect.cluster(None, 0):
        pass
    assert "ray.init()" in caught.value.hint


def test_a_connection_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = imported(connected=True)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with connect.cluster(None, 0) as used:
        assert used is ray


def test_a_new_cluster_takes_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    first, second = connect._private_cluster(), connect._private_cluster()
    assert first["RAY_AUTH_MODE"] == "token"
    assert len({first["RAY_AUTH_TOKEN"], second["RAY_AUTH_TOKEN"]}) == 2
    assert first["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
