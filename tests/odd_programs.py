"""Programs that a plain loop trains, each with one thing in it that is seldom seen."""

from __future__ import annotations

import textwrap

from deltanas.program import Program

_NET = """import torch
import torch.nn.functional as F
from torch import nn

{above}

def supported_hyperparameters():
    return {{"lr"}}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        c, h, w = in_shape[1:]
        n = c * h * w
        self.head = nn.Linear(n, out_shape[0])
        {init}

    def forward(self, x):
        {forward}
        return self.head(x.flatten(1))

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.01)

    def learn(self, train_data):
        {learn}
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), labels).backward()
            self.optimizer.step()
"""
_FFT = "x = torch.fft.irfft2(torch.fft.rfft2(x) * self.w, s=x.shape[-2:])"


def source(init: str = "pass", forward: str = "pass", above: str = "", learn: str = "pass") -> str:
    """The text of a linear network, with lines in its methods and above them."""
    inside = {
        name: textwrap.indent(text, " " * 8).lstrip()
        for name, text in (("init", init), ("forward", forward), ("learn", learn))
    }
    return _NET.format(above=textwrap.dedent(above), **inside)


def program(text: str) -> Program:
    return Program.of(text, prm='{"batch": 16, "lr": 0.01}')


def line_of(text: str, code: str) -> int:
    """The number of the one line that has `code`."""
    (found,) = [number for number, line in enumerate(text.splitlines(), 1) if code in line]
    return found


_MINE = "class Mine(torch.Tensor):\n    pass\n"
_OWN = "class Own(nn.Module):\n    def forward(self, x):\n        return x + 1\n"
_SHAPELESS = """
class Mine(nn.Parameter):
    @property
    def shape(self):
        raise RuntimeError("no shape")

    def stride(self, *_):
        raise RuntimeError("no strides")

    def untyped_storage(self):
        raise RuntimeError("no storage")
"""
_EXTRA = """
class Extra(nn.Module):
    def get_extra_state(self):
        return {state}

    def set_extra_state(self, state):
        pass
"""
_WRAPPER = """
class Wrapper(torch.Tensor):
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        plain = [a.inner if isinstance(a, Wrapper) else a for a in args]
        out = func(*plain, **(kwargs or {}))
        return Wrapper(out) if func.overloadpacket is torch.ops.aten.detach else out
"""

WRITTEN: dict[str, str] = {
    "lazy layers": source(
        "self.b = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(n))",
        "x = self.b(x)",
    ),
    "a lazy transposed convolution": source("self.t = nn.LazyConvTranspose2d(c, 1)", "x = self.t(x)"),
    "a lazy layer that only training uses": source(
        "self.aux = nn.LazyLinear(10)", "if self.training:\n    x = x + self.aux(x.flatten(1)).mean()"
    ),
    "a complex parameter": source("self.w = nn.Parameter(torch.ones(c, h, w // 2 + 1, dtype=torch.cfloat))", _FFT),
    "a conjugated complex buffer": source(
        'self.register_buffer("w", torch.ones(c, h, w // 2 + 1, dtype=torch.cfloat).conj())', _FFT
    ),
    "unsigned integers": source(
        "for name in ('uint16', 'uint32', 'uint64'):\n"
        "    self.register_buffer(f'a_{name}', torch.ones(3, dtype=getattr(torch, name)))"
    ),
    "float8": source(
        'self.register_buffer("a", torch.ones(3).to(torch.float8_e4m3fn))\n'
        'self.register_buffer("b", torch.ones(3).to(torch.float8_e5m2))',
        "x = x + self.a.float().sum()",
    ),
    "half, bfloat16, double, bool": source(
        "for name in ('half', 'bfloat16', 'double', 'bool'):\n"
        "    self.register_buffer(f'is_{name}', getattr(torch.ones(2), name)())"
    ),
    "a tied parameter": source(
        "self.a, self.b = nn.Linear(n, n, bias=False), nn.Linear(n, n, bias=False)\nself.b.weight = self.a.weight",
        "x = self.b(self.a(x.flatten(1)).relu())",
    ),
    "parameters over one storage": source(
        "self.a = nn.Conv2d(c, 4, 3, padding=1)\nself.b = nn.Parameter(self.a.weight.data[:2])",
        "x = x + self.a(x).mean() + self.b.sum()",
    ),
    "a transposed parameter": source("self.t = nn.Parameter(torch.randn(n, n).t())", "x = x.flatten(1) @ self.t"),
    "an expanded buffer and a frozen expanded parameter": source(
        'self.register_buffer("t", torch.ones(1).expand(n))\n'
        "self.p = nn.Parameter(torch.ones(1).expand(n), requires_grad=False)",
        "x = x.flatten(1) * self.t * self.p",
    ),
    "no buffer, no parameter": source('self.register_buffer("t", None)\nself.register_parameter("q", None)'),
    "a sparse buffer that is not kept": source(
        'self.register_buffer("t", torch.eye(n).to_sparse(), persistent=False)',
        "x = torch.sparse.mm(self.t, x.flatten(1).t()).t()",
    ),
    "a buffer made in forward": source(
        forward='if not hasattr(self, "p"):\n    self.register_buffer("p", torch.zeros(x.shape[1:]))\nx = x + self.p'
    ),
    "a buffer made and changed in forward": source(
        'self.register_buffer("m", None)',
        "if self.m is None:\n    self.m = torch.zeros(1)\nself.m.mul_(0.9)\nx = x - self.m",
    ),
    "a tensor class": source(
        "self.t = nn.Parameter(torch.ones(n).as_subclass(Mine))", "x = x.flatten(1) * self.t", _MINE
    ),
    "a tensor class that tells no shape": source(
        "self.t = Mine(torch.ones(1))", "x = x.flatten(1) * self.t", _SHAPELESS
    ),
    "extra state that is a tensor": source("self.e = Extra()", above=_EXTRA.format(state="torch.ones(2)")),
    "a masked tensor in forward": source(
        forward="from torch.masked import masked_tensor\n"
        "x = x + masked_tensor(x.detach(), x.detach() > 0).mean().to_tensor(0.0)"
    ),
    "gradients in forward": source(
        forward="with torch.enable_grad():\n"
        "    z = x.detach().requires_grad_()\n"
        "    x = x + torch.autograd.grad(z.square().sum(), z)[0]"
    ),
    "a squeeze of all dimensions": source(
        "self.c, self.n, self.o = nn.Conv2d(c, 8, 3), nn.BatchNorm1d(8), nn.Linear(8, n)",
        "x = self.o(self.n(self.c(x).mean((2, 3), keepdim=True).squeeze()))",
    ),
    "a view while evaluating": source(
        "self.c = nn.Conv2d(c, c, 3, padding=1)",
        "x = self.c(x) + x.new_zeros(1, 1)\nx = x if self.training else x.view(len(x), -1)",
    ),
    "an auxiliary output in training": source(
        forward="if self.training:\n    return self.head(x.flatten(1)), self.head(x.flatten(1))"
    ).replace("self.criteria(self(inputs), labels)", "sum(self.criteria(out, labels) for out in self(inputs))"),
    "a layer that TorchScript reads": source("self.s = torch.jit.script(Own())", "x = self.s(x)", _OWN),
    "fold and unfold": source(forward="x = F.fold(F.unfold(x, 3, padding=1), (8, 8), 3, padding=1)"),
    "an affine grid": source(
        "self.loc = nn.Linear(n, 6)",
        "grid = F.affine_grid(self.loc(x.flatten(1)).view(-1, 2, 3), list(x.shape), align_corners=False)\n"
        "x = F.grid_sample(x, grid, align_corners=False)",
    ),
}
"""Such as pass every gate, so that their weights can be exported."""

REFUSED: dict[str, tuple[str, str]] = {
    "complex128": (
        source("self.w = nn.Parameter(torch.ones(n, dtype=torch.cdouble))", "x = x.flatten(1) * self.w.real.float()"),
        "the network's state holds w, of type complex128, which no file of weights takes: make it complex64",
    ),
    "sparse": (
        source('self.register_buffer("t", torch.eye(n).to_sparse())'),
        "t, a sparse tensor (torch.sparse_coo): hold it dense, compute it anew, or make it a buffer with persistent=F",
    ),
    "sparse rows": (
        source('self.register_buffer("t", torch.eye(n).to_sparse_csr())'),
        "t, a sparse tensor (torch.sparse_csr)",
    ),
    "a sparse parameter": (
        source("self.t = nn.Parameter(torch.eye(n).to_sparse())", "x = torch.sparse.mm(self.t, x.flatten(1).t()).t()"),
        "t, a sparse tensor",
    ),
    "quantised": (
        source('self.register_buffer("t", torch.quantize_per_tensor(torch.ones(n), 0.1, 0, torch.qint8))'),
        "t, a quantised tensor (qint8): train in float32",
    ),
    "extra state": (
        source("self.e = Extra()", above=_EXTRA.format(state='{"seen": 1}')),
        "e._extra_state, extra state of type dict: only tensors can be written, so keep it in buffers",
    ),
    "a lazy layer that is not used": (
        source("self.u = nn.LazyLinear(3)"),
        "u.weight, which has no shape: forward() does not use its layer, so leave the layer out",
    ),
    "meta": (source('self.register_buffer("t", torch.ones(3, device="meta"))'), "t, on the device meta"),
    "a reserved name": (source('self.register_buffer("__metadata__", torch.ones(3))'), "not __metadata__"),
    "a long name": (
        source('self.register_buffer("a" * 501, torch.ones(3))'),
        "printable text of at most 500 characters",
    ),
    "a name of two lines": (source('self.register_buffer("a\\nb", torch.ones(3))'), "printable text"),
    "nested": (
        source('self.register_buffer("t", torch.nested.as_nested_tensor([torch.ones(2)], layout=torch.jagged))'),
        "t, a nested tensor",
    ),
    "a tensor around a tensor": (
        source(
            "self.t = nn.Parameter(Wrapper(torch.ones(n)), requires_grad=False)", "x = x.flatten(1) * self.t", _WRAPPER
        ),
        "t, a Wrapper, which has no values of its own",
    ),
    "masked": (
        source(
            "from torch.masked import masked_tensor\n"
            'self.register_buffer("t", masked_tensor(torch.ones(3), torch.ones(3) > 0))'
        ),
        "t, a MaskedTensor, which has no values of its own",
    ),
    "no mapping": (
        source().replace(
            "def train_setup", "def state_dict(self, *_, **__):\n        return []\n\n    def train_setup"
        ),
        "state_dict() returns a list: leave the method out",
    ),
    "too much": (
        source('self.register_buffer("t", torch.zeros(1).expand(300_000_000))'),
        "the network's state has 1,144 MiB: at most 1,024 can be written",
    ),
}
"""Such as can't be written, and what is said of them."""
