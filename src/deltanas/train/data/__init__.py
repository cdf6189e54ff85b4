"""Data sets as uint8 arrays in memory, with splits that never change. The tool's own process loads them."""

from __future__ import annotations

from deltanas.train.data.catalog import available, dataset_of, load, prepared
from deltanas.train.data.fetch import prepare
from deltanas.train.data.meaning import Meaning, class_names, meaning_of, order_told
from deltanas.train.data.photos import Making
from deltanas.train.data.records import Dataset, Images, LeftOut, Provenance
from deltanas.train.data.told import told

__all__ = [
    "Dataset",
    "Images",
    "LeftOut",
    "Making",
    "Meaning",
    "Provenance",
    "available",
    "class_names",
    "dataset_of",
    "load",
    "meaning_of",
    "order_told",
    "prepare",
    "prepared",
    "told",
]
