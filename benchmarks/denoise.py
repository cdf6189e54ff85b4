"""Denoisers beside non-local means and beside one another, by photograph: curves, distillation, growing crops.

    python -m benchmarks denoise run OUT.jsonl --crops 32 --epochs 64 --seeds 5
    python -m benchmarks denoise teach OUT.jsonl --crops 32 --taught T.npz
    python -m benchmarks denoise run OUT.jsonl --crops 32 --epochs 64 --taught T.npz --seeds 5
    python -m benchmarks denoise run CROPS.jsonl --patch 96 --crops 24,48,96 --epochs 48 --seeds 5 --arm grown
    python -m benchmarks denoise run CROPS.jsonl --patch 96 --crops 48 --epochs 84 --seeds 5 --arm fixed
    python -m benchmarks denoise classical OUT.jsonl
    python -m benchmarks denoise quantize OUT.jsonl --net half --crops 32 --epochs 32
    python -m benchmarks denoise table OUT.jsonl
    python -m benchmarks denoise table CROPS.jsonl --against fixed

`run` trains in the sandbox and adds a row for each seed, so that a run that was stopped goes on where it was; scores
are taken at 1, 2, 4, ... epochs of one training. `grown` and `fixed` see equally many pixels. Validation and test
photographs are evaluated together: nothing is chosen here. `teach` trains a teacher, adds a row of its scores, and
blends what it makes of the training images into their targets, as `deltanas distil` does; `--taught` trains on these.
`classical` scores the noisy images and non-local means, whose strength is the best of four on the very images: an
advantage that is theirs; `--bm3d` adds BM3D at the true deviation. `table` pairs by photograph: means over the patches
and seeds of each, with Student's t over the photographs; and where both arms have several seeds, by seed, with
Student's t over the seeds. `quantize` trains a network and tells what its quantised files lose, by the images of both
splits. A file holds rows of one size of patches.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deltanas import nets
from deltanas.config import TrainConfig
from deltanas.distil import answers, trained_graph, write_blended
from deltanas.export.quantizing import KINDS, quantized
from deltanas.imagery import in_levels, psnr
from deltanas.intervals import mean
from deltanas.program import Failed, Program, Trained
from deltanas.sandbox import LocalPool, machine_secret
from deltanas.task import DENOISE
from deltanas.train.data import Dataset, Images, Making, load
from deltanas.train.data.noise import EVALUATED
from deltanas.train.data.patches import EVALUATED as EACH
from deltanas.train.job import PATCH
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import program_of
from deltanas.wiring.pools import open_pool, settled_training

STRENGTHS = (0.4, 0.6, 0.8, 1.0)
_PATCH, _SEARCH = 2, 6
Floats = NDArray[np.float64]


def dataset_of(name: str, taught: Path | None, patch: int) -> Dataset:
    """All evaluation images in both splits that are evaluated."""
    data = as_split(name, patch)
    both = Images(*(np.concatenate([getattr(part, side) for part in (data.validation, data.test)]) for side in "xy"))
    train = data.train
    if taught:
        with np.load(taught) as file:
            if not np.array_equal(file["x_train"], train.x):
                raise SystemExit(f"{taught} was not made of {name} on this machine: make it again with `teach`")
            train = Images(train.x, file["y_train"])
    return replace(data, train=train, validation=both, test=both)


def as_split(name: str, patch: int) -> Dataset:
    return load(name, making=Making(patch, secret=machine_secret()))


def run(options: argparse.Namespace) -> None:
    data = dataset_of(options.dataset, options.taught, options.patch)
    done = {(row["arm"], row["seed"]) for row in read_rows(options.out) if row["kind"] == "run"}
    arm = options.arm or "-".join(filter(None, (options.net, options.crops, options.taught and options.taught.stem)))
    marks = [2**power for power in range(20) if 2**power < options.epochs]
    config = settled_training(config_of(options, options.workers), data, {})
    program = program_named(options.net)
    with open_pool(data, config, DENOISE) as pool:
        for seed in range(options.seeds):
            if (arm, seed) in done:
                continue
            for _, curve in pool.curves([program], seed=seed, evaluate=marks):
                if isinstance(curve, Failed):
                    sys.stderr.write(f"{arm} seed {seed}: {curve.reason}\n")
                    continue
                points = [(each.epochs, each.outcome) for each in curve]
                add(
                    options.out,
                    kind="run",
                    arm=arm,
                    seed=seed,
                    noise=data.source.notes,
                    epochs=[epochs for epochs, _ in points],
                    cpu_seconds=curve[-1].outcome.cpu_seconds,
                    images=[DENOISE.unpacked(one.per_image or b"", one.n).round(4).tolist()
                            for _, one in points if isinstance(one, Trained)],
                )  # fmt: skip


def quantize(options: argparse.Namespace) -> None:
    data = as_split(options.dataset, options.patch)
    with open_pool(data, settled_training(config_of(options, workers=1), data, {}), DENOISE) as pool:
        assert isinstance(pool, LocalPool)
        ((_, found),) = pool.export([program_named(options.net)], seed=0)
        if isinstance(found, Failed) or found.onnx is None:
            raise SystemExit(found.reason if isinstance(found, Failed) else found.why)
        for kind in KINDS:
            made = quantized(found.onnx, found, pool, {}, kind)
            if isinstance(made, str):
                raise SystemExit(made)
            add(options.out, kind=kind, arm=options.net, epochs=options.epochs, crops=options.crops, **asdict(made[0]))
            sys.stdout.write(f"{options.net}, {kind}: {made[0]}\n")


def program_named(name: str) -> Program:
    """Of a file, or a built-in denoiser, or `wide`."""
    path = Path(name)
    if path.exists():
        return program_of(path.read_text())
    return program_of(wide() if name == "wide" else nets.baseline(name, DENOISE.name))


def wide() -> str:
    """A teacher: `plain`, wider and one layer deeper, with eleven times the multiply-adds of `half`."""
    layer = "            nn.Conv2d(width, width, kernel_size=3, padding=1),\n            nn.ReLU(),\n"
    text = nets.baseline("plain", DENOISE.name)
    return text.replace("width = 24", "width = 56").replace(layer, 2 * layer, 1)


def config_of(options: argparse.Namespace, workers: int) -> TrainConfig:
    crops = tuple(map(int, options.crops.split(","))) if options.crops else ()
    return TrainConfig(epochs=options.epochs, crops=crops, timeout=options.timeout, workers=workers)


def teach(options: argparse.Namespace) -> None:
    data = as_split(options.dataset, options.patch)
    with open_pool(data, settled_training(config_of(options, workers=1), data, {}), DENOISE) as pool:
        assert isinstance(pool, LocalPool)
        begun = time.monotonic()
        graph = trained_graph(pool, program_named(options.net), 0)
        seconds = time.monotonic() - begun
        write_blended(data, answers(pool, graph, data.train.x), options.alpha, options.taught)
        parts = (data.validation, data.test)
        scores = np.concatenate([psnr(in_levels(answers(pool, graph, part.x)), part.y) for part in parts])
    add(
        options.out,
        kind="teacher",
        arm=options.arm or Path(options.net).stem,
        noise=data.source.notes,
        epochs=options.epochs,
        alpha=options.alpha,
        seconds=round(seconds, 1),
        images=scores.round(4).tolist(),
    )


def classical(options: argparse.Namespace) -> None:
    data = dataset_of(options.dataset, None, options.patch).validation
    add(options.out, kind="classical", arm="noisy", images=psnr(data.x, data.y).round(4).tolist())
    found = []
    for strength in STRENGTHS:
        clean = np.stack([nlm(x, y, strength) for x, y in zip(data.x, data.y, strict=True)])
        found.append(psnr(clean, data.y))
        sys.stderr.write(f"non-local means, strength {strength}: {found[-1].mean():.2f} dB\n")
    best = np.empty(len(data))
    for level in range(len(EVALUATED)):
        some = slice(level, None, len(EVALUATED))
        best[some] = max((one[some] for one in found), key=lambda scores: float(scores.mean()))
    add(options.out, kind="classical", arm="nlm", images=best.round(4).tolist())
    if options.bm3d:
        clean = np.stack([bm3d(x, y) for x, y in zip(data.x, data.y, strict=True)])
        add(options.out, kind="classical", arm="bm3d", images=psnr(clean, data.y).round(4).tolist())


def bm3d(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BM3D (K. Dabov et al., 2007) by its authors' package, given the true deviation of the image's noise."""
    try:
        from bm3d import bm3d_rgb
    except ImportError:
        raise SystemExit("--bm3d: pip install bm3d==4.0.3 (free for non-commercial use alone)") from None
    deviation = float(((x.astype(float) - y) ** 2).mean() ** 0.5) / 255
    found: Floats = bm3d_rgb(x.transpose(1, 2, 0) / 255, deviation).transpose(2, 0, 1)
    return np.rint(np.clip(255 * found, 0, 255)).astype(np.uint8)


def nlm(x: NDArray[np.uint8], y: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """Non-local means (A. Buades, B. Coll, J.-M. Morel, 2005), given the true deviation of the image's noise.

    Patches of 5 x 5 within 13 x 13 places.
    """
    noisy = x.astype(float)
    variance = float(((noisy - y) ** 2).mean())
    reach = _SEARCH + _PATCH
    wide = np.pad(noisy, [(0, 0), (reach, reach), (reach, reach)], mode="reflect")
    height, width = noisy.shape[1:]
    total, weights = np.zeros_like(noisy), np.zeros((height, width))
    rows, columns = height + 2 * _PATCH, width + 2 * _PATCH
    centre = wide[:, _SEARCH : _SEARCH + rows, _SEARCH : _SEARCH + columns]
    for down in range(2 * _SEARCH + 1):
        for right in range(2 * _SEARCH + 1):
            other = wide[:, down : down + rows, right : right + columns]
            squares = ((centre - other) ** 2).mean(axis=0)
            distance = uniform_filter(squares, 2 * _PATCH + 1)[_PATCH:-_PATCH, _PATCH:-_PATCH]
            weight = np.exp(-np.maximum(distance - 2 * variance, 0) / (strength**2 * variance + 1e-9))
            total += weight * other[:, _PATCH:-_PATCH, _PATCH:-_PATCH]
            weights += weight
    return np.rint(np.clip(total / weights, 0, 255)).astype(np.uint8)


def table(options: argparse.Namespace) -> None:
    arms: dict[str, dict[int, Floats]] = {}
    for row in read_rows(options.out):
        last = row["images"][-1] if row["kind"] == "run" else row["images"]
        arms.setdefault(str(row["arm"]), {})[row.get("seed", 0)] = np.array(last)
    base = arms[options.against]
    for name, found in arms.items():
        both = sorted(found.keys() & base.keys())
        for level, shot in enumerate(EVALUATED):
            scores = by_photograph(np.mean(list(found.values()), axis=0), level)
            gain = mean(scores - by_photograph(np.mean(list(base.values()), axis=0), level))
            told = f"{gain.value:+.2f} dB [{gain.low:+.2f}, {gain.high:+.2f}]" if gain else "no interval"
            seeds = mean([float(by_photograph(found[seed] - base[seed], level).mean()) for seed in both])
            told += f", over seeds [{seeds.low:+.2f}, {seeds.high:+.2f}]" if seeds else ""
            line = f"{name}: shot {shot}: {scores.mean():.2f} dB, over {options.against} {told}"
            sys.stdout.write(f"{line}; {len(scores)} photographs, {len(found)} seeds\n")


def by_photograph(images: Floats, level: int) -> Floats:
    """Mean score of each photograph at one strength of noise; each has equally many patches."""
    if len(images) % EACH:
        raise SystemExit(f"{len(images)} patches are no whole photographs of {EACH}: some are too small")
    means: Floats = images.reshape(-1, EACH)[:, level :: len(EVALUATED)].mean(axis=1)
    return means


def add(out: Path, **row: object) -> None:
    append_rows(out, [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    works = (("run", run), ("teach", teach), ("classical", classical), ("quantize", quantize), ("table", table))
    for name, work in works:
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("out", type=Path)
        if name != "table":
            command.add_argument("--dataset", default="photos")
            command.add_argument("--patch", type=int, default=PATCH, help="height and width of the patches")
        if name == "table":
            command.add_argument("--against", default="nlm")
        if name == "classical":
            command.add_argument("--bm3d", action="store_true", help="beside them BM3D, if its package is installed")
        if name == "teach":
            command.add_argument("--net", default="wide", help="name of a built-in denoiser, wide, or a file")
            command.add_argument("--arm", help="name of the row; default: of the file")
            command.add_argument("--epochs", type=int, default=64)
            command.add_argument("--alpha", type=float, default=0.9, help="share of the teacher in the targets")
            command.add_argument("--crops", default="")
            command.add_argument("--taught", type=Path, required=True, help="data set that is written")
            command.add_argument("--timeout", type=float, default=14_400)
        if name in ("run", "quantize"):
            command.add_argument("--net", default="half", help="name of a built-in denoiser, or a file")
            command.add_argument("--epochs", type=int, default=64)
            command.add_argument("--crops", default="")
            command.add_argument("--timeout", type=float, default=7200)
        if name == "run":
            command.add_argument("--arm", help="name of the rows; default: by the other options")
            command.add_argument("--seeds", type=int, default=1)
            command.add_argument("--taught", type=Path)
            command.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
