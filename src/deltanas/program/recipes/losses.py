"""The loss of a program: where it is made, whether another may stand there, and the losses that can be put there."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from deltanas.program.recipes.ends import ends, ends_of_method
from deltanas.program.recipes.flow import Flow, flow_of
from deltanas.program.recipes.minimised import require_minimised
from deltanas.program.recipes.reading import RecipeSource, called, short

NLL_CLASS, NGL_CLASS = "LogSoftmaxNLLLoss", "NextGenerationLoss"
_CLASSES = {
    NLL_CLASS: ("torch.nn.NLLLoss", '''class LogSoftmaxNLLLoss({base}):
    """Negative log-likelihood of the log-softmax of logits."""

    def forward(self, input, target):
        return super().forward(input.log_softmax(dim=1), target)'''),
    NGL_CLASS: ("torch.nn.Module", '''class NextGenerationLoss({base}):
    """Mean of exp(2.4092 - p - p y) - cos(cos(sin p)) over samples and classes; p: softmax of logits, y: one-hot."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def forward(self, input, target):
        p = input.softmax(dim=1)
        y = p.new_zeros(p.shape).scatter(1, target.unsqueeze(1), 1.0)
        return self.scale * ((2.4092 - p - p * y).exp() - p.sin().cos().cos()).mean()'''),
}  # fmt: skip
"""Classes that an injection puts into the program, with what they derive from."""

_OF_NLL = ("weight", "size_average", "ignore_index", "reduce", "reduction")
_OF_CE = (*_OF_NLL, "label_smoothing")
_PARAMETERS = {
    "CrossEntropyLoss": _OF_CE,
    "NLLLoss": _OF_NLL,
    "cross_entropy": ("input", "target", *_OF_CE),
    "nll_loss": ("input", "target", *_OF_NLL),
    NLL_CLASS: _OF_NLL,
    NGL_CLASS: ("scale",),
}
_TAKES = {"ce": _OF_CE, "nll": _OF_NLL, "ngl": ()}
_NAMES = {"ce": "cross-entropy", "nll": "the NLL on log-softmax", "ngl": "the NGL"}
_DEFAULTS = {
    "weight": (None,),
    "size_average": (None,),
    "reduce": (None,),
    "ignore_index": (-100,),
    "reduction": ("mean",),
    "label_smoothing": (0.0,),
}
_FUNCTIONAL = frozenset({"cross_entropy", "nll_loss"})
_TORCH = frozenset({"CrossEntropyLoss", "NLLLoss"}) | _FUNCTIONAL
_OTHERS = frozenset(
    """AdaptiveLogSoftmaxWithLoss BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss GaussianNLLLoss
    HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss
    MultiLabelSoftMarginLoss MultiMarginLoss PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss
    TripletMarginWithDistanceLoss binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss ctc_loss
    gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss
    multilabel_margin_loss multilabel_soft_margin_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
    triplet_margin_loss""".split()  # noqa: SIM905
)
_NO_CLASSES = frozenset({"one_hot", "softmax", "float", "double", "half", "scatter", "scatter_", "zeros_like", "full"})
"""What makes targets that are shares of classes, not classes."""
_ONE_LOSS = "make one loss, as in `self.criteria = nn.CrossEntropyLoss()` in train_setup, and apply it in learn"
_LOGITS = "return the logits: all three losses take these"


@dataclass(frozen=True)
class Loss:
    """The loss that a program trains with.

    Attributes:
        call: what makes it, or, for a function, what applies it. name: of the class or function.
        arguments: of the constructor, or those of a function besides input and target.
    """

    call: ast.Call
    name: str
    arguments: dict[str, ast.expr]
    flow: Flow

    @property
    def applied(self) -> list[ast.Call]:
        return [self.call] if self.name in _FUNCTIONAL else self.flow.called

    @property
    def kind(self) -> str:
        return {NLL_CLASS: "nll", NGL_CLASS: "ngl", "NLLLoss": "nll", "nll_loss": "nll"}.get(self.name, "ce")


def inserted(source: RecipeSource) -> dict[str, ast.ClassDef]:
    """The classes that an injection has put into the program, unchanged since."""
    return {name: node for name, node in source.classes.items() if name in _CLASSES and _body(node) == _own_body(name)}


def _body(node: ast.ClassDef) -> list[str]:
    return [ast.dump(one) for one in node.body]


def _own_body(name: str) -> list[str]:
    (node,) = ast.parse(class_text(name, "object")).body
    assert isinstance(node, ast.ClassDef)
    return _body(node)


def base_of(name: str) -> str:
    """The dotted name of the class that it derives from."""
    return _CLASSES[name][0]


def class_text(name: str, base: str) -> str:
    return _CLASSES[name][1].format(base=base)


def read_loss(source: RecipeSource) -> Loss:
    """The one loss that the program makes and trains with. Raises RecipeError."""
    own = frozenset(one for node in inserted(source).values() for one in ast.walk(node))
    made = source.calls(_TORCH, own)
    for name in inserted(source):
        made += [node for node in source.nodes if isinstance(node, ast.Call) and _is_name(node.func, name)]
    made.sort(key=lambda call: call.lineno)
    others = [call for call in source.calls(_OTHERS) if call in source.live]
    if not made:
        raise source.fault(*_no_loss(source, others))
    if len(made) > 1 or others:
        lines = ", ".join(str(call.lineno) for call in sorted([*made, *others], key=lambda call: call.lineno))
        raise source.fault(made[-1], f"the program has several losses (lines {lines})", _ONE_LOSS)
    (call,) = made
    if call not in source.live:
        raise source.fault(call, "nothing that Net does comes to the loss that is made here", _ONE_LOSS)
    name = short(source.dotted(call.func)) or called(call)
    arguments = source.arguments(call, _PARAMETERS[name])
    flow = Flow() if name in _FUNCTIONAL else flow_of(source, call)
    loss = Loss(call, name, {key: one for key, one in arguments.items() if key not in ("input", "target")}, flow)
    _require_seen(source, loss)
    for applied in loss.applied:
        _require_logits_and_classes(source, loss, applied)
    require_minimised(source, call, loss.applied, _ONE_LOSS)
    return loss


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _no_loss(source: RecipeSource, others: list[ast.Call]) -> tuple[ast.AST, str, str]:
    if others:
        return others[0], f"the loss is {source.of(others[0].func)}, none of classes", _ONE_LOSS
    return source.tree, "the program makes no cross-entropy or NLL of torch's, so it may be no classifier", _ONE_LOSS


def _require_seen(source: RecipeSource, loss: Loss) -> None:
    """It is known where the loss goes, and that nothing but its value is used."""
    if loss.flow.strays:
        place = loss.flow.strays[0]
        raise source.fault(place, "from here on the text does not tell where the loss goes", _ONE_LOSS)
    if loss.flow.rivals:
        raise source.fault(loss.flow.rivals[0], "this may stand in the place of the loss that is replaced", _ONE_LOSS)
    for read in loss.flow.read:
        above = source.parents.get(read)
        if not (isinstance(above, ast.Call) and above.func is read and read.attr in ("to", "cuda", "cpu", "float")):
            raise source.fault(read, f"the loss's {read.attr} is used, which another loss may not have", _ONE_LOSS)
    if not loss.applied:
        raise source.fault(loss.call, "the loss that is made here is not applied", _ONE_LOSS)


def _require_logits_and_classes(source: RecipeSource, loss: Loss, applied: ast.Call) -> None:
    pair = source.arguments(applied, _PARAMETERS.get(loss.name, ()) if applied is loss.call else ("input", "target"))
    if not {"input", "target"} <= set(pair):
        raise source.fault(applied, "the loss is applied to other things than an output and its labels", _ONE_LOSS)
    for place, end in ends(source, pair["input"]):
        if end in ("softmax", "sigmoid"):
            raise source.fault(place, "the loss gets probabilities, no logits", _LOGITS)
    target = pair["target"]
    for node in source.made_through(target):
        if isinstance(node, ast.BinOp) or (isinstance(node, ast.Attribute | ast.Name) and _word(node) in _NO_CLASSES):
            raise source.fault(target, "the targets may be shares of classes, not classes", "train on the labels")
    _require_no_labels_in(source, pair["input"], target)


def _word(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _require_no_labels_in(source: RecipeSource, logits: ast.expr, target: ast.expr) -> None:
    """A network that gets the labels too is no classifier: it continues a caption, or gives a loss itself."""
    labels = {name for name in _loaded(source.origin(target)) if _is_second(name, source.owner(target))}
    for node in source.origin(logits):
        if isinstance(node, ast.Call) and (labels & _loaded(frozenset(ast.walk(node)))):
            raise source.fault(node, "the program is no classifier: its network gets the labels too", _LOGITS)


def _loaded(nodes: frozenset[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _is_second(name: str, function: ast.AST) -> bool:
    """Whether a name stands behind another one where both are set, as in `for inputs, labels in train_data`."""
    tuples = (node for node in ast.walk(function) if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store))
    return any(isinstance(one, ast.Name) and one.id == name for node in tuples for one in node.elts[1:])


def kept_arguments(source: RecipeSource, loss: Loss, wanted: str) -> dict[str, str]:
    """The arguments of the old loss for the new one. Raises RecipeError where that has no such argument."""
    kept = {}
    for name, value in loss.arguments.items():
        if isinstance(value, ast.Constant) and value.value in _DEFAULTS.get(name, ()):
            continue
        if name in _TAKES[wanted]:
            kept[name] = source.of(value)
        elif name != "scale":
            hint = f"leave {name} out, or keep the loss that has it"
            raise source.fault(value, f"{_NAMES[wanted]} has no {name}", hint)
    return kept


def is_already(source: RecipeSource, loss: Loss, wanted: str, scale: float) -> bool:
    """Whether the program trains with the wanted loss as it is."""
    if loss.kind != wanted:
        return False
    if wanted == "ngl":
        given = loss.arguments.get("scale")
        return (1.0 if given is None else getattr(given, "value", None)) == scale
    if loss.name in ("NLLLoss", "nll_loss"):
        inputs = [source.arguments(call, _PARAMETERS["nll_loss"])["input"] for call in loss.applied]
        return all({end for _, end in ends(source, one)} == {"log_softmax"} for one in inputs)
    return True


def constructor_text(source: RecipeSource, loss: Loss, made: str) -> str:
    """What stands in place of the call: the new constructor, applied at once where the old loss was a function."""
    if loss.name not in _FUNCTIONAL:
        return made
    pair = source.arguments(loss.call, _PARAMETERS[loss.name])
    return f"{made}({source.of(pair['input'])}, {source.of(pair['target'])})"


def require_classifier(source: RecipeSource, net: ast.ClassDef) -> None:
    """Raises RecipeError where the text tells that the network gives anything else than one class an image."""
    for place, end in ends_of_method(source, net, "forward"):
        if end == "interpolate":
            raise source.fault(place, "the program is no classifier: its output has the size of the image", _LOGITS)
    for learn in (one for one in net.body if isinstance(one, ast.FunctionDef) and one.name == "learn"):
        for node in ast.walk(learn):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                of_self = isinstance(node.func, ast.Name) and node.func.id == "self"
                forward = source.of(node.func) == "self.forward"
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                if (of_self or forward) and len(arguments) > 1:
                    names = {name for one in arguments[1:] for name in _loaded(source.origin(one))}
                    if any(_is_second(name, learn) for name in names):
                        why = "the program is no classifier: its network gets the labels too"
                        raise source.fault(node, why, _LOGITS)
