"""TensorBoard's event files, in `tensorboard/` of the run's folder."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """Scalars as TensorBoard reads them. Every event is flushed, so that a killed run loses none."""

    def __init__(self, folder: Path, name: str, manifest: Mapping[str, object]) -> None:  # noqa: ARG002
        self._place = folder / "tensorboard"
        self._held = self._read()
        proto = importlib.import_module("tensorboard.compat.proto.event_pb2")
        summary = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        self._event, self._summary = proto.Event, summary.Summary
        writer = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        self._writer: Any = writer.EventFileWriter(str(self._place))

    def held(self) -> set[tuple[str, int]]:
        return self._held

    def write(self, step: int, values: Mapping[str, float]) -> None:
        rows = [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=rows)))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _read(self) -> set[tuple[str, int]]:
        """What the files hold already; one that was cut short is read as far as it goes."""
        loader = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
        return {
            (value.tag, event.step)
            for file in sorted(self._place.glob("events.out.tfevents.*"))
            for event in loader.EventFileLoader(str(file)).Load()
            for value in event.summary.value
        }
