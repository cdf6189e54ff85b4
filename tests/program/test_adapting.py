"""A plain module becomes a program by the contract, or it is said what is missing."""

from __future__ import annotations

import pytest

from deltanas.check.contract import contract_faults
from deltanas.program.adapting import adapted

PLAIN = '''"""A script."""
from __future__ import annotations

import torch.nn as nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()

    def forward(self, x):
        return x


class {name}(nn.Module):
    def __init__(self, channels, classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, width, 3), nn.Flatten(), nn.LazyLinear(classes))

    def forward(self, x, deep=False):
        return self.layers(x)


if __name__ == "__main__":
    print({name}(3, 10))
'''


@pytest.mark.parametrize("name", ["Small", "Net"])
def test_a_module_of_channels_and_classes_follows_the_contract(name: str) -> None:
    found = adapted(PLAIN.format(name=name), offered=("torch",))
    assert found.faults == ()
    assert found.source is not None
    assert contract_faults(found.source) == ()
    compile(found.source, "net.py", "exec")
    assert "__main__" not in found.source
    assert found.name == name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("channels, classes, width=8", "channels, classes, width", "line 16: Small.__init__ takes"),
        ("channels, classes, width=8", "channels, classes, *, width", "line 16: Small.__init__ takes"),
        ("channels, classes, width=8", "channels", "line 16: Small.__init__ takes"),
        ("def __init__(self, channels", "def build(self, channels", "line 15: class Small has no __init__"),
        ("x, deep=False", "x, mask", "line 20: Small.forward takes"),
        ("def forward(self, x, deep", "def run(self, x, deep", "line 15: class Small has no forward"),
        ("self.layers(x)", "self.layers(x.cuda())", "line 21: .cuda() names a device"),
        ("import torch.nn as nn", "import torch.nn as nn, timm", "line 4: timm can't be imported"),
        ("import torch.nn as nn", "from . import layers; import torch.nn as nn", "line 4: a relative import"),
        ("class Small(nn.Module)", "class Small(", "line 15: no Python"),
        ("channels, classes, width=8", "num_classes=10, width=8", "line 16: Small.__init__ takes"),
    ],
)
def test_what_is_missing_is_said_with_its_line(old: str, new: str, said: str) -> None:
    source = PLAIN.format(name="Small")
    assert old in source
    found = adapted(source.replace(old, new), offered=("torch",))
    assert found.source is None
    assert any(said in fault for fault in found.faults), found.faults


def test_a_class_called_net_still_means_itself() -> None:
    source = PLAIN.format(name="Net").replace("super().__init__()\n        self", "super(Net, self).__init__(); self")
    found = adapted(source).source
    assert found is not None
    assert "class Plain(nn.Module)" in found
    assert "super(Plain, self).__init__(); self.layers" in found
    assert found.count("class Net(") == 1


def test_a_part_called_net_is_not_taken_for_the_program() -> None:
    source = PLAIN.format(name="Small").replace("Block", "Net").replace("nn.Flatten()", "Net(width), nn.Flatten()")
    found = adapted(source, "Small").source
    assert found is not None
    assert "class Plain(nn.Module)" in found
    assert "Plain(width), nn.Flatten()" in found
    assert "self.network = Small(" in found


def test_the_number_of_classes_may_come_first_where_names_say_so() -> None:
    found = adapted(PLAIN.format(name="Small").replace("channels, classes,", "num_classes=10, channels=3,")).source
    assert found is not None
    assert "Small(channels=in_shape[1], num_classes=out_shape[0])" in found


def test_a_class_that_derives_from_one_of_the_file_is_a_module_with_what_it_inherits() -> None:
    found = adapted(PLAIN.format(name="Small") + "\n\nclass Wide(Small):\n    depth = 2\n")
    assert (found.faults, found.name) == ((), "Wide")


def test_a_file_without_a_module_names_those_that_there_are() -> None:
    assert "classes that do: none" in adapted("x = 1\n").faults[0]
    assert "Block, Small" in adapted(PLAIN.format(name="Small"), "Other").faults[0]
    assert adapted(PLAIN.format(name="Small"), "Small").name == "Small"


def test_a_class_of_the_contract_s_name_gets_one_that_the_text_does_not_use() -> None:
    text = PLAIN.format(name="Net").replace("A script.", "Plain, PlainNet, OriginalNet, Net_, Plain1")
    found = adapted(text).source
    assert found is not None
    assert "class Plain2(nn.Module)" in found
