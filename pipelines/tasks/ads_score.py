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

# Evidence that grows with the time it is seen for, per UNIT_S, up to a point: a scene of a minute in a place that never returns is
# no surer an ad than one of half a minute. What marks the channel itself goes on growing.
LASTING = ("logo", "bars", "look", "look_least", "copy", "pace", "loud", "timbre")
ONCE = ("resume", "return", "jump", "black", "silence", "standard", "sparse", "still")  # evidence a run shows once, at its ends
MARKS = frozenset({"logo", "bars", "copy"})
UNIT_S, ENOUGH_S, ENOUGH_OF_MARKS_S, CLIP = 15.0, 35.0, 95.0, 2.5
# What trained eyes say counts in full after QUICK_S: a spot of 4 s is as foreign as one of 40. The last three are constants of films
# that were seen, and `deaf` one of those without sound, where nothing can be heard to change.
SEEN = ("foreign", "foreign_time", "goes_on", "known", "strange", "deaf", "seen", "seen_short", "seen_time")
HELD = ("outer", "card", "aired")  # weighed by hand: no film of the fit shows how they fall
QUICK_S = 6.0
FADING_S, GONE_S = 60.0, 95.0  # longer than this a new scene of the programme is as foreign, and likelier
TERMS = (*LASTING, "time", *ONCE, *SEEN, *HELD, "spot", "short", "long")


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
            "logo": 2.31, "bars": 2.00, "look": 0.20, "look_least": 1.88, "copy": 1.66, "pace": 1.15, "loud": 0.21, "timbre": 0.66,
            "time": -2.18, "resume": 1.50, "return": 0.00, "jump": 1.04, "black": 1.90, "silence": 0.00, "standard": 4.81,
            "sparse": 1.50, "still": 3.05, "foreign": 0.76, "foreign_time": 0.57, "goes_on": 0.25, "known": -1.45, "strange": 1.98,
            "deaf": 5.40, "seen": -0.28, "seen_short": 0.72, "seen_time": -0.81, "outer": -2.00, "card": 1.50, "aired": 14.00,
            "spot": -6.28, "short": -2.35, "long": -1.49,
        }
    ),
    begin=-6.13,
    follow=-1.01,
)  # fmt: skip


def terms(features: NDArray[np.float64], length_s: Numbers) -> NDArray[np.float64]:
    """(n, K): what the weights multiply."""
    units = np.minimum(length_s, ENOUGH_S) / UNIT_S
    marks = np.minimum(length_s, ENOUGH_OF_MARKS_S) / UNIT_S
    value = {name: features[:, k] for k, name in enumerate(FEATURES)}
    columns = [np.clip(value[name], -CLIP, CLIP) * (marks if name in MARKS else units) for name in LASTING]
    columns += [units, *(value[name] for name in ONCE), *_seen(value, length_s, units)]
    columns += [*(value[name] for name in HELD), np.ones(len(units))]
    columns += [np.maximum(0, 10 - length_s) / 10, np.maximum(0, length_s - 45) / 30]
    return np.stack(columns, axis=1)


def _seen(value: Mapping[str, Numbers], length_s: Numbers, units: Numbers) -> list[Numbers]:
    """The terms SEEN, all 0 where no encoder has looked."""
    seen = value["seen"]
    quick = np.minimum(length_s, QUICK_S) / QUICK_S * np.clip((GONE_S - length_s) / (GONE_S - FADING_S), 0, 1)
    surely = np.clip(value["foreign"], 0, 1)
    by_time = np.clip(value["foreign"], -CLIP, CLIP) * units
    evidence = [value["foreign"] * quick, by_time, value["goes_on"] * quick, value["known"], value["timbre"] * surely * quick]
    return [*evidence, value["deaf"] * surely * quick, seen, seen * np.maximum(0, 10 - length_s) / 10, seen * units]
