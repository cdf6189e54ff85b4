"""A search on arrays of one's own."""

import sys

import numpy as np

import deltanas
from deltanas.train.data import dataset_of

rng = np.random.RandomState(0)
x = rng.randint(0, 128, (600, 8, 8)).astype(np.uint8)
y = np.arange(600) % 2
x[y == 0, ::2, :] += 127
x[y == 1, :, ::2] += 127

stripes = dataset_of("stripes", x=x, y=y)
settings = {"strategy": "random", "cycles": 1, "candidates": 2, "baselines": ["mlp"]}
view = deltanas.search(settings, run="run", dataset=stripes)
best = max(candidate.score for candidate in view.candidates if candidate.score is not None)
sys.stdout.write(f"{best}\n")
