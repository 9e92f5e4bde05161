"""Weighs the evidence that a run of clips is a spot. The weights come from `benchmarks/fit_ads.py`; this file says what they multiply.

n = runs, K = terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipelines.tasks.ads_clips import Numbers
from pipelines.tasks.ads_runs import FEATURES

# Evidence that grows with the time it is seen for, per UNIT_S; a minute of it is as good as two.
LASTING = ("logo", "bars", "look", "look_least", "copy", "pace", "loud", "timbre")
ONCE = ("return", "jump", "black", "silence", "standard", "still")  # evidence a run shows once, at its ends
UNIT_S, ENOUGH_S, CLIP = 15.0, 60.0, 2.5
TERMS = (*LASTING, "time", *ONCE, "spot", "short", "long")


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds a unit of each term; begin: of a break beginning after programme, follow: of a spot following another."""

    terms: Mapping[str, float]
    begin: float
    follow: float

    def vector(self) -> Numbers:
        return np.array([self.terms[name] for name in TERMS])


FITTED = Weights(
    MappingProxyType(
        {
            "logo": 1.75, "bars": 1.75, "look": 1.45, "look_least": 2.0, "copy": 2.0, "pace": 1.56, "loud": 1.34, "timbre": 3.0,
            "time": -1.35, "return": 0.0, "jump": 1.11, "black": 2.52, "silence": 0.03, "standard": 3.32, "still": 2.24,
            "spot": -4.19, "short": -5.11, "long": -2.94,
        }
    ),
    begin=-5.44,
    follow=-1.05,
)  # fmt: skip


def terms(features: NDArray[np.float64], length_s: Numbers) -> NDArray[np.float64]:
    """(n, K): what the weights multiply."""
    units = np.minimum(length_s, ENOUGH_S) / UNIT_S
    value = {name: features[:, k] for k, name in enumerate(FEATURES)}
    columns = [np.clip(value[name], -CLIP, CLIP) * units for name in LASTING]
    columns += [units, *(value[name] for name in ONCE), np.ones(len(units))]
    columns += [np.maximum(0, 10 - length_s) / 10, np.maximum(0, length_s - 45) / 30]
    return np.stack(columns, axis=1)
