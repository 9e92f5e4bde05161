"""Finds what stays on screen through the cuts (a channel's logo, letterbox edges) and when it is there. Knows edge maps, nothing of ads.

A logo is a set of edges that outlast cuts: scenery changes with the shot, a logo does not. So no fixed camera, however long it looks
at the same wall, makes a logo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.series import Measured, Series

SHAPE_PX = (180, 320)
BORDER = 0.3  # logos live in the outer rows and columns, this share of the picture deep
OUTLASTS = 0.6  # share of the cuts across which an edge of a logo is still there; scenery: below 0.3
AT_LEAST_CUTS = 8
AT_LEAST_SHARE = 0.5  # of the time; what shows less is a caption, or the bars around ads, not the channel
AT_LEAST_PX = 16
SMOOTH_S = 5
BRIGHT = 165.0  # luma of a ground on which a white logo may be lost
SEEN_ON_BRIGHT = 0.35  # of bright moments the logo must be seen in for its absence to mean anything on such a ground


@dataclass(frozen=True, slots=True)
class Logo:
    """One thing that outlasts cuts. shown: log-odds in [-3, 3] that it is there, second by second; box: x, y, width, height in shares."""

    shown: Series
    share: float
    box: tuple[float, float, float, float]
    separation: float  # between its presence when there and when not, in standard deviations


def find_logos(measured: Measured, cuts_s: NDArray[np.float64]) -> tuple[Logo, ...]:
    """Logos, the clearest first. cuts_s: when the picture changes as a whole. () where there are no pictures, no cuts or no logo."""
    persistence = _persistence(measured, cuts_s)
    if persistence is None:
        return ()
    outlasts, share = persistence
    template = (outlasts >= OUTLASTS) & (share >= AT_LEAST_SHARE) & _border()
    parts = [part for part in _parts(template) if part.sum() >= AT_LEAST_PX]
    if not parts:
        return ()
    scores = _scores(measured, parts)
    ground = _ground(measured, parts, scores.times_s)
    logos = [_judged(Series(scores.times_s, scores.values[:, k]), part, ground[:, k]) for k, part in enumerate(parts)]
    return tuple(sorted((logo for logo in logos if logo is not None), key=lambda logo: -logo.separation))


def _edge_maps(measured: Measured) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """(times, (n, H, W) edges), block by block."""
    for block in measured.blocks("detail.edges"):
        if len(block):
            yield block.times_s, np.unpackbits(np.asarray(block.values, np.uint8), axis=1).reshape(-1, *SHAPE_PX).astype(bool)


def _persistence(measured: Measured, cuts_s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Per pixel: in how many of the cuts where the edge was there before it is there behind; share of all time with an edge."""
    before, kept, shown = (np.zeros(SHAPE_PX) for _ in range(3))
    pictures = cuts = 0
    last: tuple[float, NDArray[np.bool_]] | None = None
    for times, edges in _edge_maps(measured):
        shown += edges.sum(0)
        pictures += len(times)
        all_times, all_edges = (times, edges) if last is None else (np.append(last[0], times), np.concatenate([last[1][None], edges]))
        is_cut = np.searchsorted(cuts_s, all_times[:-1], side="right") < np.searchsorted(cuts_s, all_times[1:], side="right")
        pairs = np.flatnonzero(is_cut)
        cuts += len(pairs)
        before += all_edges[pairs].sum(0)
        kept += (all_edges[pairs] & all_edges[pairs + 1]).sum(0)
        last = (float(times[-1]), edges[-1])
    if cuts < AT_LEAST_CUTS:
        return None
    return kept / np.maximum(before, AT_LEAST_CUTS / 2), shown / pictures


def _border() -> NDArray[np.bool_]:
    inside = np.zeros(SHAPE_PX, bool)
    rows, columns = (round(BORDER * side) for side in SHAPE_PX)
    inside[rows:-rows, columns:-columns] = True
    return ~inside


def _parts(template: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The template by quarters of the picture: a logo and a clock in different corners are different things."""
    rows, columns = SHAPE_PX[0] // 2, SHAPE_PX[1] // 2
    parts = []
    for y in (slice(0, rows), slice(rows, None)):
        for x in (slice(0, columns), slice(columns, None)):
            part = np.zeros(SHAPE_PX, bool)
            part[y, x] = template[y, x]
            parts.append(part)
    return parts


def _scores(measured: Measured, parts: list[NDArray[np.bool_]]) -> Series:
    """Share of each part's pixels that are edges, (n, parts)."""
    flat = np.array([part.ravel() for part in parts]).T.astype(np.float32)
    sizes = flat.sum(0)
    times, rows = [], []
    for at, edges in _edge_maps(measured):
        times.append(at)
        rows.append(edges.reshape(len(edges), -1).astype(np.float32) @ flat / sizes)
    return Series(np.concatenate(times), np.concatenate(rows))


def _ground(measured: Measured, parts: list[NDArray[np.bool_]], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luma behind each part at each time, (n, parts), from the tiny pictures; 0 where there are none."""
    found = np.zeros((len(times_s), len(parts)))
    for block in measured.blocks("frame.tiny"):
        first, last = np.searchsorted(times_s, [block.times_s[0], block.times_s[-1] + 0.5]) if len(block) else (0, 0)
        if last <= first:
            continue
        rows = np.searchsorted(block.times_s, times_s[first:last], side="right") - 1
        luma = block.values[rows, 0].astype(np.float64)
        for k, part in enumerate(parts):
            cells = part.reshape(luma.shape[1], SHAPE_PX[0] // luma.shape[1], luma.shape[2], -1).any((1, 3))
            found[first:last, k] = luma[:, cells].mean(1)
    return found


def _judged(score: Series, part: NDArray[np.bool_], ground: NDArray[np.float64]) -> Logo | None:
    """Split the seconds into those with and those without; None where they do not come apart."""
    smooth = _running_median(np.asarray(score.values, np.float64), SMOOTH_S)
    limit = _split(smooth)
    on, off = smooth[smooth >= limit], smooth[smooth < limit]
    if len(on) < max(10, AT_LEAST_SHARE * len(smooth)) or len(off) < 5:
        return None
    spread = max(0.06, float(np.hypot(on.std(), off.std())))
    separation = float(on.mean() - off.mean()) / spread
    if separation < 2.5 or on.mean() < 0.5:
        return None
    middle = (on.mean() + off.mean()) / 2
    odds = np.clip(6 * (np.asarray(score.values) - middle) / (on.mean() - off.mean()), -3, 3)
    is_bright = ground >= BRIGHT
    if is_bright.any() and (odds[is_bright] > 0).mean() < SEEN_ON_BRIGHT:
        odds[is_bright] = np.maximum(odds[is_bright], 0)
    rows, columns = np.nonzero(part)
    box = (columns.min() / SHAPE_PX[1], rows.min() / SHAPE_PX[0], np.ptp(columns) / SHAPE_PX[1], np.ptp(rows) / SHAPE_PX[0])
    x, y, width, height = (round(float(b), 3) for b in box)
    return Logo(Series(score.times_s, odds), len(on) / len(smooth), (x, y, width, height), separation)


def _running_median(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def _split(values: NDArray[np.float64]) -> float:
    """Otsu's threshold: where the two sides differ most between and least within."""
    edges = np.linspace(values.min(), values.max() + 1e-9, 65)
    counts, _ = np.histogram(values, edges)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = len(values) - below
    sums = np.cumsum(counts * centres)
    means_below = sums[:-1] / np.maximum(below, 1)
    means_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means_above - means_below) ** 2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1 + best[len(best) // 2]])
