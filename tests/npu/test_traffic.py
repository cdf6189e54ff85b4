"""Memory traffic as what a search makes better."""

from __future__ import annotations

import pytest

pytest.importorskip("ethosu")

from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.wiring.choosing import require_objectives

GIVEN = {"task": "denoise", "dataset": "photos", "objectives": "psnr,traffic"}


def test_what_can_tell_no_traffic_is_told_before_a_search_begins() -> None:
    with pytest.raises(UsageError, match="knows no traffic") as caught:
        require_objectives(read_config({**GIVEN, "npu": "mediatek"}))
    named = caught.value.hint.removeprefix("give --npu one of ").split(",")[0]
    assert len(require_objectives(read_config({**GIVEN, "npu": named}))) == 2
    with pytest.raises(UsageError, match="unknown target"):
        require_objectives(read_config({**GIVEN, "npu": "none"}))
    with pytest.raises(UsageError, match="this machine alone"):
        require_objectives(read_config({**GIVEN, "train": {"executor": "ray"}}))
