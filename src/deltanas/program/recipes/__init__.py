"""Recipes: another loss and another optimizer in place of a program's own, by replacing what makes them."""

from deltanas.program.recipes.inject import LOSSES, OPTIMIZERS, decay_of, recipe_of, recipe_spans, with_recipe
from deltanas.program.recipes.optimizers import CLASSES, USUAL_RATES
from deltanas.program.recipes.reading import RecipeError

__all__ = [
    "CLASSES",
    "LOSSES",
    "OPTIMIZERS",
    "USUAL_RATES",
    "RecipeError",
    "decay_of",
    "recipe_of",
    "recipe_spans",
    "with_recipe",
]
