"""The benchmark of denoisers."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import denoise
from benchmarks.denoise import by_photograph, nlm, table
from deltanas import nets
from deltanas.imagery import psnr
from deltanas.train.data import load
from deltanas.train.data.noise import with_evaluation_noise
from deltanas.whole import read_rows
from pairs_of_images import saved, smooth


def test_non_local_means_take_noise_off() -> None:
    clean = smooth(3, 24)
    noisy = with_evaluation_noise(clean, "independent", "nlm", b"s")
    denoised = np.stack([nlm(x, y, 0.6) for x, y in zip(noisy, clean, strict=True)])
    assert (psnr(denoised, clean)[1:] > psnr(noisy, clean)[1:] + 1).all()


def test_gains_are_paired_by_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = np.repeat([20.0, 30.0, 40.0], 12) + np.tile([0.0, 1.0, 2.0], 12)
    better = base + np.repeat([0.9, 1.0, 1.1], 12)
    assert by_photograph(base, 1).tolist() == [21.0, 31.0, 41.0]
    rows = [
        {"kind": "classical", "arm": "nlm", "images": base.tolist()},
        {"kind": "run", "arm": "half", "seed": 0, "images": [base.tolist(), (better - 0.5).tolist()]},
        {"kind": "run", "arm": "half", "seed": 1, "images": [base.tolist(), (better + 0.5).tolist()]},
    ]
    out = tmp_path / "rows.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table(Namespace(out=out, against="nlm"))
    told = capsys.readouterr().out.splitlines()
    assert told[3] == "half: shot 0.0004: 31.00 dB, over nlm +1.00 dB [+0.75, +1.25]; 3 photographs, 2 seeds"
    table(Namespace(out=out, against="half"))
    told = capsys.readouterr().out.splitlines()
    assert told[3].endswith("over half +0.00 dB [+0.00, +0.00], over seeds [+0.00, +0.00]; 3 photographs, 2 seeds")
    with pytest.raises(SystemExit, match="no whole photographs"):
        by_photograph(base[:-1], 0)


def test_seeds_are_paired_by_their_number_where_one_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = np.repeat([20.0, 30.0, 40.0], 12)
    rows = [
        {"kind": "run", "arm": arm, "seed": seed, "images": [(base + 10 * seed + gain).tolist()]}
        for arm, seeds, gain in (("one", (0, 1, 2), 0.0), ("other", (0, 2, 1), 1.0), ("few", (0, 2), 2.0))
        for seed in seeds
    ]
    out = tmp_path / "rows.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table(Namespace(out=out, against="one"))
    told = capsys.readouterr().out.splitlines()
    assert "over seeds [+1.00, +1.00]" in told[3]
    assert "over seeds [+2.00, +2.00]" in told[6]


def test_a_teacher_is_scored_and_its_targets_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    photos = tmp_path / "photos"
    for place, image in enumerate(smooth(3, 96)):
        saved(image, photos / f"{place}.png")
    net = Path(nets.__file__).parent / "denoise" / "half.py"
    out, taught = tmp_path / "rows.jsonl", tmp_path / "taught.npz"
    common = ["--dataset", f"photos:{photos}", "--patch", "16", "--epochs", "1", "--taught", str(taught)]
    for given in (["teach", str(out), "--net", str(net)], ["run", str(out)]):
        monkeypatch.setattr("sys.argv", ["denoise", *given, *common])
        denoise.main()
    teacher, student = read_rows(out)
    assert (teacher["kind"], teacher["arm"], teacher["alpha"]) == ("teacher", "half", 0.9)
    assert (student["kind"], student["arm"]) == ("run", "half-taught")
    assert len(teacher["images"]) == len(student["images"][0]) == 24
    plain, blended = (denoise.dataset_of(f"photos:{photos}", each, 16).train for each in (None, taught))
    assert np.array_equal(blended.x, plain.x)
    assert not np.array_equal(blended.y, plain.y)
    assert load(f"npz:{taught}").paired  # as the product reads it
    with pytest.raises(SystemExit, match="make it again"):
        denoise.dataset_of(f"photos:{photos}", taught, 12)


def test_the_teacher_is_the_plain_network_wider_and_deeper() -> None:
    plain, teacher = nets.baseline("plain", "denoise"), denoise.wide()
    assert [text.count("nn.Conv2d(width, width") for text in (plain, teacher)] == [3, 4]
    assert "width = 56" in teacher
