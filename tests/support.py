"""Types that tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs `deltanas` with these arguments."""
