"""Where this machine's own state is kept: its secret, and what was measured on it."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """`DELTANAS_STATE`, else the user's folder for state. It may not exist yet."""
    return Path(os.environ.get("DELTANAS_STATE") or platformdirs.user_state_dir("deltanas"))
