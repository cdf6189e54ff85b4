"""What tests of language models share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from faulty_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()
