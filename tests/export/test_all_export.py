"""What passes every gate can be exported: its weights in any case, and ONNX, or the true reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from deltanas import nets
from deltanas.export.safetensors import safetensors_bytes
from deltanas.program import Failed, Program, Refused, prm_text
from deltanas.sandbox import Exported, LocalPool
from deltanas.train.data import Dataset, Images
from deltanas.train.faults import NET_FILE
from deltanas.train.job import Job
from deltanas.train.loop import construct
from odd_programs import WRITTEN, program, source

"""Whether torch's newer exporter can work here."""
BY_THE_FIRST = {name for name in WRITTEN if "complex" not in name} - {
    "unsigned integers", "a sparse buffer that is not kept", "a masked tensor in forward", "gradients in forward",
    "a tensor class that tells no shape", "a layer that TorchScript reads", "fold and unfold",
    "a view while evaluating",
}  # fmt: skip


def dataset(size: int, channels: int = 1) -> Dataset:
    """With one evaluation image more than a batch takes, in validation and test together."""
    rng = np.random.default_rng(0)

    def images(n: int) -> Images:
        pixels = rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8)
        return Images(pixels, np.arange(n, dtype=np.int64) % 10)

    return Dataset("tiny", images(33), images(200), images(57), 10)


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(dataset(8), timeout=100, workers=1) as opened:
        yield opened


def exported(pool: LocalPool, programs: Sequence[Program]) -> list[Exported]:
    """Of programs that pass the build check. Each must come out, and its ONNX, if any, compute what torch does."""
    built = pool.build(programs)
    assert not [found for found in built if isinstance(found, Refused)]
    found = dict(pool.export(programs, seed=1))
    done = [found[place] for place in range(len(programs))]
    assert not [one.reason for one in done if isinstance(one, Failed)]
    return [one for one in done if isinstance(one, Exported)]


def near(pool: LocalPool, found: Exported) -> bool:
    assert found.onnx is not None, found.why
    outputs = pool.infer(found.onnx, pool.evaluated("both", len(found.outputs)))
    assert not isinstance(outputs, Failed), outputs.reason
    return bool(np.abs(outputs - found.outputs).max() <= 0.01 * np.abs(found.outputs).max())


def logits(pool: LocalPool, text: str, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of a new network that takes the weights, for all images."""
    job = Job("build", text, "", '{"lr": 0.01}', (1, 1, 8, 8), "classify", (10,), 5, 1, 1)
    net = construct(job)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in pool.dataset.scale)
    x = (torch.from_numpy(pool.evaluated("both", 257)).float() - mean) / std
    with torch.no_grad():
        net.eval()(x[:2])  # makes what forward() makes
        net.load_state_dict(weights, assign=True)  # torch can't copy into an expanded tensor
        out: torch.Tensor = net(x)
    return out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WRITTEN)
def test_the_weights_load_into_a_new_network_that_computes_the_same(pool: LocalPool, name: str, tmp_path: Path) -> None:
    (found,) = exported(pool, [program(WRITTEN[name])])
    weights = load(safetensors_bytes(found.weights, {}))
    if name not in ("a buffer made and changed in forward", "a tensor class that tells no shape"):  # torch reads it
        same = logits(pool, WRITTEN[name], weights).numpy()
        np.testing.assert_allclose(same, found.outputs, rtol=1e-3, atol=1e-4)
    if found.onnx is None:
        assert name not in BY_THE_FIRST, found.why
        assert found.why
        assert NET_FILE not in found.why
    elif name in BY_THE_FIRST and "changed" not in name:
        assert near(pool, found), name


@pytest.mark.parametrize(
    "name", ["a complex parameter", "unsigned integers", "gradients in forward", "fold and unfold"]
)
def test_the_newer_exporter_writes_what_the_other_does_not(pool: LocalPool, name: str) -> None:
    (found,) = exported(pool, [program(WRITTEN[name])])
    assert near(pool, found)


def test_what_no_exporter_writes_has_a_reason_that_names_the_operator(pool: LocalPool) -> None:
    (found,) = exported(pool, [program(source(forward="x = x + torch.special.bessel_j0(x).mean()"))])
    assert found.onnx is None
    assert found.why.startswith("ONNX has no operator that aten::special_bessel_j0 could become (opset 20, the highest")
    assert "Nor does torch's newer exporter write it: " in found.why
    assert "try exporting with this version" not in found.why


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_baseline_is_exported_with_onnx() -> None:
    with LocalPool(dataset(32, 3), timeout=200, workers=2) as opened:
        programs = [Program.of(text, prm=prm_text(nets.DEFAULT_PRM)) for text in nets.baselines().values()]
        for name, found in zip(nets.baselines(), exported(opened, programs), strict=True):
            assert near(opened, found), name
