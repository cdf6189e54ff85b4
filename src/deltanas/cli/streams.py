"""The standard streams, whatever the terminal's encoding is: data is UTF-8, narration loses no command."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper

_ANYHOW = "deltanas-anyhow"
"""Name of the error handler of stdout."""


def _anyhow(error: UnicodeError) -> tuple[str | bytes, int]:
    """A byte of a file name that is no UTF-8 goes out as that byte; a lone surrogate of a text as its escape."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def use_utf8() -> None:
    """Data is read from stdin and written to stdout as UTF-8; stderr escapes what its encoding lacks.

    Where the system's encoding, and so that of the names of files, is another one, Python begins again in its UTF-8
    mode: the bytes of a name stay as they are, and libraries that name no encoding read and write UTF-8 too.
    """
    if sys.getfilesystemencoding().lower() != "utf-8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"  # of the processes that are started from here
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this very command
    _open_closed()
    codecs.register_error(_ANYHOW, _anyhow)
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, _ANYHOW)):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def _open_closed() -> None:
    """A stream that was closed by who started the command reads nothing and writes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the program runs
