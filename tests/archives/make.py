"""Writes the archive that this version leaves behind: python tests/archives/make.py tests/archives

Run once a release, before its tag, and never again for the same version: the file shows what that version wrote.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deltanas import __version__
from deltanas.archive import create_run, open_run, sqlite_url
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft, Final, RunView

NET = """import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.line = nn.Linear(in_shape[1], WIDTH)  # é
"""


def candidates() -> list[Candidate]:
    base = Program.of(NET.replace("WIDTH", "8"), prm='{"lr": 0.01}')
    wide = base.edited("net", NET.replace("WIDTH", "16"))
    turned = wide.edited("transform", "import torch\n\n\ndef transform(norm):\n    return torch.nn.Identity()\n")
    call = Call("smollm2", "Edit the network.\n", "<<<<<<< SEARCH\n8\n=======\n16\n>>>>>>> REPLACE\n", 120, 24, 1.25)
    missed = Attempt("I would widen it.", None, "widen a layer", Refused("apply", "no edit in the reply"), (call,))
    applied = Attempt(call.reply, "exact", "widen a layer", None, (call, call), kind="width", note="n")
    failed = Failed("timeout", "over 30 s", 30.1, 29.9, "B")
    return [
        Candidate(
            0, 0, "baseline", None, Draft(base, 100, 200, "t0"), (), Trained(0.75, 1000, 1, 2.5, 2.25, "A"), name="b"
        ),
        Candidate(1, 0, "delta", base.id, Draft(wide, 200, 400, "t1"), (missed, applied)),
        Candidate(1, 1, "random", wide.id, Draft(turned), (applied,), failed),
        Candidate(1, 2, "delta", base.id, None, (missed, missed), Refused("apply", "no edit in the reply")),
    ]


def as_json(view: RunView) -> str:
    """The view as text, identities included; equal views give equal texts."""
    programs = {identity: {**plain(asdict(p)), "id": p.id} for identity, p in sorted(view.programs.items())}
    kinds = [type(each.outcome).__name__ for each in view.candidates]
    return json.dumps(plain({**asdict(view), "programs": programs, "kinds": kinds}), indent=1, sort_keys=True) + "\n"


def plain(value: Any) -> Any:
    """Scores an image as hexadecimal digits, the parts of a program by their names."""
    match value:
        case bytes():
            return value.hex()
        case {"_names": names, "_texts": texts, "parents": parents}:
            return {"parts": dict(zip(names, texts, strict=True)), "parents": plain(parents)}
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value


def main(folder: Path) -> None:
    file = folder / f"{__version__}.db"
    if file.exists():
        sys.exit(f"{file} is kept as it is")
    url = sqlite_url(file)
    with create_run(url, "kept", {"version": __version__, "seed": 1, "config": {"cycles": 1}}) as run:
        rows = candidates()
        run.open(rows)
        scored = Trained(0.8125, 1000, 2, 3.5, 3.25, "A", bytes([0b10000000]))
        run.record(1, 0, scored, scored)
        run.add_final(Final(rows[1].parent or "", Trained(0.7, 500, 3, 2.5, 2.25, "A")))
        run.finish()
    with create_run(url, "cut off", {}) as run:
        run.open(rows[:1])
    with open_run(url, "kept") as reader:
        (folder / f"{__version__}.json").write_text(as_json(reader.view()), encoding="utf-8")
    for companion in (*folder.glob(f"{file.name}-*"), *folder.glob(f"{file.name}.run*")):
        companion.unlink()  # an empty log, shared memory and locks: the writers closed, all is in the file


if __name__ == "__main__":
    main(Path(sys.argv[1]))
