"""The closed forms of proxy reliability: from a signal-to-noise ratio to correlations, and back."""

from __future__ import annotations

from math import asin, exp, inf, pi, sin, sqrt
from typing import Literal

from scipy import special

from deltanas.errors import DataError

Form = Literal["noiseless target", "both noisy"]
TOP = 0.25
"""Share of the programs that truncation to the elite keeps."""


def pearson_of(snr: float, form: Form = "noiseless target") -> float:
    """Correlation of score and target: sqrt(SNR / (1 + SNR)) where the target has no noise, SNR / (1 + SNR) where it is
    as noisy as the score. C. Spearman (1904), American Journal of Psychology 15:72-101, attenuation."""
    if snr < 0:
        raise DataError(f"a signal-to-noise ratio of {snr:g}", "it is a ratio of variances, 0 or more")
    reliability = 1.0 if snr == inf else snr / (1 + snr)
    return sqrt(reliability) if form == "noiseless target" else reliability


def spearman_of(rho_pearson: float) -> float:
    """rho_S = (6 / pi) arcsin(rho_P / 2) of a bivariate normal. K. Pearson (1907), Drapers' Company Memoirs 4."""
    return 6 / pi * asin(rho_pearson / 2)


def repeats_for(rho_spearman: float, snr: float, target_snr: float = inf) -> float:
    """Number of trainings whose mean has a rank correlation with the mean of as many targets: the forms, inverted.

    With R of each, rho_P^2 = R a / (1 + R a) x R b / (1 + R b). The result is no whole number, and inf where either
    has no signal.

    Args:
        rho_spearman: above 0 and below 1.
        snr, target_snr: signal-to-noise ratio of one training and of one target, inf without noise.
    """
    if 0 in (snr, target_snr):
        return inf
    squared = (2 * sin(pi * rho_spearman / 6)) ** 2
    both, product = 1 / snr + 1 / target_snr, 1 / snr / target_snr
    return (squared * both + sqrt((squared * both) ** 2 + 4 * (1 - squared) * squared * product)) / (2 * (1 - squared))


def truncated(rho_pearson: float, share: float = TOP) -> float:
    """Correlation among the best `share` of the programs, chosen by the score, of a bivariate normal.

    With u the variance of a standard normal above its (1 - share) quantile: rho sqrt(u) / sqrt(1 - rho^2 + rho^2 u).
    A. C. Aitken (1934), Proceedings of the Edinburgh Mathematical Society 4:106-110.
    """
    cut = float(special.ndtri(1 - share))
    height = exp(-cut * cut / 2) / (sqrt(2 * pi) * share)
    u = 1 - height * (height - cut)
    return rho_pearson * sqrt(u) / sqrt(1 - rho_pearson**2 * (1 - u))
