"""Programs in one file: each computes what it computes alone, whatever their names, and in whatever order they come."""

from __future__ import annotations

import ast
import re
from itertools import combinations, permutations

import pytest
import torch

from assembled_nets import SHAPE, experts_of, mixture_of, module_of, net_of
from deltanas.check import contract_faults
from deltanas.nets import DEFAULT_PRM, baseline, baselines
from deltanas.program import Program, canonical_source
from deltanas.program.assembly import Expert, assembled
from deltanas.program.renaming import AssemblyError
from lemur_wheels import net as lemur_net

NAMES = list(baselines())
PLAIN = 'def supported_hyperparameters():\n    return {"lr"}\n\nclass Net:\n    pass\n'

CLASHING = [
    '''"""A docstring that goes."""
from __future__ import annotations
import math, os.path
from functools import partial as take
import collections as F

SCALE, unit = 3, (lambda Block: Block + 1)  # a parameter that hides a class
limit: int = 7
try:
    import json as reader
except ImportError:
    reader = None

def helper(x: Block, scale=SCALE, *, Net_1=1):
    def inner(SCALE):
        return SCALE * 2
    return inner(x) + scale + Net_1 + sum(SCALE for SCALE in range(3))

class Block:
    """Of Block and SCALE."""
    SCALE = 10
    def own(self) -> "Block":
        return f"{SCALE}-{helper(1)!r}-{type(self) is Block} Block", self.SCALE

def count():
    global seen
    seen = globals_seen() + 1
    return seen

def globals_seen():
    try:
        return seen
    except NameError:
        return 0

class Net(Block):
    value = (helper(2), Block().own(), unit(1), take(int, base=2)("11"), math.pi, reader is not None, limit)
    é = F.Counter("aab")["a"]
    def result(self):
        count()
        return self.value, count(), super().own(), self.é, os.path.basename("a/b"), Net.__mro__[1] is Block
''',
    '''from math import sqrt as helper; import string as F
SCALE = helper(16)
def Block(x):
    return x * SCALE + len(F.digits)
class Base: pass
class Other(Base):
    def result(self):
        match [1, 2]:
            case [Block_, *rest]: pass
        return Block(2), count, [F for F in "ab"], (Net := 5), rest
count = [number for number in range(3)]
Net = Other
''',
    '''import math
class Block: SCALE = 4
def Net(*_):
    return Thing()
class Thing:
    def result(self):
        SCALE = [Block.SCALE, math.floor(2.5)]
        del SCALE[0]
        return SCALE
''',
]  # fmt: skip


def test_clashing_names_mean_what_they_meant_and_the_text_stays() -> None:
    experts = [Expert(f"p{place}", f"{PLAIN.split('class')[0]}{text}", {}) for place, text in enumerate(CLASHING)]
    alone = {one.name: module_of(_with_future_first(one.source)).Net() for one in experts}
    wanted = {name: net.result() for name, net in alone.items()}
    experts = [Expert(one.name, _with_future_first(one.source), {}) for one in experts]
    source = assembled(experts)
    module = module_of(source)
    for number, (net, _) in enumerate(module.EXPERTS, 1):
        (name,) = [line.split()[-1] for line in source.splitlines() if line.startswith(f"# Expert {number}:")]
        assert net().result() == wanted[name]
    # The text is the programs' own: comments, lines and layout.
    assert "# a parameter that hides a class" in source
    assert '"""Of Block and SCALE."""' in source
    assert source.count("import math\n") == 1
    assert "A docstring that goes" not in source


def _with_future_first(source: str) -> str:
    future = "from __future__ import annotations\n"
    return future + source.replace(future, "") if future in source else source


def test_a_builtin_is_what_it_was_beside_an_import_of_its_name() -> None:
    own = "from math import pow\nfrom torch import sum\nresult = pow(2, 5)\n"
    source = assembled([Expert("a", own + PLAIN, {}), Expert("b", "result = pow(2, 5), sum([1, 2])\n" + PLAIN, {})])
    results = [repr(value) for name, value in vars(module_of(source)).items() if name.startswith("result_")]
    assert sorted(results) == ["(32, 3)", "32.0"]


def test_annotations_are_not_evaluated_where_one_of_the_programs_wants_it_so() -> None:
    text = "from __future__ import annotations\nx: Unknown[int] = 3\n"
    source = assembled([Expert("a", text + PLAIN, {}), Expert("b", PLAIN, {}), Expert("c", text + PLAIN, {})])
    assert source.count("from __future__") == 1
    assert set(module_of(source).__annotations__.values()) == {"Unknown[int]"}


REFUSED = {
    "a star": ("from math import *\n", "line 1: `from math import \\*`", "from math import pi\n"),
    "globals": ("def f():\n    return globals()\n", "line 2: `globals`", "def f():\n    return {}\n"),
    "eval": ("x = eval('1')\n", "line 1: `eval`", "x = 1\n"),
    "locals of the module": ("x = locals()\n", "line 1: `locals`", "x = {}\n"),
    "modules": ("import sys\nx = sys.modules[__name__]\n", "line 2: `sys.modules`", "import sys\nx = __name__\n"),
    "modules by another name": (
        "from sys import modules\nx = modules[__name__]\n",
        "line 2: `modules`",
        "x = __name__\n",
    ),
    "eval by another name": ("import builtins as b\nx = b.eval('1')\n", "line 2: `b.eval`", "x = 1\n"),
    "a default by another name": (
        "from torch import float64, set_default_dtype as use\nuse(float64)\n",
        "line 2: `set_default_dtype`",
        "",
    ),
    "a default by getattr": (
        "import torch\ngetattr(torch, 'set_default_dtype')(torch.float64)\n",
        "line 2: `set_default_dtype`",
        "import torch\nx = getattr(torch, 'float64')\n",
    ),
    "gradients for all": (
        "import torch\ntorch.set_grad_enabled(True)\n",
        "line 2: `set_grad_enabled` holds for all",
        "import torch\nwith torch.set_grad_enabled(True):\n    x = 1\n",
    ),
    "setattr of a library": (
        "from torch import nn\nsetattr(nn.Linear, 'mine', 1)\n",
        r"line 2: `setattr\(nn.Linear, 'mine', 1\)` is set",
        "from torch import nn\nclass A(nn.Linear): ...\nsetattr(A, 'mine', 1)\n",
    ),
    "a name by getattr": (
        "class A: ...\ny = getattr(A, '__name__') == 'A'\n",
        "line 2: the name 'A' is compared with",
        "class A: ...\ny = isinstance(A(), A)\n",
    ),
    "a private name as text": (
        "class A:\n    __v = 1\ny = getattr(A(), '_A__v')\n",
        "line 3: `_A__v` holds the name of a class",
        "class A:\n    v = 1\ny = getattr(A(), 'v')\n",
    ),
    "a default for all": (
        "import torch\ntorch.set_default_dtype(torch.float64)\n",
        "line 2: `set_default_dtype`",
        "import torch\n",
    ),
    "a library changed": (
        "import torch.nn as nn\nnn.Conv2d.bias = 1\n",
        "line 2: `nn.Conv2d.bias` is set",
        "import torch.nn as nn\nclass Conv(nn.Conv2d):\n    bias = 1\n",
    ),
    "a class's own reading": (
        "size = 1\nclass A:\n    size = size + 1\n",
        "line 3: the class reads `size`",
        "first = 1\nclass A:\n    size = first + 1\n",
    ),
    "a mangled name": (
        "class A:\n    __x = 1\ny = A._A__x\n",
        "line 3: `_A__x`",
        "class A:\n    __x = 1\n    def x(self):\n        return self.__x\n",
    ),
    "a name compared": (
        "class A: ...\ny = type(A()).__name__ == 'A'\n",
        "line 2: the name 'A'",
        "class A: ...\ny = isinstance(A(), A)\n",
    ),
    "a name asked for and compared elsewhere": (
        "class A: ...\ndef f(x: 'A'):\n    name = type(x).__name__\n    return {'A': 1}[name]\n",
        "line 4: the name 'A'",
        "class A: ...\n__all__ = ['A']\ndef f(x: 'A') -> 'A':\n    return type(x).__name__.lower()\n",
    ),
    "a name that a module gives": (
        "import torch\nclass A(torch.nn.Module): ...\ny = A()._get_name() == 'A'\n",
        "line 3: the name 'A'",
        "import torch\nclass A(torch.nn.Module): ...\ny = isinstance(A(), A)\n",
    ),
    "the end of a name": (
        "class ResBlock: ...\ny = type(ResBlock()).__name__.endswith('Block')\n",
        "line 2: the name 'Block'",
        "class ResBlock: ...\ny = type(ResBlock()).__name__.startswith('Res') and 'k'.endswith('x')\n",
    ),
    "a deep expression": (
        f"x = {' + '.join('1' * 1200)}\n",
        "line 1: an expression is nested too deeply",
        "x = 1200\n",
    ),
    "a conditional import": (
        "if True:\n    import os.path\n",
        "line 2: `import os.path` binds `os` on a condition",
        "if True:\n    import os.path as paths\n",
    ),
    "no Python": ("def f(:\n", "line 1: it is no Python: ", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_share_a_file_is_refused_by_its_line_and_its_hint_mends_it(name: str) -> None:
    text, says, mended = REFUSED[name]
    with pytest.raises(AssemblyError, match=f"odd.py, {says}") as caught:
        assembled([Expert("odd.py", text + PLAIN, {}), Expert("b", PLAIN, {})])
    assert caught.value.hint
    module_of(assembled([Expert("odd.py", mended + PLAIN, {}), Expert("b", PLAIN, {})]))


def test_a_program_without_a_network_and_one_alone_are_refused() -> None:
    with pytest.raises(AssemblyError, match="a, line 1: it defines no `Net`"):
        assembled([Expert("a", "x = 1\n", {}), Expert("b", PLAIN, {})])
    with pytest.raises(AssemblyError, match="two experts or more, and 1 was given"):
        assembled([Expert("b", PLAIN, {})])


def test_a_name_of_the_module_with_two_underscores_is_read_in_a_class() -> None:
    text = "__version__ = '1'\nclass Net:\n    def version(self):\n        return __version__\n"
    text = PLAIN.split("class")[0] + text
    module = module_of(assembled([Expert("a", text, {}), Expert("b", text.replace("'1'", "'2'"), {})]))
    assert {net().version() for net, _ in module.EXPERTS} == {"1", "2"}


def test_functions_may_ask_for_their_locals() -> None:
    text = "def f(a, b=2):\n    return locals()\n"
    module = module_of(assembled([Expert("a", text + PLAIN, {}), Expert("b", PLAIN, {})]))
    (f,) = [value for name, value in vars(module).items() if name.startswith("f_")]
    assert f(1) == {"a": 1, "b": 2}


@pytest.mark.parametrize("place", range(0, len(NAMES), 4))
def test_an_expert_computes_what_its_base_does_to_the_last_digit(place: int) -> None:
    mix, order = mixture_of([NAMES[number % len(NAMES)] for number in range(place, place + 4)])
    x, y = torch.randn(2, *SHAPE[1:]), torch.arange(2)
    for expert, name in zip(mix.experts, order, strict=True):
        base = net_of(baseline(name))
        expert.load_state_dict(base.state_dict())
        for training in (False, True):
            outputs = []
            for net in (base.train(training), expert.train(training)):
                torch.manual_seed(1)
                outputs.append(net(x))
            assert torch.equal(*outputs), name
        for net in (base, expert):
            torch.manual_seed(2)
            net.learn([(x, y)])
        assert all(map(torch.equal, base.state_dict().values(), expert.state_dict().values())), name


def test_a_mixture_has_one_identity_whatever_the_order_and_the_names_and_keeps_each_ones_hyperparameters() -> None:
    experts = experts_of(["mlp", "vgg", "vit"])
    experts[0] = Expert("mlp", experts[0].source, {"lr": 0.5})
    (source,) = {assembled(order) for order in permutations(experts)}
    assert contract_faults(source) == ()
    named = assembled([Expert(f"my {one.name}\n'", f"# mine\n{one.source}", one.prm) for one in experts])
    assert Program.of(named).id == Program.of(source).id
    assert source.count('{"lr": 0.5}') == 1
    assert source.count('{"batch": 32, "lr": 0.002, "momentum": 0.9}') == 2
    other = assembled([Expert("mlp", experts[0].source, {"lr": 0.6}), *experts[1:]])
    assert Program.of(other).id != Program.of(source).id
    twice = assembled([*experts, experts[1]])
    assert len(module_of(twice).EXPERTS) == 4


def test_an_optimizer_that_a_program_keeps_twice_steps_once() -> None:
    line = '        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])\n'
    assert line in lemur_net(8)
    twice = lemur_net(8).replace(line, f"{line}        self.optimizers = [self.optimizer]\n")
    net = net_of(assembled([Expert("twice", twice, DEFAULT_PRM), *experts_of(["mlp"])]))
    assert len(net.optimizers) == len({id(one) for one in net.optimizers})


def test_a_mixture_of_mixtures_keeps_all_of_their_optimizers() -> None:
    inner = Expert("inner", assembled(experts_of(["mlp", "nin"])), DEFAULT_PRM)
    net = net_of(assembled([inner, *experts_of(["vgg"])]))
    trained = {id(weight) for one in net.optimizers for group in one.param_groups for weight in group["params"]}
    assert len(net.optimizers) == 5, "of mlp and nin, of their gate, of vgg, of the gate"
    assert trained == {id(weight) for weight in net.parameters()}


def test_the_headings_of_a_mixture_in_a_mixture_are_not_those_of_the_file() -> None:
    inner = Expert("inner", assembled(experts_of(["mlp", "nin"])), DEFAULT_PRM)
    source = assembled([inner, *experts_of(["vgg"])])
    assert sorted(re.findall(r"^# Expert \d+: (.*)$", source, re.MULTILINE)) == ["inner", "vgg"]
    assert sorted(re.findall(r"^# Its expert \d+: (.*)$", source, re.MULTILINE)) == ["mlp", "nin"]


@pytest.mark.slow
def test_all_quartets_of_the_baselines_keep_the_contract_and_one_identity() -> None:
    known, refused = set(), 0
    classes = {name: set(re.findall(r"^class (\w+)", baseline(name), re.MULTILINE)) - {"Net"} for name in NAMES}
    for quartet in combinations(NAMES, 4):
        refused += any(classes[one] & classes[other] for one, other in combinations(quartet, 2))
        source = assembled(experts_of(quartet))
        assert contract_faults(source) == ()
        assert assembled(experts_of(quartet[::-1])) == source
        known.add(hash(canonical_source(source)))
    assert len(known) == 2380
    assert refused == 1330, "by the published assembler: two classes have one name"


def test_quartets_over_all_pairs_of_baselines_keep_the_contract() -> None:
    """As the slow test, of quartets in which each pair of neighbours stands."""
    for place in range(len(NAMES)):
        quartet = [NAMES[(place + step) % len(NAMES)] for step in (0, 1, 3, 8)]
        source = assembled(experts_of(quartet))
        assert contract_faults(source) == ()
        assert assembled(experts_of(quartet[::-1])) == source
        names = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        assert len(names) == len(set(names))
