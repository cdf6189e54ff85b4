"""What went wrong in a program, in words that are true of the program: its own line, what is so, and what to do.

Where the sandbox is what an error comes from, `FAULTS` says what it means; any other error speaks for itself.
"""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

from deltanas.train.job import ONNX_OPSET, REASON_LIMIT
from deltanas.train.packages import offered

NET_FILE = "<net>"
"""The file name under which a candidate is compiled, by which its own lines are found in a traceback."""
_ONNX_LIMIT = 200
"""Characters of an exporter's own words: what follows speaks of its inside."""
_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "CUDA out of memory")


class ContractError(Exception):
    """A program that runs but breaks the contract; its message needs no line number."""


class OutputError(Exception):
    """Logits of a wrong shape or type, seen after training."""


class StepError(Exception):
    """The program builds and gives outputs, but its training steps fail. Its cause is what they raised.

    Its message, if any, is something that one has to know to understand the cause.
    """


@dataclass(frozen=True)
class Fault:
    """An error, and what it means here.

    Attributes:
        means: the words; `{name}` is the file or the package, `{error}` the error's own, `{kind}` its class.
        kinds: of the error. text: is found in its message. through: is found in what the program's line called, as
            FILE:FUNCTION. numbers: of an OSError. when: whether it means that now.
    """

    means: str
    kinds: tuple[type[BaseException], ...] = (Exception,)
    text: str = ""
    through: str = ""
    numbers: tuple[int, ...] = ()
    when: Callable[[BaseException], bool] = lambda error: True  # noqa: ARG005

    def is_it(self, error: BaseException, called: str) -> bool:
        return (
            isinstance(error, self.kinds)
            and (not self.numbers or getattr(error, "errno", None) in self.numbers)
            and re.search(self.text, str(error)) is not None
            and re.search(self.through, called) is not None
            and self.when(error)
        )


def _no_gpu(_: BaseException) -> bool:
    return not torch.cuda.is_available()


def _named(error: BaseException) -> bool:
    return getattr(error, "filename", None) is not None


def _elsewhere(error: BaseException) -> bool:
    """Whether the package itself is not there; a part of one that is there may be a slip of the pen."""
    return str(getattr(error, "name", "")).split(".")[0] not in offered()


_DENIED = (errno.EPERM, errno.EROFS)
_UNSEEN = (errno.ENOENT, errno.EACCES, errno.ENOTDIR)
_NO_GPU = "there is no GPU here: use the `device` that Net is given, not cuda"
_NO_PROCESS = "no process can be started here: leave it out"
_NO_WRITING = "nothing can be written here, as there is no folder to write to: leave {name} out"
_NO_READING = (
    "{name} can't be read here ({kind}), as there are no files but Python's own: write into the program what it needs"
)
_IMAGE = "{error}: the image has become too small by then, so pool or stride less before it, or take larger images"

FAULTS = (
    Fault(_NO_GPU, (RuntimeError, AssertionError), text=r"CUDA|NVIDIA|cuda", when=_no_gpu),
    Fault(_NO_GPU, through=r"/torch/cuda/(?!amp/)", when=_no_gpu),
    Fault(
        "there is no such device here: use the `device` that Net is given ({error})",
        (RuntimeError, AssertionError),
        text=r"not linked with support for \w+ devices|not compiled with \w+ enabled",
    ),
    Fault(
        "torch.compile (flex_attention too) starts a compiler and writes files, and can do neither here: leave it out",
        through=r"/torch/_inductor/",
    ),
    Fault(
        "pretrained weights can't be had here, as there is no network and no file: weights=None, pretrained=False",
        (OSError,),
        through=r"/torch/hub\.py|/torchvision/models/|/timm/|/huggingface_hub/",
    ),
    Fault(
        "there is no data set here but what learn() is given: leave {name} out",
        (OSError, RuntimeError),
        through=r"/torchvision/datasets/",
    ),
    Fault(
        "no process can be started here: give the DataLoader num_workers=0",
        (OSError,),
        through=r"/torch/utils/data/dataloader\.py",
    ),
    Fault(
        "there is one process here, and no network to others: leave torch.distributed out",
        through=r"/torch/distributed/|/torch/nn/parallel/distributed\.py",
    ),
    Fault("there are no other processes to share memory with: leave it out", text="shared memory object"),
    Fault(
        _NO_PROCESS,
        (OSError,),
        through=r"/(subprocess|multiprocessing/\w+|concurrent/futures/process|torch/multiprocessing/\w+)\.py",
    ),
    Fault(
        "there is no network here, and no socket can be opened: leave it out",
        (OSError,),
        through=r"/(socket|ssl|urllib/\w+|http/\w+|asyncio/\w+|ftplib|smtplib)\.py",
    ),
    Fault(_NO_WRITING, (OSError,), numbers=_DENIED, when=_named),
    Fault(_NO_WRITING, (RuntimeError,), text="open file failed with strerror"),
    Fault(_NO_READING, (OSError,), numbers=_UNSEEN, when=_named),
    Fault(_NO_READING, (RuntimeError, ValueError), text=r"No such file or directory|filename .* does not exist"),
    Fault(
        "the sandbox does not allow that ({error}): no processes, sockets, signals to others, or settings of the "
        "machine, so leave it out",
        (OSError,),
        numbers=_DENIED,
    ),
    Fault("the package {name} can't be imported here: {error}", (ModuleNotFoundError,), when=_elsewhere),
    Fault(
        "the program is one file here: put what it imports from beside it into it",
        (ImportError,),
        text="attempted relative import",
    ),
    Fault("nobody is here to answer input(): leave it out", (EOFError,), text="reading a line"),
    Fault("there is no command line here to read options from: use `prm`", (SystemExit,), through=r"/argparse\.py"),
    Fault("{error}: the program ends itself, so leave that out", (SystemExit,)),
    Fault(
        "the environment has no {error} here: write the value into the program", (KeyError,), through=r"os\.?>?:__getit"
    ),
    Fault("the user has no name here: leave it out", (KeyError,), text="getpwuid"),
    Fault("no more threads can be started here: start fewer", (RuntimeError,), text="can't start new thread"),
    Fault(_IMAGE, (RuntimeError,), text=r"Kernel size can't be greater than actual input|Output size is too small"),
)


def explain(error: BaseException) -> str:
    """One short line, with the candidate's own line number where the error passed through its source."""
    if isinstance(error, StepError) and error.__cause__ is not None:
        note, told = str(error), explain(error.__cause__)
        return f"{told[: REASON_LIMIT - len(note) - 2]}: {note}" if note else told
    message = " ".join(str(error).split())
    if isinstance(error, ImportError):
        message = re.sub(r" \(\S+\.(py|so)\)$", "", message)  # where a package lies is nobody's business
    if isinstance(error, (ContractError, OutputError)):
        return message[:REASON_LIMIT]
    frames = traceback.extract_tb(error.__traceback__)
    own = [place for place, frame in enumerate(frames) if frame.filename == NET_FILE]
    line = frames[own[-1]].lineno if own else None
    if isinstance(error, SyntaxError) and error.filename == NET_FILE:
        line, message = error.lineno, error.msg
    called = "\n".join(f"{frame.filename}:{frame.name}" for frame in frames[own[-1] + 1 if own else 0 :])
    told = _told(error, called, f"{type(error).__name__}: {message}".removesuffix(": "))
    return f"{f'line {line}: ' if line else ''}{told}"[:REASON_LIMIT]


def failure_kind(error: BaseException) -> str:
    """ "memory", "output" or "error", as `deltanas.program.Failed` has them."""
    if isinstance(error, StepError) and error.__cause__ is not None:
        return failure_kind(error.__cause__)
    if isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY):
        return "memory"
    return "output" if isinstance(error, OutputError) else "error"


def _told(error: BaseException, called: str, plain: str) -> str:
    if failure_kind(error) == "memory":
        return plain
    fault = next((fault for fault in FAULTS if fault.is_it(error, called)), None)
    if fault is None:
        return plain
    name = getattr(error, "name", None) if isinstance(error, ImportError) else getattr(error, "filename", None)
    own = plain
    if isinstance(error, ModuleNotFoundError):
        own = f"there are {', '.join(offered())} and the standard library"
    elif isinstance(error, KeyError):
        own = str(error)
    name = name if isinstance(error, ImportError) else _quoted(name)
    return fault.means.format(name=name, error=own, kind=type(error).__name__)


def _quoted(name: object) -> str:
    return repr(name) if isinstance(name, (str, bytes)) else "that"


def unwritten(error: BaseException) -> str:
    """Why a network has no ONNX file."""
    found = re.search(r"Exporting the operator '([\w:.]+)'", str(error))
    if found:
        return f"ONNX has no operator that {found[1]} could become (opset {ONNX_OPSET}, the highest that is written)"
    while error.__cause__ is not None:  # the newer exporter tells at length what to do next, and the reason last
        error = error.__cause__
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return told.split(" [Caused by ")[0][:_ONNX_LIMIT]
