"""A number with its noun."""

from __future__ import annotations


def counted(number: int, noun: str, several: str = "") -> str:
    """As "1 network" and "1,200 networks". several: the noun's plural, where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"
