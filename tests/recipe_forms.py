"""Programs of one network whose recipe is written in other forms."""

from __future__ import annotations

from dataclasses import dataclass, field

LOSS = "self.criteria = nn.CrossEntropyLoss()"
OPTIMIZER = "self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'], momentum=prm['momentum'])"
IMPORTS = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


@dataclass(frozen=True)
class Form:
    """A program by its parts.

    Attributes:
        setup: statements of train_setup. out: what `forward` returns, of `x`. value: the loss, of `y` and `labels`.
        step: what learn does behind `loss.backward()`. init: statements at the end of `__init__`. after: what stands
            behind the imports. batch: what stands in the loop before `zero_grad`.
    """

    imports: str = IMPORTS
    setup: tuple[str, ...] = (LOSS, OPTIMIZER)
    out: str = "self.head(x.flatten(1))"
    value: str = "self.criteria(y, labels)"
    back: tuple[str, ...] = ("loss.backward()", "self.optimizer.step()")
    init: tuple[str, ...] = ()
    after: str = ""
    methods: str = ""
    batch: tuple[str, ...] = ()
    end: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        def lines(statements: tuple[str, ...], blanks: int) -> str:
            return "".join(" " * blanks + line + "\n" for one in statements for line in one.split("\n"))

        return (
            f"{self.imports}\n\ndef supported_hyperparameters():\n    return {{'lr', 'momentum'}}\n\n\n{self.after}"
            "class Net(nn.Module):\n"
            "    def __init__(self, in_shape, out_shape, prm, device):\n"
            "        super().__init__()\n"
            "        self.device = device\n"
            "        self.head = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])\n"
            f"{lines(self.init, 8)}\n"
            "    def forward(self, x):\n"
            f"        return {self.out}\n\n"
            f"{self.methods}"
            f"    def train_setup(self, prm):\n{lines(self.setup, 8)}\n"
            "    def learn(self, train_data):\n"
            "        self.train()\n"
            "        for inputs, labels in train_data:\n"
            f"{lines(self.batch, 12)}"
            "            self.optimizer.zero_grad()\n"
            "            y = self(inputs)\n"
            f"            loss = {self.value}\n"
            f"{lines(self.back, 12)}"
            f"{lines(self.end, 8)}"
        )


def _setup(loss: str = LOSS, optimizer: str = OPTIMIZER, *more: str) -> tuple[str, ...]:
    return loss, optimizer, *more


_GROUPS = """bias = {'params': [self.head.bias], 'lr': prm['lr'] * 10}
groups = [{'params': [self.head.weight], 'lr': prm['lr']}, bias]
self.optimizer = torch.optim.SGD(groups, lr=prm['lr'], momentum=prm['momentum'])"""
_PLATEAU = "self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=5, gamma=0.5)"

RIGHT: dict[str, Form] = {
    "bare": Form(),
    "imports behind a statement": Form(
        imports="import torch\ntorch.manual_seed(0)\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
    ),
    "imports on one line": Form(imports="import torch; import torch.nn as nn; N = 1\n"),
    "a loss of the module": Form(
        imports="import torch\nfrom torch import nn\nLOSS = nn.CrossEntropyLoss()\nimport math\n",
        setup=("pass", OPTIMIZER),
        value="LOSS(y, labels)",
    ),
    "asks for a scheduler's class": Form(
        setup=(LOSS, OPTIMIZER, "self.s = None"),
        end=("if isinstance(self.s, torch.optim.lr_scheduler.ReduceLROnPlateau):\n    self.s.step(0.0)",),
    ),
    "tuple": Form(
        setup=_setup("self.criteria = (nn.CrossEntropyLoss().to(self.device),)"), value="self.criteria[0](y, labels)"
    ),
    "renamed": Form(
        setup=_setup("self.loss = nn.CrossEntropyLoss()", "self.opt = torch.optim.Adam(self.parameters(), prm['lr'])"),
        value="self.loss(y, labels)",
        batch=("self.optimizer = self.opt",),
        back=("loss.backward()", "self.opt.step()"),
    ),
    "aliased": Form(
        imports="from torch import nn\nimport torch.optim as o\nfrom torch.nn import CrossEntropyLoss as CE\n",
        setup=_setup("self.criteria = CE()", "self.optimizer = o.SGD(self.parameters(), lr=prm['lr'], momentum=0.9)"),
    ),
    "no module": Form(
        imports="from torch import nn\nfrom torch.nn import CrossEntropyLoss\nfrom torch.optim import SGD\n",
        setup=_setup("self.criteria = CrossEntropyLoss()", "self.optimizer = SGD(self.parameters(), prm['lr'], 0.9)"),
    ),
    "keywords": Form(
        setup=_setup(
            optimizer="self.optimizer = torch.optim.AdamW(lr=prm['lr'], params=self.parameters(), weight_decay=0.1)"
        )
    ),
    "helper": Form(
        after="def made():\n    return nn.CrossEntropyLoss()\n\n\n",
        methods="    def optimizer_of(self, p):\n        return torch.optim.RMSprop(self.parameters(), lr=p['lr'])\n\n",
        setup=_setup("self.criteria = made()", "self.optimizer = self.optimizer_of(prm)"),
    ),
    "two at once": Form(
        setup=("self.criteria, self.optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(self.parameters(), prm['lr'])",)
    ),
    "function": Form(value="F.cross_entropy(y, labels)", setup=_setup("pass")),
    "in init": Form(init=("self.add_module('criteria', None)", LOSS), setup=_setup("pass")),
    "groups": Form(setup=_setup(optimizer=_GROUPS)),
    "groups in the call": Form(
        setup=_setup(
            optimizer="self.optimizer = torch.optim.AdamW([\n    {'params': [self.head.weight], 'lr': prm['lr']},\n"
            "    {'params': [self.head.bias], 'lr': prm['lr'] * 2},\n], lr=prm['lr'])"
        )
    ),
    "scheduler": Form(setup=_setup(LOSS, OPTIMIZER, _PLATEAU), end=("self.scheduler.step()",)),
    "clipped": Form(
        back=("loss.backward()", "nn.utils.clip_grad_norm_(self.parameters(), 3)", "self.optimizer.step()")
    ),
    "log-softmax": Form(out="F.log_softmax(self.head(x.flatten(1)), dim=1)"),
    "nll": Form(setup=_setup("self.criteria = nn.NLLLoss()"), out="torch.log_softmax(self.head(x.flatten(1)), dim=1)"),
    "nll function": Form(value="F.nll_loss(F.log_softmax(y, dim=1), labels)", setup=_setup("pass")),
    "method": Form(
        methods="    def loss_of(self, y, labels):\n        return self.criteria(y, labels)\n\n",
        value="self.loss_of(y, labels)",
    ),
    "closure": Form(
        value="None",
        back=(
            "def closure():\n    self.optimizer.zero_grad()\n    loss = self.criteria(self(inputs), labels)\n"
            "    loss.backward()\n    return loss",
            "self.optimizer.step(closure)",
        ),
    ),
    "scaled": Form(
        setup=_setup(LOSS, OPTIMIZER, "self.scaler = torch.amp.GradScaler('cpu', enabled=False)"),
        back=("self.scaler.scale(loss).backward()", "self.scaler.step(self.optimizer)", "self.scaler.update()"),
    ),
    "summed": Form(
        value="0.0",
        back=(
            "for part, share in ((y, 1.5), (y, 0.5)):\n    loss += share * self.criteria(part, labels)",
            "loss = loss / 2 + 0.0 * sum(p.square().sum() for p in self.parameters())",
            "shown = torch.exp(-loss.detach()) ** 2",
            "loss.backward()",
            "self.optimizer.step()",
        ),
    ),
    "averaged": Form(
        value="torch.zeros(1, device=y.device)",
        back=(
            "losses = [self.criteria(part, labels).mean() for part in (y, y)]",
            "loss = sum(losses) / len(losses) + torch.zeros((), device=losses[0].device)",
            "loss.backward()",
            "self.optimizer.step()",
        ),
    ),
    "gradients are changed, other numbers counted": Form(
        init=("self.steps = 0", "self.model = nn.Identity().eval()", "self.head.weight.data.mul_(0.5)"),
        back=(
            "loss.backward()",
            "self.steps += 1",
            "total = 0.0",
            "for p in self.parameters():\n    total += p.grad.norm() ** 2\n    g = p.grad\n    g.clamp_(-1, 1)",
            "for p in self.parameters():\n    p.grad.data.add_(0.1)\n    p.grad *= 2",
            "torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)",
            "self.optimizer.step()",
        ),
    ),
}
"""Forms in which each of the 18 recipes can be had."""

_OTHER_LEARN = """    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), labels).backward()
            self.optimizer.step()

"""
_TWO = "self.aux = nn.CrossEntropyLoss()"
REFUSED: dict[str, tuple[Form, str, Form]] = {
    "two losses": (
        Form(setup=_setup(f"{LOSS}\n{_TWO}"), value="self.criteria(y, labels) + 0.3 * self.aux(y, labels)"),
        r"line 21: the program has several losses \(lines 20, 21\)",
        Form(value="self.criteria(y, labels) + 0.3 * self.criteria(y, labels)"),
    ),
    "another loss": (
        Form(value="self.criteria(y, labels) + F.mse_loss(y, y)"),
        r"several losses \(lines 20, 28\)",
        Form(),
    ),
    "softmax": (
        Form(out="F.softmax(self.head(x.flatten(1)), dim=1)"),
        "line 17: the loss gets probabilities, no logits",
        Form(),
    ),
    "sigmoid": (
        Form(out="torch.sigmoid(self.head(x.flatten(1)))"),
        "line 17: the loss gets probabilities, no logits",
        Form(out="self.head(torch.sigmoid(x.flatten(1)))"),
    ),
    "softmax layer": (
        Form(out="self.soft(self.head(x.flatten(1)))", init=("self.soft = nn.Softmax(dim=1)",)),
        "line 15: the loss gets probabilities",
        Form(),
    ),
    "softmax in learn": (Form(value="self.criteria(y.softmax(1), labels)"), "line 28: the loss gets prob", Form()),
    "own loss": (
        Form(
            after="class Own(nn.Module):\n    def forward(self, y, labels):\n        return -y[:, 0].mean()\n\n\n",
            setup=_setup("self.criteria = Own()"),
        ),
        "line 1: the program makes no cross-entropy",
        Form(),
    ),
    "named": (
        Form(setup=_setup("made = nn.CrossEntropyLoss\nself.criteria = made()")),
        "line 20: .*without being",
        Form(),
    ),
    "derived": (
        Form(
            after="class Own(nn.CrossEntropyLoss):\n    pass\n\n\n",
            setup=_setup("self.criteria = Own()"),
        ),
        "line 10: nn.CrossEntropyLoss is named without being called",
        Form(),
    ),
    "read": (Form(value="self.criteria(y, labels) / self.criteria.ignore_index"), "ignore_index is used", Form()),
    "unused": (
        Form(value="(y - F.one_hot(labels, 10)).square().mean()"),
        "line 20: the loss that is made here is not applied",
        Form(),
    ),
    "not minimised": (
        Form(
            value="y.square().mean()",
            batch=("with torch.no_grad():\n    self.shown = self.criteria(self(inputs), labels)",),
        ),
        "line 20: no backward",
        Form(),
    ),
    "read, not minimised": (
        Form(value="y.square().mean() + 0 * self.criteria(y, labels).item()"),
        "line 20: no backward",
        Form(),
    ),
    "focal": (
        Form(
            methods="    def focal(self, y, labels):\n        ce = F.cross_entropy(y, labels)\n"
            "        return (1 - torch.exp(-ce)) ** 2 * ce\n\n",
            setup=_setup("pass"),
            value="self.focal(y, labels)",
        ),
        "line 21: the loss is changed here",
        Form(),
    ),
    "squared, by a keyword": (
        Form(value="torch.mean(input=self.criteria(y, labels) ** 2)"),
        "line 28: the loss is changed here",
        Form(value="torch.mean(input=self.criteria(y, labels))"),
    ),
    "times itself, by a keyword": (
        Form(value="self.criteria(y, labels)", back=("loss = loss.mul(other=loss)", *Form().back)),
        "line 29: the loss is changed here",
        Form(value="self.criteria(y, labels)", back=("loss = loss.mul(other=0.5)", *Form().back)),
    ),
    "a long sum": (
        Form(value="self.criteria(y, labels)" + " + 0.0" * 900),
        "nested too deeply",
        Form(value="self.criteria(y, labels)" + " + 0.0" * 9),
    ),
    "squared": (Form(value="0.5 * self.criteria(y, labels).pow(2)"), "line 28: the loss is changed here", Form()),
    "maximised": (Form(value="1 - self.criteria(y, labels)"), "line 28: the loss is changed here", Form()),
    "squared later": (Form(back=("loss **= 2", *Form().back)), "line 29: the loss is changed here", Form()),
    "another loss in some batches": (
        Form(back=("if len(labels) < 8:\n    loss = y.square().mean()", *Form().back)),
        "line 30: this may be minimised in place of the loss",
        Form(back=("if len(labels) < 8:\n    loss = loss + y.square().mean()", *Form().back)),
    ),
    "another loss from a function": (
        Form(
            methods="    def loss_of(self, y, labels):\n        if len(labels) < 8:\n"
            "            return y.square().mean()\n        return self.criteria(y, labels)\n\n",
            value="self.loss_of(y, labels)",
        ),
        "line 21: this may be minimised in place of the loss",
        Form(),
    ),
    "shares": (
        Form(value="self.criteria(y, F.one_hot(labels, 10).float())"),
        "the targets may be shares of classes",
        Form(),
    ),
    "shares by a function": (
        Form(
            after="def soft(y):\n    return F.one_hot(y, 10).float()\n\n\n",
            batch=("labels = soft(labels)",),
        ),
        "line 33: the targets may be shares of classes",
        Form(after="def moved(y):\n    return y.long()\n\n\n", batch=("labels = moved(labels)",)),
    ),
    "shares by a method of another one": (
        Form(
            methods="    def soft(self, y):\n        return self.smooth(y)\n\n"
            "    def smooth(self, y):\n        return 0.9 * y + 0.01\n\n",
            batch=("labels = self.soft(labels)",),
        ),
        "line 35: the targets may be shares of classes",
        Form(),
    ),
    "shares by a lambda": (
        Form(init=("self.soft = lambda y: F.one_hot(y, 10) * 1.0",), value="self.criteria(y, self.soft(labels))"),
        "line 29: the targets may be shares of classes",
        Form(),
    ),
    "shares by a class": (
        Form(
            after="class Soft:\n    def __call__(self, y):\n        return F.one_hot(y, 10).float()\n\n\n",
            init=("self.soft = Soft()",),
            batch=("labels = self.soft(labels)",),
        ),
        "the targets may be shares of classes",
        Form(),
    ),
    "two optimizers": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.second = torch.optim.Adam(self.parameters())")),
        r"several optimizers \(lines 21, 22\)",
        Form(),
    ),
    "LBFGS": (
        Form(setup=_setup(optimizer="self.optimizer = torch.optim.LBFGS(self.parameters())")),
        "line 21: LBFGS evaluates its closure many times a step",
        Form(),
    ),
    "chosen by name": (
        Form(setup=_setup(optimizer="self.optimizer = getattr(torch.optim, 'SGD')(self.parameters(), lr=0.1)")),
        "makes no optimizer of torch.optim",
        Form(),
    ),
    "own optimizer": (
        Form(
            after="class Own(torch.optim.Optimizer):\n    pass\n\n\n",
        ),
        "line 10: Own is an optimizer of the program's own",
        Form(),
    ),
    "star": (
        Form(setup=_setup(optimizer="self.optimizer = torch.optim.SGD(self.parameters(), **{'lr': prm['lr']})")),
        "line 21: the arguments of torch.optim.SGD can't be told apart",
        Form(),
    ),
    "rates of groups": (
        Form(setup=_setup(optimizer=_GROUPS.replace("prm['lr'] * 10", "0.1"))),
        "line 21: the rate of a parameter group is no multiple",
        Form(setup=_setup(optimizer=_GROUPS)),
    ),
    "a group's rate is set later": (
        Form(setup=_setup(optimizer=_GROUPS.replace("\ngroups", "\nbias['lr'] = 0.1\ngroups"))),
        "line 22: the parameter group is put together here",
        Form(setup=_setup(optimizer=_GROUPS)),
    ),
    "groups' rates are set in a loop": (
        Form(setup=_setup(optimizer=_GROUPS.replace("\nself", "\nfor one in groups:\n    one.update(lr=0.1)\nself"))),
        "line 24: the parameter group is put together here",
        Form(setup=_setup(optimizer=_GROUPS)),
    ),
    "a group of what is not seen": (
        Form(setup=_setup(optimizer="self.optimizer = torch.optim.SGD([dict(params=self.parameters(), **prm)], 0.1)")),
        "line 21: not all of the parameter group is written down",
        Form(),
    ),
    "one cycle": (
        Form(
            setup=_setup(LOSS, OPTIMIZER, "self.s = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.1, 99)"),
            back=("loss.backward()", "self.optimizer.step()", "self.s.step()"),
        ),
        "line 22: OneCycleLR sets the learning rate itself",
        Form(),
    ),
    "one cycle by another name": (
        Form(
            setup=_setup(
                LOSS, OPTIMIZER, "S = torch.optim.lr_scheduler.OneCycleLR\nself.s = S(self.optimizer, 0.1, 9)"
            ),
        ),
        "line 22: torch.optim.lr_scheduler.OneCycleLR is named without being called",
        Form(),
    ),
    "one cycle in a table": (
        Form(
            setup=_setup(
                LOSS, OPTIMIZER, "known = {'c': torch.optim.lr_scheduler.CyclicLR}\nself.s = known['c'](self.optimizer)"
            ),
        ),
        "line 22: torch.optim.lr_scheduler.CyclicLR is named without being called",
        Form(),
    ),
    "a schedule whose end may be hidden": (
        Form(
            setup=_setup(
                LOSS, OPTIMIZER, "self.s = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 9, **prm)"
            )
        ),
        "line 22: the arguments of torch.optim.lr_scheduler.CosineAnnealingLR can't be told apart",
        Form(
            setup=_setup(
                LOSS, OPTIMIZER, "self.s = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=9)"
            )
        ),
    ),
    "sets rates": (
        Form(batch=("for group in self.optimizer.param_groups:\n    group['lr'] *= 0.99",)),
        "the optimizer's param_groups is read or set here",
        Form(),
    ),
    "sets rates by a text": (
        Form(batch=("for group in vars(self.optimizer)['param_groups']:\n    group['lr'] = 0.5",)),
        "line 26: the optimizer's param_groups is read or set here",
        Form(),
    ),
    "loads a state": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.optimizer.load_state_dict(self.kept)")),
        "line 22: the optimizer's load_state_dict is read or set here",
        Form(),
    ),
    "softmax in a function": (
        Form(after="def soft(x):\n    return F.softmax(x, dim=1)\n\n\n", out="soft(self.head(x.flatten(1)))"),
        "line 11: the loss gets probabilities",
        Form(),
    ),
    "another optimizer may come": (
        Form(setup=_setup(optimizer=f"{OPTIMIZER}\nif prm['lr'] > 1:\n    self.optimizer = made(self.parameters())")),
        "line 23: this may stand in the place of the optimizer",
        Form(),
    ),
    "another optimizer may be made": (
        Form(
            methods="    def optimizer_of(self, p):\n        if p['lr'] > 1:\n            return made()\n"
            "        return torch.optim.SGD(self.parameters(), lr=p['lr'])\n\n",
            setup=_setup(optimizer="self.optimizer = self.optimizer_of(prm)"),
        ),
        "line 21: this may stand in the place of the optimizer",
        Form(),
    ),
    "another loss may come": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.criteria = (lambda y, labels: y.square().mean())")),
        "line 22: this may stand in the place of the loss",
        Form(),
    ),
    "another loss may be chosen": (
        Form(setup=_setup("self.criteria = nn.CrossEntropyLoss() if prm['lr'] < 1 else made()")),
        "line 20: this may stand in the place of the loss",
        Form(),
    ),
    "another loss in learn": (
        Form(value="criterion(y, labels)", batch=("criterion = self.criteria\nif made:\n    criterion = made()",)),
        "this may stand in the place of the loss",
        Form(),
    ),
    "another loss beside it": (
        Form(setup=_setup("self.criteria = (nn.CrossEntropyLoss(), made())"), value="self.criteria[1](y, labels)"),
        "line 20: this may stand in the place of the loss",
        Form(),
    ),
    "another loss by a text": (
        Form(setup=_setup(LOSS, OPTIMIZER, "setattr(self, 'criteria', made())")),
        "line 22: this may stand in the place of the loss",
        Form(),
    ),
    "another loss as a module": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.add_module('criteria', made())")),
        "line 22: this may stand in the place of the loss",
        Form(),
    ),
    "another loss by turns": (
        Form(value="criterion(y, labels)", batch=("for criterion in (self.criteria, made()):\n    pass",)),
        "line 26: this may stand in the place of the loss",
        Form(),
    ),
    "another loss as a property": (
        Form(methods="    @property\n    def criteria(self):\n        return made()\n\n"),
        "line 21: this may stand in the place of the loss",
        Form(),
    ),
    "another optimizer by a text": (
        Form(setup=_setup(LOSS, OPTIMIZER, "setattr(self, 'optimizer', made())")),
        "line 22: this may stand in the place of the optimizer",
        Form(),
    ),
    "labels to the network": (
        Form(batch=("self.forward(inputs, labels)",)),
        "no classifier: its network gets the labels too",
        Form(),
    ),
    "by hand": (
        Form(
            back=(
                "loss.backward()",
                "self.optimizer.step()",
                "with torch.no_grad():",
                "    for p in self.parameters():\n        p -= 0.01 * p.grad",
            )
        ),
        "line 33: `p` is changed here, beside the optimizer",
        Form(),
    ),
    "by hand, in a method": (
        Form(
            methods="    def shrink(self, some):\n        for _, p in some:\n            p.data.mul_(0.9).add_(1)\n\n",
            back=("loss.backward()", "self.optimizer.step()", "self.shrink(list(self.named_parameters()))"),
        ),
        r"line 21: `p\.data\.mul_\(0\.9\)` is changed here",
        Form(),
    ),
    "by a gradient that a function gives": (
        Form(
            back=(
                "loss.backward(retain_graph=True)",
                "self.optimizer.step()",
                "weights = [p for p in self.parameters()]",
                "torch._foreach_sub_(weights, torch.autograd.grad(loss, weights))",
            )
        ),
        "line 32: `weights` is changed here",
        Form(),
    ),
    "weights are set": (
        Form(end=("self.head.weight.data = self.head.weight.data.clamp(-1, 1)",)),
        r"line 31: `self\.head\.weight\.data` is changed here",
        Form(),
    ),
    "a hook": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.head.weight.register_hook(lambda grad: -grad)")),
        "line 22: register_hook hooks something in",
        Form(),
    ),
    "a text is run": (
        Form(setup=_setup(LOSS, OPTIMIZER, "exec('self.optimizer = made(self)')")),
        "line 22: exec runs a text that is not read",
        Form(),
    ),
    "a text is run by another name": (
        Form(
            imports=IMPORTS + "import builtins\n",
            back=("loss.backward()", "self.optimizer.step()", "builtins.eval('1')"),
        ),
        "line 32: eval runs a text",
        Form(),
    ),
    "an attribute by the table of all": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self.__dict__['optimizer'] = made(self)")),
        "line 22: this may set the optimizer or the loss by a name that is not read",
        Form(setup=_setup(LOSS, OPTIMIZER, "self.told = '{training}'.format(**self.__dict__)")),
    ),
    "a module by the table of all": (
        Form(setup=_setup(LOSS, OPTIMIZER, "self._modules.update(criteria=made(self))")),
        "line 22: this may set",
        Form(),
    ),
    "an attribute by vars": (
        Form(setup=_setup(LOSS, OPTIMIZER, "vars(self)['optimizer'] = made(self)")),
        "line 22: this may set",
        Form(),
    ),
    "an attribute by a name that is put together": (
        Form(setup=_setup(LOSS, OPTIMIZER, "setattr(self, 'opti' + 'mizer', made(self))")),
        "line 22: this may set",
        Form(setup=_setup(LOSS, OPTIMIZER, "setattr(self, 'told', 1)")),
    ),
    "learn twice": (
        Form(methods=_OTHER_LEARN),
        "line 29: learn stands there twice",
        Form(methods=_OTHER_LEARN.replace("learn", "fit")),
    ),
    "learn is replaced": (
        Form(methods=_OTHER_LEARN.replace("learn", "fit"), end=("Net.learn = Net.fit",)),
        "line 37: learn is set to something else",
        Form(),
    ),
    "the learn of a base class": (
        Form(after=f"class Base(nn.Module):\n{_OTHER_LEARN}\n", value="y.square().mean()"),
        "line 28: no backward",
        Form(after=f"class Base(nn.Module):\n{_OTHER_LEARN}\n"),
    ),
    "segments": (Form(out="F.interpolate(self.head(x), scale_factor=2)"), "no classifier: its output has", Form()),
}
"""Forms that are refused, where and why, and the form that the hint leads to. The recipe: NGL, Adadelta, a rate."""
