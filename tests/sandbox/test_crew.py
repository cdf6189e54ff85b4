"""A cluster that is lost between two of its answers, with a scripted Ray: the search ends with a message."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from deltanas.errors import SandboxError
from deltanas.sandbox import crew
from deltanas.sandbox.crew import Crew


@pytest.fixture
def made() -> Iterator[Callable[[Callable[[], Any]], Crew]]:
    """A crew of a cluster that listens, and says which nodes it has by `nodes`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"

        def crew_of(nodes: Callable[[], Any]) -> Crew:
            context = SimpleNamespace(gcs_address=address)
            ray = SimpleNamespace(get_runtime_context=lambda: context, nodes=nodes)
            return Crew(ray, None, 1, lambda hello: None)

        yield crew_of


def test_a_cluster_that_gives_no_answer_any_more(
    made: Callable[[Callable[[], Any]], Crew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_PATIENCE", 0.1)
    gone = Event()
    with pytest.raises(SandboxError, match="is gone: it was there and gives no answer") as caught:
        made(gone.wait).look(now=True)
    gone.set()
    assert "mend the cluster and give the same command again" in caught.value.hint


def test_what_an_answer_raises_is_raised(made: Callable[[Callable[[], Any]], Crew]) -> None:
    def broken() -> None:
        raise TimeoutError("of the cluster's own")

    with pytest.raises(TimeoutError, match="of the cluster's own"):
        made(broken).look(now=True)
    with pytest.raises(SandboxError, match="no node of the Ray cluster"):
        made(list).look(now=True)
