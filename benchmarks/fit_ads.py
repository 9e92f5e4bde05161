"""Fits the weights of the ads task: `python -m benchmarks.fit_ads --sketches 75 --folder CACHE --seeds 1 --steps 120`.

Maximises the probability of the true sequence of programme and spots, over sketched films and painted ones (those of
`benchmarks.ads`, where a folder is given), with a little weight decay. No cue may count against an ad for being there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ads import PLAN, film
from model.video import TimeSpan
from pipelines.evaluation.ad_sketches import sketch
from pipelines.evaluation.broadcast import KINDS
from pipelines.segments import measure_video
from pipelines.signals.shots import find_shots
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.ads_clips import Numbers
from pipelines.tasks.ads_decode import Lattice, believe
from pipelines.tasks.ads_film import gather
from pipelines.tasks.ads_runs import Film, describe_runs
from pipelines.tasks.ads_score import FITTED, TERMS, terms

FREE = {"time", "spot", "short", "long"}  # may count either way
# What the films of the fit show too rarely: a trusted logo or frame decides, and a spot spliced into a quiet recording stands out
LEAST = {"logo": 1.6, "bars": 2.0, "resume": 1.5, "sparse": 1.5, "look": 0.2, "loud": 0.1}
NEAR_S = 1.0
DECAY, RATE = 0.003, 0.15


@dataclass(frozen=True, slots=True)
class Example:
    """A film's runs, (n, K) terms each, and which of them are its spots."""

    clip_count: int
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    terms: NDArray[np.float64]
    spots: NDArray[np.int64]
    follows: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sketches", type=int, default=75)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--steps", type=int, default=120)
    wanted = parser.parse_args()
    examples = [example(made.film, made.spots) for made in map(sketch, range(wanted.sketches))]
    if wanted.folder:
        examples += [painted(wanted.folder, kind, int(seed), wanted.minutes) for seed in wanted.seeds.split(",") for kind in KINDS]
    weights = fit([e for e in examples if e is not None], wanted.steps)
    for name, value in zip((*TERMS, "begin", "follow"), weights, strict=True):
        print(f"{name:12s} {value:6.2f}")


def painted(folder: Path, kind: str, seed: int, minutes: float) -> Example | None:
    """A painted film as an example, its spots' edges those of `make_broadcast`."""
    path, truth = film(folder, kind, seed, minutes, None)
    measured = measure_video(path, FolderBlobs(folder / "series"), path.stem, PLAN)
    return example(gather(measured, find_shots(measured)), truth.spots)


def example(made: Film, spots: tuple[TimeSpan, ...]) -> Example | None:
    """None where the film has no runs. Spots whose edges no joint is near are left out."""
    parts = list(describe_runs(made))
    if not parts:
        return None
    first, last, features = (np.concatenate([getattr(p, name) for p in parts]) for name in ("first", "last", "features"))
    length_s = made.clips.end_s[last] - made.clips.start_s[first]
    places = {(int(a), int(b)): k for k, (a, b) in enumerate(zip(first, last, strict=True))}
    pairs = [pair for span in spots if (pair := _clips_of(made, span)) in places]
    follows = sum(a[1] + 1 == b[0] for a, b in pairwise(pairs))
    return Example(len(made.clips.start_s), first, last, terms(features, length_s), np.array([places[p] for p in pairs], np.int64), follows)


def _clips_of(made: Film, span: TimeSpan) -> tuple[int, int]:
    begins, ends = made.joints.end_s, made.joints.start_s
    first, stop = int(np.abs(begins - span.start_s).argmin()), int(np.abs(ends - span.end_s).argmin())
    is_near = abs(begins[first] - span.start_s) <= NEAR_S and abs(ends[stop] - span.end_s) <= NEAR_S
    return (first, stop - 1) if is_near else (-1, -1)


def fit(examples: list[Example], steps: int) -> Numbers:
    """Weights of the terms, then begin and follow. Adam, projected to what a cue may say."""
    weights = np.array([*FITTED.vector(), FITTED.begin, FITTED.follow])
    least = np.array([LEAST.get(name, -np.inf if name in FREE else 0.0) for name in TERMS] + [-np.inf] * 2)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(steps):
        losses, slopes = zip(*(_slope(e, weights) for e in examples), strict=True)
        slope = np.mean(slopes, axis=0) + DECAY * weights
        mean, square = 0.9 * mean + 0.1 * slope, 0.97 * square + 0.03 * slope**2
        stride = mean / (1 - 0.9 ** (step + 1)) / (np.sqrt(square / (1 - 0.97 ** (step + 1))) + 1e-6)
        weights = np.maximum(weights - RATE / (1 + step / 25) * stride, least)
        if step % 10 == 0:
            print(f"step {step}: {np.mean(losses):.3f} nats a film", flush=True)
    return weights


def _slope(made: Example, weights: Numbers) -> tuple[float, Numbers]:
    """Minus the log-probability of the truth, and its gradient: what the chain expects less what is so."""
    lattice = Lattice(made.clip_count, made.first, made.last, made.terms @ weights[:-2], float(weights[-2]), float(weights[-1]))
    expected = believe(lattice)
    true = np.array([*made.terms[made.spots].sum(axis=0), len(made.spots) - made.follows, made.follows])
    slope = np.array([*(made.terms.T @ expected.run), expected.begin, expected.follow]) - true
    return expected.total - float(true @ weights), slope


if __name__ == "__main__":
    main()
