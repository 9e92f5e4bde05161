"""Fits the weights of the ads task: `python -m benchmarks.fit_ads --sketches 75 --folder CACHE --seeds 1 --steps 120`.

Maximises the probability of the true sequence of programme and spots, over sketched films, painted ones (those of `benchmarks.ads`)
and real spots in real films (those of `benchmarks.splices`, part `fit`), with a little weight decay. No cue may count against an
ad for being there, but for a set that the film shows elsewhere. `--eyes` moves only what trained eyes say: the rest holds without them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ads import film
from benchmarks.splices import films
from benchmarks.watching import watched
from model.video import TimeSpan
from pipelines.evaluation import broadcast, splices
from pipelines.evaluation.ad_sketches import sketch
from pipelines.signals.shots import find_shots
from pipelines.tasks.ads_clips import Numbers
from pipelines.tasks.ads_decode import Lattice, believe
from pipelines.tasks.ads_film import gather
from pipelines.tasks.ads_runs import Film, describe_runs
from pipelines.tasks.ads_score import FITTED, HELD, SEEN, TERMS, terms

FREE = {"time", "spot", "short", "long", "known", "deaf", "seen", "seen_short", "seen_time", *HELD}  # may count either way
SKETCH_WEIGHT = 0.1  # of a sketch beside real and painted films, where eyes are fitted: what eyes see of a sketch is made up
HOPELESS = -30.0  # log-odds; runs below are left out, the true ones kept
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
    weight: float = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sketches", type=int, default=75)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--splices", type=Path, help="the folder of `benchmarks.splices`")
    parser.add_argument("--splice-seeds", default="1,2,3,4")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--eyes", action="store_true")
    wanted = parser.parse_args()
    found = [example(made.film, made.spots) for made in map(sketch, range(wanted.sketches)) if made.film.eyes or not wanted.eyes]
    examples = [replace(e, weight=SKETCH_WEIGHT if wanted.eyes else 1.0) for e in found if e]
    if wanted.folder:
        made = [painted(wanted.folder, kind, int(seed), wanted.minutes) for seed in wanted.seeds.split(",") for kind in broadcast.KINDS]
        examples += [e for e in made if e]
    if wanted.splices:
        examples += spliced(wanted.splices, wanted.splice_seeds.split(","))
    moved = set(SEEN) if wanted.eyes else set(TERMS) | {"begin", "follow"}
    weights = fit(examples, wanted.steps, moved - set(HELD))
    for name, value in zip((*TERMS, "begin", "follow"), weights, strict=True):
        print(f"{name:12s} {value:6.2f}")


def painted(folder: Path, kind: str, seed: int, minutes: float) -> Example | None:
    """A painted film as an example, its spots' edges those of `make_broadcast`."""
    path, truth = film(folder, kind, seed, minutes, None)
    measured = watched(path, folder / "series")
    return example(gather(measured, find_shots(measured)), truth.spots)


def spliced(folder: Path, seeds: list[str]) -> list[Example]:
    """Real films, two for one: there are few. Spots back to back are one here, as nothing tells where one ends."""
    made = []
    for path, told in films(folder, "", "fit", splices.KINDS, seeds):
        measured = watched(path, folder / "series")
        made.append(example(gather(measured, find_shots(measured)), told.breaks))
    return [replace(e, weight=2.0) for e in made if e]


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
    true = np.array([places[p] for p in pairs], np.int64)
    weighed = terms(features, length_s)
    kept = weighed @ FITTED.vector() + FITTED.begin > HOPELESS
    kept[true] = True
    return Example(len(made.clips.start_s), first[kept], last[kept], weighed[kept], np.cumsum(kept)[true] - 1, follows)


def _clips_of(made: Film, span: TimeSpan) -> tuple[int, int]:
    begins, ends = made.joints.end_s, made.joints.start_s
    first, stop = int(np.abs(begins - span.start_s).argmin()), int(np.abs(ends - span.end_s).argmin())
    is_near = abs(begins[first] - span.start_s) <= NEAR_S and abs(ends[stop] - span.end_s) <= NEAR_S
    return (first, stop - 1) if is_near else (-1, -1)


def fit(examples: list[Example], steps: int, moved: set[str]) -> Numbers:
    """Weights of the terms, then begin and follow; those not `moved` stay. Adam, projected to what a cue may say."""
    names = (*TERMS, "begin", "follow")
    moves = np.array([name in moved for name in names])
    share = np.array([e.weight for e in examples]) / sum(e.weight for e in examples)
    weights = np.array([*FITTED.vector(), FITTED.begin, FITTED.follow])
    least = np.array([LEAST.get(name, -np.inf if name in FREE | {"begin", "follow"} else 0.0) for name in names])
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(steps):
        losses, slopes = zip(*(_slope(e, weights) for e in examples), strict=True)
        slope = (share @ np.array(slopes) + DECAY * weights) * moves
        mean, square = 0.9 * mean + 0.1 * slope, 0.97 * square + 0.03 * slope**2
        stride = mean / (1 - 0.9 ** (step + 1)) / (np.sqrt(square / (1 - 0.97 ** (step + 1))) + 1e-6)
        weights = np.where(moves, np.maximum(weights - RATE / (1 + step / 25) * stride, least), weights)
        if step % 10 == 0:
            print(f"step {step}: {share @ np.array(losses):.3f} nats a film", flush=True)
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
