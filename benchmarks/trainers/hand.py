"""The loop that one would write by hand: float32 tensors in memory, normalised once, no sandbox. A rival of `bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.trainers import serve


def main() -> None:
    source = Path("candidate.py").read_text(encoding="utf-8")
    prm = json.loads(Path("prm.json").read_text(encoding="utf-8"))
    batch = int(prm["batch"])
    with np.load("data.npz") as arrays:
        x, held = (torch.from_numpy(arrays[name]).float() for name in ("x", "held_x"))
        y, held_y = (torch.from_numpy(arrays[name]) for name in ("y", "held_y"))
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, held = (x - mean) / std, (held - mean) / std
    classes = int(y.max()) + 1

    def train(seed: int) -> float:
        torch.manual_seed(seed)
        space: dict[str, Any] = {}
        exec(source, space)  # noqa: S102  a built-in network, not a candidate
        net = space["Net"]((1, *x.shape[1:]), (classes,), prm, torch.device("cpu"))
        net.train_setup(prm)
        order = torch.randperm(len(x))
        net.train()
        net.learn((x[piece], y[piece]) for piece in torch.split(order, batch))
        net.eval()
        with torch.inference_mode():
            logits = torch.cat([net(piece) for piece in torch.split(held, 256)])
        return float((logits.argmax(1) == held_y).float().mean())

    serve(train)


if __name__ == "__main__":
    main()
