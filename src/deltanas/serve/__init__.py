"""The page of a run as it grows, over HTTP: read-only, for this machine alone unless a token guards it."""

from deltanas.serve.app import Run, Snapshot
from deltanas.serve.server import serve

__all__ = ["Run", "Snapshot", "serve"]
