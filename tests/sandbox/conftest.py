"""Here fork servers start as they do in a process that opens one pool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deltanas.sandbox import host


@pytest.fixture(scope="module", autouse=True)
def _cold() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "_kept", None)
        yield
