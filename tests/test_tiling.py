"""What pixels see, by the graph, is what the gradient says; tiles give the whole image to the last bit."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from deltanas import nets
from deltanas.tiling import Reach, Sight, sight_of, tiled

pytest.importorskip("onnx")
CONV: dict[str, Any] = {"kernel_size": 3, "padding": 1}


class Skip(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.inner(x))


class Norm(nn.Module):
    """Over the channels of each pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-3).sqrt()


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Parameter(torch.rand(1, 3, 32, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.map


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.mean((2, 3), keepdim=True).sigmoid()


def denoiser(name: str) -> nn.Module:
    module: dict[str, Any] = {"__name__": name}
    exec(compile(nets.baseline(name, "denoise"), f"{name}.py", "exec"), module)
    net = module["Net"]((1, 3, 32, 32), (3, 32, 32), nets.DEFAULT_PRM, torch.device("cpu"))
    return net.eval()  # type: ignore[no-any-return]


def strided(kernel: int, padding: int, *up: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, kernel, stride=2, padding=padding), nn.GELU(), *up)


class Largest(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.amax()


GRAPHS = {
    "one": nn.Conv2d(3, 3, **CONV),
    "dilated": nn.Conv2d(3, 3, 3, padding=2, dilation=2),
    "oblong": nn.Conv2d(3, 3, (5, 1), padding=(2, 0)),
    "stack": Skip(nn.Sequential(nn.Conv2d(3, 8, **CONV), nn.PReLU(8), nn.Conv2d(8, 3, 5, padding=2))),
    "reflected": nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
    "nearest": strided(3, 1, nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(8, 3, **CONV)),
    "bilinear": strided(3, 1, nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 3, **CONV)),
    "shuffled": strided(4, 1, Norm(), nn.Conv2d(8, 12, **CONV), nn.PixelShuffle(2)),
    "transposed": strided(2, 0, nn.ConvTranspose2d(8, 3, 2, stride=2)),
    "wide transposed": strided(3, 1, nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)),
    "pooled": nn.Sequential(
        nn.Conv2d(3, 8, **CONV), nn.AvgPool2d(2), nn.Conv2d(8, 12, **CONV), nn.AvgPool2d(3, 1, 1), nn.PixelShuffle(2)
    ),
    "largest": nn.Sequential(nn.Conv2d(3, 3, **CONV), nn.MaxPool2d(3, 1, 1)),
    "bordered late": nn.Sequential(nn.Conv2d(3, 3, 3), nn.ZeroPad2d(1)),
    "half": denoiser("half"),
    "gate": denoiser("gate"),
    "plain": denoiser("plain"),
    "teacher": denoiser("teacher"),
    "lite": denoiser("lite"),
}


def graph_of(net: nn.Module) -> bytes:
    file = io.BytesIO()
    axes = {0: "n", 2: "height", 3: "width"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            *(net.eval(), (torch.zeros(2, 3, 32, 32),), file),  # type: ignore[arg-type]
            dynamo=False,
            opset_version=20,
            input_names=["pixels"],
            output_names=["denoised"],
            dynamic_axes={"pixels": axes, "denoised": axes},
        )
    return file.getvalue()


def seen(net: nn.Module, step: int, size: int, width: int | None = None) -> tuple[int, int, int, int]:
    """Before and behind, down and across, of all pixels of one period in the middle, by the gradient.

    width: of an image too narrow to tell how far they see across.
    """
    torch.manual_seed(0)
    for weights in net.parameters():  # sums of positive numbers: no gradient is lost
        weights.data = weights.data.abs() + 0.01
    x = torch.rand(1, 3, size, width or size, requires_grad=True)
    out, middle = net(x), size // 2 // step * step
    bounds = [0, 0, 0, 0]
    for place in range(middle, middle + step):
        (gradient,) = torch.autograd.grad(out[0, :, place, place % x.shape[3]].sum(), x, retain_graph=True)
        rows, columns = (gradient[0].abs().sum((0, axis)).nonzero().flatten() for axis in (2, 1))
        for number, found in ((0, rows), (2, columns)):
            bounds[number] = max(bounds[number], place - int(found[0]))
            bounds[number + 1] = max(bounds[number + 1], int(found[-1]) - place)
    return tuple(bounds)  # type: ignore[return-value]


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in ("largest", "lite", "teacher")])
def test_reach_is_that_of_the_gradient(name: str) -> None:
    import copy

    sight = sight_of(graph_of(GRAPHS[name]))
    assert isinstance(sight, Sight), sight
    found = (sight.rows.before, sight.rows.after, sight.columns.before, sight.columns.after)
    step = max(sight.rows.step, sight.columns.step)
    assert found == seen(copy.deepcopy(GRAPHS[name]), step, 128)


def test_the_published_student_sees_far() -> None:
    import copy

    assert sight_of(graph_of(GRAPHS["lite"])) == Sight(Reach(139, 124, 16), Reach(139, 124, 16))
    assert seen(copy.deepcopy(GRAPHS["lite"]), 16, 304, width=32)[:2] == (139, 124)


@pytest.mark.parametrize("name", list(GRAPHS))
def test_tiles_give_the_whole_image_to_the_last_bit(name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    graph = graph_of(GRAPHS[name])
    sight = sight_of(graph)
    assert isinstance(sight, Sight)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    size = (304, 320) if name == "lite" else (96, 80)
    if name == "bordered late":
        size = (97, 65)  # a last tile of one pixel, smaller than the window
    image = np.random.RandomState(0).rand(3, *size).astype(np.float32)

    def compute(part: np.ndarray) -> np.ndarray:
        return session.run(None, {"pixels": part[None]})[0][0]  # type: ignore[no-any-return]

    whole = compute(image)
    ticks: list[tuple[int, int]] = []
    found = tiled(image, sight, compute, size[0] // 3, lambda done, total: ticks.append((done, total)))
    assert ticks[-1][0] == ticks[-1][1] > 4
    assert np.array_equal(found, whole)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_tiles_are_exact_in_torch_too_and_a_smaller_halo_is_not(layout: torch.memory_format) -> None:
    """By torch's own convolutions: oneDNN chooses its kernels by the size of an image, and with them the last bits."""
    net = denoiser("half").to(memory_format=layout)
    sight = sight_of(graph_of(net))
    assert isinstance(sight, Sight)
    image = np.random.RandomState(0).rand(3, 96, 80).astype(np.float32)

    def compute(part: np.ndarray) -> np.ndarray:
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
            return net(torch.from_numpy(part)[None].contiguous(memory_format=layout))[0].numpy()  # type: ignore[no-any-return]

    whole = compute(image)
    assert np.array_equal(tiled(image, sight, compute, 32), whole)
    less = Reach(sight.rows.before - 2 * sight.rows.step, sight.rows.after - 2 * sight.rows.step, sight.rows.step)
    assert not np.array_equal(tiled(image, Sight(less, less), compute, 32), whole)


NONE = {
    "the whole image": (nn.Sequential(nn.Conv2d(3, 3, **CONV), Attention()), "may see the whole image"),
    "the largest value": (Largest(), "ReduceMax may see the whole image"),
    "weights that are rounded": (
        nn.Sequential(nn.Conv2d(3, 3, 3, stride=3), nn.Upsample(scale_factor=3, mode="bilinear")),
        "Resize by 3 rounds its weights otherwise",
    ),
    "positions": (Positions(), "other values at other places"),
    "another size": (nn.Conv2d(3, 3, 2, stride=2), "not the size of the input"),
    "an image's norm": (nn.InstanceNorm2d(3), "may see the whole image"),
}


@pytest.mark.parametrize("name", NONE)
def test_what_can_not_be_tiled_is_said(name: str) -> None:
    net, says = NONE[name]
    found = sight_of(graph_of(net))
    assert isinstance(found, str)
    assert says in found


@pytest.mark.parametrize(
    ("operator", "says"),
    [
        ({"op_type": "Pad", "inputs": ["pixels", "pads"], "mode": "wrap"}, "opposite border"),
        (
            {"op_type": "Resize", "inputs": ["pixels", "", "scales"], "mode": "linear", "antialias": 1},
            "is not known",
        ),
    ],
)
def test_what_torch_does_not_write_is_said_too(operator: dict[str, Any], says: str) -> None:
    import onnx

    floats, constants = onnx.TensorProto.FLOAT, {"scales": np.ones(4, np.float32), "pads": np.array([0, 0, 1, 1] * 2)}
    image = [onnx.helper.make_tensor_value_info(name, floats, ["n", 3, "h", "w"]) for name in ("pixels", "out")]
    node = onnx.helper.make_node(outputs=["out"], **operator)
    held = [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = onnx.helper.make_graph([node], "g", image[:1], image[1:], held)
    found = sight_of(onnx.helper.make_model(graph).SerializeToString())
    assert isinstance(found, str)
    assert says in found


def test_bytes_that_are_no_graph_are_an_error() -> None:
    for junk in (b"", b"abc", bytes(range(256))):
        with pytest.raises(ValueError, match=r"."):
            sight_of(junk)
