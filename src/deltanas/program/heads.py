"""What joins the experts of a mixture: the text of its gate, its losses and its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deltanas.program.renaming import Import

Kind = Literal["gate", "mean"]
Loss = Literal["own", "joint"]

IMPORTS = (
    Import("Iterable", "collections.abc.Iterable", "from collections.abc import Iterable"),
    Import("torch", "torch", "import torch"),
    Import("nn", "torch.nn", "from torch import nn"),
)
"""What the head needs, whatever the experts do."""
RESERVED = frozenset(
    {"BALANCE", "EXPERTS", "Gate", "NOISE", "Net", "RATE", "mixed", "supported_hyperparameters", "used"}
)
"""What the head defines."""


@dataclass(frozen=True, slots=True)
class Head:
    """How the experts' probabilities are joined, and how all of it is trained.

    Attributes:
        kind: "gate": shares by a small network that looks at the image; "mean": equal shares.
        loss: "own": each expert learns by its own loss, and the gate by that of the mixture; "joint": all of it by that
            of the mixture.
        temperature: of the softmax over the gate's scores, at the start; it is learned.
        noise: standard deviation of what is added to the scores in training.
        balance: weight of a loss on the mean shares of a batch: 0 where they are equal, experts - 1 where one has all.
        rate: learning rate of the gate, in times of the hyperparameter `lr`; 0: it stays as it is drawn.
    """

    kind: Kind = "gate"
    loss: Loss = "own"
    temperature: float = 2.0
    noise: float = 0.1
    balance: float = 0.1
    rate: float = 2.0


_MIXED = '''
def mixed(shares: torch.Tensor, outputs: list[torch.Tensor]) -> torch.Tensor:
    """Logs of the probabilities of the classes, [b, classes]. shares: of the experts, in logs."""
    try:
        logits = torch.stack(outputs, dim=1)
    except RuntimeError as error:
        shapes = ", ".join(str(tuple(out.shape)) for out in outputs)
        raise ValueError(f"the experts give outputs of unlike shapes: {shapes}") from error
    return torch.logsumexp(shares.unsqueeze(2) + torch.log_softmax(logits, dim=2), dim=1)
'''

_GATE = '''
NOISE = {noise}
BALANCE = {balance}
RATE = {rate}


class Gate(nn.Module):
    """Shares of the experts, by a look at the image in at most 7 x 7 fields."""

    def __init__(self, in_shape: tuple[int, ...], experts: int) -> None:
        super().__init__()
        field = [-(-side // 7) for side in in_shape[2:]]
        rows, columns = [(side // size + 1) // 2 for side, size in zip(in_shape[2:], field)]
        self.look = nn.Sequential(
            nn.AvgPool2d(kernel_size=field),
            nn.Conv2d(in_shape[1], 8, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * rows * columns, experts),
        )
        self.temperature = nn.Parameter(torch.tensor({temperature}).log())
        self.register_buffer("use", torch.full((2, experts), 1 / experts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.look(x) / self.temperature.exp()
        if self.training:
            scores = scores + NOISE * torch.randn_like(scores)
        return torch.log_softmax(scores, dim=1)

    def loss(self, shares: torch.Tensor) -> torch.Tensor:
        """Of shares that are not balanced over a batch; notes what they were: means, and how often each is largest."""
        means = shares.exp().mean(dim=0)
        with torch.no_grad():
            largest = nn.functional.one_hot(shares.argmax(dim=1), len(means)).to(means.dtype).mean(dim=0)
            self.use.lerp_(torch.stack([means, largest]), 0.05)
        return BALANCE * (len(means) * means.square().sum() - 1)
'''

_NET = """
class Net(nn.Module):
    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        prm: dict[str, float],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.device = device
        self.experts = nn.ModuleList([expert(in_shape, out_shape, own, device) for expert, own in EXPERTS])
{gate}
    def outputs(self, x: torch.Tensor) -> list[torch.Tensor]:
        found = [expert(x) for expert in self.experts]
        return [out if isinstance(out, torch.Tensor) else out[0] for out in found]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
{forward}

    def train_setup(self, prm: dict[str, float]) -> None:
        self.to(self.device)
        self.optimizers = []
        for expert, (_, own) in zip(self.experts, EXPERTS):
            expert.train_setup(own)
            held = [value if isinstance(value, list | tuple) else [value] for value in vars(expert).values()]
            found = [one for some in held for one in some if isinstance(one, torch.optim.Optimizer)]
            self.optimizers += dict.fromkeys(found) or [torch.optim.AdamW(expert.parameters(), lr=own["lr"])]
{optimizer}
    def learn(self, train_data: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.train()
        for inputs, labels in train_data:
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            self.zero_grad()
            outputs = self.outputs(inputs)
{losses}
            loss.backward()
            for expert in self.experts:
                nn.utils.clip_grad_norm_(expert.parameters(), max_norm=1.0)
            for optimizer in self.optimizers:
                optimizer.step()
"""

_SHARES = {
    "gate": "shares = self.gate({x})",
    "mean": "shares = torch.full((1, len(outputs)), 1 / len(outputs), device={x}.device).log()",
}
_OWN = "sum(nn.functional.cross_entropy(out, labels) for out in outputs)"


def head_text(head: Head, experts: Sequence[tuple[str, dict[str, float]]]) -> str:
    """The end of a mixture's file. experts: the class of each, and its hyperparameters."""
    rows = "".join(f"    ({net}, {_literal(own)}),\n" for net, own in experts)
    gated = head.kind == "gate"
    gate = _GATE.format(
        noise=float(head.noise), balance=float(head.balance), rate=float(head.rate), temperature=float(head.temperature)
    )
    net = _NET.format(
        gate="        self.gate = Gate(in_shape, len(EXPERTS))\n" if gated else "",
        forward=_lines(
            8, "outputs = self.outputs(x)", _SHARES[head.kind].format(x="x"), "return mixed(shares, outputs)"
        ),
        optimizer=_lines(8, 'self.optimizers.append(torch.optim.AdamW(self.gate.parameters(), lr=RATE * prm["lr"]))\n')
        if gated
        else "",
        losses=_lines(12, *_losses(head)),
    )
    parts = [_MIXED, *([gate] if gated else []), net]
    return (
        f"EXPERTS = [\n{rows}]\n\n\n"
        "def supported_hyperparameters() -> set[str]:\n"
        '    return {"lr"}\n\n' + "\n".join(parts)
    )


def _losses(head: Head) -> list[str]:
    match head.kind, head.loss:
        case "mean", "own":
            return [f"loss = {_OWN}"]
        case "mean", _:
            shares = _SHARES["mean"].format(x="inputs")
            return [shares, "loss = nn.functional.nll_loss(mixed(shares, outputs), labels)"]
        case _, "joint":
            return [
                "shares = self.gate(inputs)",
                "loss = nn.functional.nll_loss(mixed(shares, outputs), labels) + self.gate.loss(shares)",
            ]
        case _:
            return [
                "shares = self.gate(inputs)",
                "fixed = [out.detach() for out in outputs]",
                f"loss = {_OWN}",
                "loss = loss + nn.functional.nll_loss(mixed(shares, fixed), labels) + self.gate.loss(shares)",
            ]


def _lines(indent: int, *lines: str) -> str:
    return "\n".join(" " * indent + line for line in lines)


def _literal(own: dict[str, float]) -> str:
    return "{" + ", ".join(f'"{name}": {value!r}' for name, value in sorted(own.items())) + "}"
