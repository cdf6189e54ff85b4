"""The transform part: a closed menu of calls with literal arguments. It is parsed and never executed.

    import torchvision.transforms as transforms

    def transform(norm):
        return transforms.Compose([
            transforms.RandomCrop(padding=0.125, size=1),
            transforms.RandomHorizontalFlip(p=0.5),
        ])

`Resize`, `ToTensor` and `Normalize(*norm)` at the end, as LEMUR's files have them, are read and mean nothing: sizes and
normalisation are the run's.
"""

from deltanas.program.transforms.menu import MENU, Parameter, Value, value_text
from deltanas.program.transforms.text import (
    Step,
    TransformError,
    read_transform,
    transform_faults,
    transform_text,
)

__all__ = [
    "MENU",
    "Parameter",
    "Step",
    "TransformError",
    "Value",
    "read_transform",
    "transform_faults",
    "transform_text",
    "value_text",
]
