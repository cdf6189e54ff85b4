"""`python -m deltanas.train JOB_FD DATA_FD ANSWER_FD`: one candidate, over descriptors that the parent hands down."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

if __name__ == "__main__":
    _PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(1)  # the parent died before the line above
    from deltanas.train.child import main

    main(*(int(fd) for fd in sys.argv[1:4]))
    os._exit(0)  # a candidate's threads and exit hooks end here too
