"""A recipe is injected where the text shows that it will be what trains, and else refused with the line."""

from __future__ import annotations

import ast
import difflib
from itertools import product

import pytest

from deltanas import nets
from deltanas.program import Program, edits_of
from deltanas.program.recipes import LOSSES, OPTIMIZERS, RecipeError, recipe_of, with_recipe
from recipe_forms import IMPORTS, LOSS, OPTIMIZER, REFUSED, RIGHT, Form

_CLASSES = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta")


def call_of(text: str, *names: str) -> str:
    """The one call of a class of these names."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (found,) = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in names]
    return ast.unparse(found)


def changed(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.split("\n"), after.split("\n")) if line[:1] in "+-"]


def runs(text: str) -> dict[str, object]:
    """What a program's text defines."""
    found: dict[str, object] = {}
    exec(compile(text, "net.py", "exec"), found)
    return found


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_put_in_stands_behind_the_imports_that_it_needs(name: str) -> None:
    text = RIGHT[name].text
    for loss in LOSSES:
        assert {"Net"} <= runs(with_recipe(text, loss=loss, optimizer="adagrad")).keys(), loss


def test_an_import_behind_the_network_will_do() -> None:
    text = (
        Form(imports="import torch\n").text.replace("Net(nn.Module)", "Net(torch.nn.Module)") + "import torch.nn as nn"
    )
    made = with_recipe(text, loss="nll")
    assert {"Net", "LogSoftmaxNLLLoss"} <= runs(made).keys()
    assert "LogSoftmaxNLLLoss" not in with_recipe(made, loss="ce")


@pytest.mark.parametrize("name", RIGHT)
def test_all_18_recipes_can_be_had_of_each_form_one_after_the_other(name: str) -> None:
    base = RIGHT[name].text
    for loss, optimizer in product(LOSSES, OPTIMIZERS):
        text = with_recipe(base, loss=loss, optimizer=optimizer, rate=0.25)
        assert call_of(text, _CLASSES[OPTIMIZERS.index(optimizer)]).count("lr=0.25") == 1
        assert (text.count("class LogSoftmaxNLLLoss") == 1) == (loss == "nll" and not name.startswith("nll"))
        assert (text.count("class NextGenerationLoss") == 1) == (loss == "ngl")
        assert with_recipe(text, loss=loss, optimizer=optimizer, rate=0.25) == text
        other = with_recipe(with_recipe(text, loss="ngl"), loss=loss)
        assert changed(text, other) == [] or name in ("function", "nll", "nll function")


def test_a_program_that_has_the_recipe_comes_back_unchanged() -> None:
    for text in nets.baselines().values():
        assert with_recipe(text) == with_recipe(text, loss="ce", optimizer="adamw") == text
    spaced = Form(setup=(LOSS, OPTIMIZER.replace("(self", "( self"))).text
    assert with_recipe(spaced, loss="ce", optimizer="sgd") == spaced
    literal = Form(setup=(LOSS, OPTIMIZER.replace("prm['lr']", "1e-2"))).text
    assert with_recipe(literal, loss="ce", optimizer="sgd", rate=0.01) == literal


def test_nothing_but_the_calls_and_one_class_change() -> None:
    text = nets.baseline("resnet")
    for loss, optimizer in product(LOSSES, OPTIMIZERS):
        lines = changed(text, with_recipe(text, loss=loss, optimizer=optimizer, rate=0.01))
        removed = [line for line in lines if line.startswith("-")]
        assert all("CrossEntropyLoss()" in line or "AdamW(" in line for line in removed)
        assert len(lines) <= {"ce": 2, "nll": 4 + 7, "ngl": 4 + 13}[loss]


@pytest.mark.parametrize(
    ("made", "wanted", "expected"),
    [
        ("SGD(self.parameters(), lr=a, momentum=m)", "adam", "Adam(self.parameters(), lr=a)"),
        ("SGD(self.parameters(), a, m, 0, 0.1)", "rmsprop", "RMSprop(self.parameters(), lr=a, weight_decay=0.1)"),
        ("SGD(self.parameters(), a)", "sgd", "SGD(self.parameters(), lr=a, momentum=0.9)"),
        ("SGD(self.parameters(), momentum=m)", "adadelta", "Adadelta(self.parameters(), lr=0.001)"),
        ("Adadelta(self.parameters())", "adagrad", "Adagrad(self.parameters(), lr=1.0)"),
        ("Adam(self.parameters(), a, (m, 0.9), amsgrad=True, eps=1e-6)", "adamw",
         "AdamW(self.parameters(), lr=a, betas=(m, 0.9), amsgrad=True, eps=1e-06)"),
        ("NAdam(self.parameters(), a, (m, 0.9), maximize=True)", "sgd",
         "SGD(self.parameters(), lr=a, momentum=m, maximize=True)"),
        ("RMSprop(self.parameters(), a, momentum=0.5, alpha=0.9)", "sgd", "SGD(self.parameters(), lr=a, momentum=0.5)"),
        ("AdamW(self.parameters(), lr=a, fused=True)", "adagrad", "Adagrad(self.parameters(), lr=a, fused=True)"),
        ("AdamW(self.parameters(), lr=a, fused=True)", "adadelta", "Adadelta(self.parameters(), lr=a)"),
    ],
)  # fmt: skip
def test_arguments_stay_where_the_new_optimizer_means_the_same_by_them(made: str, wanted: str, expected: str) -> None:
    text = Form(setup=(LOSS, f"self.optimizer = torch.optim.{made}")).text
    found = call_of(with_recipe(text, optimizer=wanted), *_CLASSES)
    assert found == f"torch.optim.{expected}"
    assert with_recipe(text, optimizer=wanted) == with_recipe(with_recipe(text, optimizer=wanted), optimizer=wanted)


@pytest.mark.parametrize(
    ("betas", "momentum"),
    [("[m, 0.9]", "m"), ("b", "b[0]"), ("prm['betas']", "prm['betas'][0]"), ("p or q", "(p or q)[0]")],
)
def test_the_first_beta_is_the_momentum_however_they_are_written(betas: str, momentum: str) -> None:
    text = Form(setup=(LOSS, f"self.optimizer = torch.optim.Adam(self.parameters(), a, betas={betas})")).text
    found = call_of(with_recipe(text, optimizer="sgd"), "SGD")
    assert found == f"torch.optim.SGD(self.parameters(), lr=a, momentum={momentum})"


def test_another_rate_alone_is_all_that_changes() -> None:
    plain = Form(setup=(LOSS, "self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)")).text
    assert with_recipe(plain, rate=0.1) == with_recipe(plain, loss="ce") == plain
    assert call_of(with_recipe(plain, rate=0.5), "SGD") == "torch.optim.SGD(self.parameters(), lr=0.5)"
    assert "weight_decay=0.1" in with_recipe(plain, decay=0.1)
    assert "momentum" not in with_recipe(plain, decay=0.1).partition("train_setup")[2]


def test_a_name_that_is_set_within_a_call_would_be_lost_with_it() -> None:
    def form(loss: str, rate: str) -> str:
        return Form(setup=(LOSS.replace("()", loss), OPTIMIZER.replace("prm['lr']", rate))).text

    for text, name in ((form("()", "(r := prm['lr'])"), "r"), (form("(weight=(w := torch.ones(10)))", "0.1"), "w")):
        with pytest.raises(RecipeError, match=rf"line 2[01]: {name} is set within a call") as caught:
            with_recipe(text, loss="nll", optimizer="adagrad", rate=0.5)
        assert caught.value.hint == "set it on a line of its own"
    assert with_recipe(form("()", "prm['lr']"), loss="nll", optimizer="adagrad", rate=0.5)


def test_a_number_that_no_rate_can_be_ends_nothing() -> None:
    huge = Form(setup=(LOSS, OPTIMIZER.replace("prm['lr']", "1" + "0" * 400))).text
    assert "lr=0.5" in with_recipe(huge, optimizer="adam", rate=0.5)


def test_the_rates_of_groups_keep_their_ratios() -> None:
    text = with_recipe(RIGHT["groups"].text, optimizer="adam", rate=0.5)
    assert "'lr': 0.5}" in text
    assert "'lr': 0.5 * 10}" in text
    assert call_of(text, "Adam") == "torch.optim.Adam(groups, lr=0.5)"
    assert with_recipe(RIGHT["groups"].text, optimizer="adam").count("prm['lr']") == 3
    made = call_of(with_recipe(RIGHT["groups in the call"].text, optimizer="sgd", rate=0.5), "SGD")
    assert made == (
        "torch.optim.SGD([{'params': [self.head.weight], 'lr': 0.5}, {'params': [self.head.bias], 'lr': 0.5 * 2}],"
        " lr=0.5, momentum=0.9)"
    )


def test_arguments_of_the_loss_stay_or_are_refused_by_name() -> None:
    def of(arguments: str) -> str:
        return Form(setup=(LOSS.replace("()", f"({arguments})"), OPTIMIZER)).text

    weighted = of("torch.ones(10), None, -1, label_smoothing=0.0")
    assert call_of(with_recipe(weighted, loss="nll"), "LogSoftmaxNLLLoss") == (
        "LogSoftmaxNLLLoss(weight=torch.ones(10), ignore_index=-1)"
    )
    assert with_recipe(of("label_smoothing=0.1"), loss="ce", optimizer="sgd") == of("label_smoothing=0.1")
    for arguments, loss, name in [
        ("label_smoothing=0.1", "nll", "label_smoothing"),
        ("label_smoothing=0.1", "ngl", "label_smoothing"),
        ("torch.ones(10)", "ngl", "weight"),
        ("reduction='sum'", "ngl", "reduction"),
        ("ignore_index=0", "ngl", "ignore_index"),
    ]:
        with pytest.raises(RecipeError, match=f"line 20: .* has no {name}") as caught:
            with_recipe(of(arguments), loss=loss)
        assert f"leave {name} out" in caught.value.hint
        assert call_of(with_recipe(of(""), loss=loss), "LogSoftmaxNLLLoss", "NextGenerationLoss")


def test_the_ngl_has_a_scale() -> None:
    text = with_recipe(Form().text, loss="ngl", scale=12.3)
    assert "self.criteria = NextGenerationLoss(12.3)" in text
    assert with_recipe(text, loss="ngl", scale=12.3) == text
    assert "self.criteria = NextGenerationLoss()" in with_recipe(text, loss="ngl")


def _net_of(text: str) -> str:
    """The program, its network derived from the class Base where it has one."""
    return text.replace("class Net(nn.Module)", "class Net(Base)") if "class Base" in text else text


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_text_does_not_show_is_refused_and_the_hint_mends_it(name: str) -> None:
    form, why, mended = REFUSED[name]
    with pytest.raises(RecipeError, match=why) as caught:
        with_recipe(_net_of(form.text), loss="ngl", optimizer="adadelta", rate=0.5)
    assert caught.value.hint
    assert "NextGenerationLoss()" in with_recipe(_net_of(mended.text), loss="ngl", optimizer="adadelta", rate=0.5)


@pytest.mark.parametrize(
    ("init", "out"),
    [
        ("layers = [self.head]\nlayers.append(nn.Softmax(1))\nself.all = nn.Sequential(*layers)", "self.all(x)"),
        ("layers = [self.head]\nlayers += [nn.Softmax(1)]\nself.all = nn.Sequential(*layers)", "self.all(x)"),
        (
            "layers = OrderedDict([('a', self.head), ('b', nn.Softmax(1))])\nself.all = nn.Sequential(layers)",
            "self.all(x)",
        ),
        ("self.all = nn.Sequential(self.head)\nself.all.add_module('soft', nn.Softmax(1))", "self.all(x)"),
        ("self.act = nn.ReLU()\nif prm:\n    self.act = nn.Softmax(1)", "self.act(self.head(x))"),
        ("self.post = lambda z: z.softmax(1)", "self.post(self.head(x))"),
        ("pass", "F.dropout(F.softmax(self.head(x), 1) + 1e-8, 0.1).clamp(1e-6)[:, :10]"),
        ("pass", "self.probabilities(self.head(x))"),
        ("pass", "(z := self.head(x).softmax(1))"),
        ("pass", "self.head(x).exp() / self.head(x).exp().sum(1, keepdim=True)"),
        ("self.shares = lambda z: z.exp() / torch.sum(z.exp(), 1, keepdim=True)", "self.shares(self.head(x))"),
        ("self.all = nn.ModuleList([self.head, nn.Softmax(1)])", "self.all[1](self.all[0](x))"),
        ("self.all = nn.ModuleList([self.head])\nself.all.append(nn.Softmax(1))", "self.all[-1](self.all[0](x))"),
        ("self.all = nn.ModuleList([self.head, nn.Softmax(1)])", "self.through(x)"),
        ("self.all = nn.ModuleDict({'end': nn.Softmax(1), 'head': self.head})", "self.all['end'](self.head(x))"),
        ("self.all = nn.ModuleDict()\nself.all['end'] = nn.Softmax(1)", "self.all['end'](self.head(x))"),
        ("self.soft = functools.partial(torch.softmax, dim=1)", "self.soft(self.head(x))"),
        ("self.soft = torch.softmax", "self.soft(self.head(x), 1)"),
        ("pass", "F.normalize(self.head(x).exp(), p=1, dim=1)"),
    ],
)
def test_a_softmax_at_the_end_is_seen_however_it_is_written(init: str, out: str) -> None:
    base = (
        "class Base(nn.Module):\n    def probabilities(self, x):\n        return x.softmax(1)\n\n"
        "    def through(self, x):\n        for place, layer in enumerate(self.all):\n            x = layer(x)\n"
        "        return x\n\n\n"
    )
    form = _net_of(Form(after=base, init=(init,), out=out).text)
    with pytest.raises(RecipeError, match="the loss gets probabilities, no logits"):
        with_recipe(form, loss="ngl")
    inner = form.replace(f"return {out}", f"return self.head(x * 2 + {out})")
    assert "NextGenerationLoss()" in with_recipe(inner, loss="ngl")


@pytest.mark.parametrize(
    ("init", "out"),
    [
        ("self.all = nn.ModuleList([nn.Softmax(1), self.head])", "self.all[1](self.all[0](x))"),
        ("self.all = nn.ModuleDict({'gate': nn.Softmax(1), 'head': self.head})", "self.all['head'](x)"),
        ("self.norm = nn.Softmax(1)", "self.head(F.normalize(self.norm(x), p=2, dim=1))"),
        ("pass", "F.normalize(self.head(x), dim=1)"),
        ("pass", "F.normalize(self.head(x), 2.0, 1)"),
        ("pass", "F.normalize(*[self.head(x)])"),
        ("self.all = nn.ModuleList([nn.Softmax(1), self.head])", "self.all[-1](x)"),
        ("self.all = nn.ModuleList([self.head])\nself.all = nn.ModuleList(self.all)", "self.all[0](x)"),
    ],
)
def test_a_softmax_elsewhere_in_a_list_of_layers_is_none_at_the_end(init: str, out: str) -> None:
    assert "NextGenerationLoss()" in with_recipe(Form(init=(init,), out=out).text, loss="ngl")


def test_a_softmax_in_learn_is_seen() -> None:
    form = Form(batch=("soft = nn.Softmax(dim=1)",), value="self.criteria(soft(y), labels)")
    with pytest.raises(RecipeError, match="line 26: the loss gets probabilities"):
        with_recipe(form.text, loss="ngl")


def test_the_nll_of_raw_logits_is_none_of_the_recipes_that_are_known() -> None:
    raw = Form(setup=("self.criteria = nn.NLLLoss()", OPTIMIZER))
    assert recipe_of(raw.text) is None
    assert recipe_of(with_recipe(raw.text, loss="nll")) == ("nll", "sgd")
    assert recipe_of(RIGHT["nll"].text) == recipe_of(RIGHT["nll function"].text) == ("nll", "sgd")


def test_a_cycled_momentum_asks_for_an_optimizer_that_has_one() -> None:
    cycle = "self.s = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.1, 99)"
    text = Form(setup=(LOSS, OPTIMIZER, cycle)).text
    assert with_recipe(text, optimizer="adam")
    with pytest.raises(RecipeError, match="line 22: OneCycleLR moves a momentum, and Adagrad has none") as caught:
        with_recipe(text, optimizer="adagrad")
    assert caught.value.hint == "write cycle_momentum=False"
    assert with_recipe(text.replace("99)", "99, cycle_momentum=False)"), optimizer="adagrad")


@pytest.mark.parametrize(
    ("scheduler", "word"),
    [
        ("CosineAnnealingLR(self.optimizer, 9, 1e-4)", "eta_min"),
        ("CosineAnnealingLR(self.optimizer, 9, eta_min=prm['lr'] / 9)", "eta_min"),
        ("CosineAnnealingWarmRestarts(self.optimizer, 9, 1, 1e-4)", "eta_min"),
        ("ReduceLROnPlateau(self.optimizer, min_lr=1e-4)", "min_lr"),
    ],
)
def test_a_rate_that_a_schedule_ends_at_does_not_stay_under_another_rate(scheduler: str, word: str) -> None:
    def form(made: str) -> str:
        return Form(setup=(LOSS, OPTIMIZER, f"self.s = torch.optim.lr_scheduler.{made}")).text

    assert with_recipe(form(scheduler), optimizer="adam")
    with pytest.raises(RecipeError, match=r"line 22: .* goes down to a rate of its own") as caught:
        with_recipe(form(scheduler), optimizer="adam", rate=0.5)
    assert caught.value.hint.startswith(f"leave {word} out")
    for without in ("CosineAnnealingLR(self.optimizer, 9)", "CosineAnnealingLR(self.optimizer, 9, eta_min=0.0)"):
        assert with_recipe(form(without), optimizer="adam", rate=0.5)


@pytest.mark.parametrize("given", ["lambda e: min(1, 0.1 / {})", "lr_lambda=lambda e: max({}, 0.5 ** e)"])
def test_a_schedule_that_is_written_with_the_rate_keeps_it(given: str) -> None:
    for set_up, rate in ((), "prm['lr']"), (("lr = prm['lr']",), "lr"), (("lr = prm['lr']",), "prm['lr']"):
        made = OPTIMIZER.replace("prm['lr']", "lr") if set_up else OPTIMIZER
        schedule = f"self.s = torch.optim.lr_scheduler.LambdaLR(self.optimizer, {given.format(rate)})"
        text = Form(setup=(LOSS, *set_up, made, schedule)).text
        assert "Adam(" in with_recipe(text, optimizer="adam")
        with pytest.raises(RecipeError, match="the schedule is written with the rate"):
            with_recipe(text, optimizer="adam", rate=0.5)
    free = Form(setup=(LOSS, OPTIMIZER, "self.s = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda e: 0.9**e)"))
    assert "lr=0.5" in with_recipe(free.text, optimizer="adam", rate=0.5)


def test_a_rate_that_the_program_has_already_moves_nothing() -> None:
    end = "self.s = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 9, 1e-4)"
    text = Form(setup=(LOSS, OPTIMIZER.replace("prm['lr']", "1e-2"), end)).text
    assert with_recipe(text, optimizer="sgd", rate=0.01) == text
    assert "Adam(self.parameters(), lr=1e-2)" in with_recipe(text, optimizer="adam", rate=0.01)
    with pytest.raises(RecipeError, match="goes down to a rate of its own"):
        with_recipe(text, optimizer="sgd", rate=0.02)


def test_a_scheduler_that_is_named_in_a_table_may_stay_where_nothing_moves() -> None:
    table = "self.s = {'c': torch.optim.lr_scheduler.CosineAnnealingLR}['c'](self.optimizer, 9)"
    text = Form(setup=(LOSS, OPTIMIZER, table)).text
    assert "Adam(" in with_recipe(text, loss="ngl", optimizer="adam")
    with pytest.raises(RecipeError, match="is named without being called"):
        with_recipe(text, optimizer="adam", rate=0.5)


def test_code_that_is_nested_too_deeply_ends_no_search() -> None:
    text = REFUSED["a long sum"][0].text
    assert recipe_of(text) is None
    assert {edit.kind for edit in edits_of(text)} >= {"optimizer"}
    assert "loss" not in {edit.kind for edit in edits_of(text)}


def test_keys_of_groups_that_the_new_optimizer_lacks_are_refused() -> None:
    text = RIGHT["groups"].text.replace("'lr': prm['lr']}", "'momentum': 0.5}")
    assert with_recipe(text, loss="ngl", optimizer="sgd")
    with pytest.raises(RecipeError, match="line 22: a parameter group has a momentum") as caught:
        with_recipe(text, optimizer="rmsprop")
    assert caught.value.hint == "leave momentum out"


def test_a_name_that_the_program_uses_otherwise_is_not_taken_for_torchs() -> None:
    shadowed = Form(imports=IMPORTS.replace("from torch import nn", "import torch.nn as nn"), batch=("nn = 1",)).text
    with pytest.raises(RecipeError, match="no cross-entropy"):
        with_recipe(shadowed, loss="nll")
    own = Form(after="class NextGenerationLoss:\n    pass\n\n\n").text
    with pytest.raises(RecipeError, match="has a NextGenerationLoss of its own"):
        with_recipe(own, loss="ngl")


def test_the_space_of_edits_offers_the_losses_and_the_optimizers_at_rates_that_suit_them() -> None:
    base = Program.of(nets.baseline("mlp"))
    edits = [edit for edit in edits_of(base.net) if edit.part == "recipe"]
    losses = {edit.apply(base).net for edit in edits if edit.kind == "loss"}
    assert losses == {with_recipe(base.net, loss=loss) for loss in ("nll", "ngl")}
    made = [edit.apply(base).net for edit in edits if edit.kind == "optimizer"]
    assert {recipe_of(net) for net in made} - {None} == {("ce", name) for name in OPTIMIZERS if name != "adamw"}
    rates = {
        call_of(net, *_CLASSES[:1], *_CLASSES[3:]).partition("lr=prm['lr']")[2].partition(",")[0].rstrip(")")
        for net in made
        if "Adam(" not in net
    }
    assert rates == {" * 10", "", " * 1000"}
    back = Program.of(with_recipe(base.net, loss="ngl", optimizer="adadelta"))
    again = [edit for edit in edits_of(back.net) if edit.kind in ("loss", "optimizer")]
    assert base.net.replace('AdamW(self.parameters(), lr=prm["lr"], betas=(prm["momentum"], 0.99))', "") in {
        edit.apply(back).net.replace('Adadelta(self.parameters(), lr=prm["lr"])', "") for edit in again
    }
    assert any('lr=prm["lr"] * 0.001' in edit.new for edit in again)
    assert recipe_of("x = 1") is recipe_of("def f(:") is None


def test_line_ends_stay() -> None:
    text = Form().text.replace("\n", "\r\n")
    made = with_recipe(text, loss="nll", optimizer="adam")
    assert made == with_recipe(Form().text, loss="nll", optimizer="adam").replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"loss": "mse"}, "no loss 'mse'"),
        ({"optimizer": "lion"}, "no optimizer 'lion'"),
        ({"rate": 0.0}, "the learning rate 0.0 is no positive number"),
        ({"rate": float("nan")}, "no positive number"),
        ({"scale": -1.0, "loss": "ngl"}, "the scale -1.0"),
        ({"scale": 2.0, "loss": "ce"}, "for the loss ngl alone"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        with_recipe(Form().text, **options)  # type: ignore[arg-type]
    for text in ("def f(:", "x = 1\n"):
        with pytest.raises(RecipeError, match="the program"):
            with_recipe(text, loss="ce")
