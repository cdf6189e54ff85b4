"""Where this machine's own state is kept: its secret, and what was measured on it."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """`DELTANAS_STATE`, else the user's folder for state. It may not exist yet."""
    if given := os.environ.get("DELTANAS_STATE"):
        return Path(given)
    import platformdirs  # here only: the sandbox itself needs torch and numpy alone (scripts/gpu-check)

    return Path(platformdirs.user_state_dir("deltanas"))
