"""Known spots on air under changes, false airings in other material, and the time of many spots in an hour:

    python -m benchmarks.spots --folder CACHE --spots 60 [--changes "all, fast" --changes logo] [--other FOLDER] [--many 1000]

Spots, reels and their series are kept in the folder, so a second run only searches. --other: a folder of videos, or of a store's series,
in which none of the spots airs; videos are measured there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.video import TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.evaluation.broadcast import make_broadcast
from pipelines.evaluation.spots import CHANGES, Aired, Change, Stretch, make_reel, paint_spots
from pipelines.interfaces import WrongRequest
from pipelines.segments import measure_video, open_measured
from pipelines.series import BLOCK_S, Measured, Series, pack, unpack
from pipelines.spots import Airing, Spot, known_airings, spot_of
from pipelines.stores.folder import FolderBlobs

PLAN = replace(DecodePlan(), grey=None, colour=None, detail=None, eyes=None)  # what spots are known by
LENGTHS_S = (4, 4, 5, 6, 8, 10, 12, 15, 20)
NEEDED = ("sound.fingerprint", "frame.tiny")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--spots", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--changes", action="append", default=[])
    parser.add_argument("--other", type=Path, action="append", default=[])
    parser.add_argument("--many", type=int, default=0)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    stretches = painted(wanted.folder, wanted.seed, wanted.spots)
    spots = taken(wanted.folder, stretches)
    filler = wanted.folder / "filler.mp4"
    if not filler.exists():
        make_broadcast(filler, "clean", 790, minutes=12, fps=25, size=(320, 180))
    for change in [c for c in CHANGES if not wanted.changes or c.name in wanted.changes]:
        path, truth = reel(wanted.folder, stretches, filler, change, wanted.seed)
        tell(change.name, known_airings(measured(path, wanted.folder), spots), truth)
    if wanted.other:
        search_other([film for folder in wanted.other for film in others(folder, wanted.folder)], spots)
    if wanted.many:
        time_many(wanted.folder, wanted.many, measured(filler, wanted.folder))


def painted(folder: Path, seed: int, count: int) -> list[Stretch]:
    """Made-up spots, every fifth without sound; in one file, made now or earlier."""
    path = folder / f"painted-{seed}-{count}.mp4"
    note = path.with_suffix(".json")
    if not note.exists():
        lengths = np.random.default_rng(seed).choice(LENGTHS_S, count)
        note.write_text(json.dumps([[s.start_s, s.end_s] for s in paint_spots(path, seed, lengths.tolist())]))
    return [Stretch(path, TimeSpan(*span), number) for number, span in enumerate(json.loads(note.read_text()))]


def measured(path: Path, folder: Path) -> Measured:
    return measure_video(path, FolderBlobs(folder / "store"), f"series/{path.stem}", PLAN)


def taken(folder: Path, stretches: Sequence[Stretch]) -> list[Spot]:
    """The stretches as spots, named by their numbers; what is refused is told and left out."""
    spots = []
    for stretch in stretches:
        try:
            spots.append(spot_of(measured(stretch.path, folder), str(stretch.spot), stretch.span))
        except WrongRequest as error:
            print(f"spot {stretch.spot} is refused: {error}")
    return spots


def reel(folder: Path, stretches: Sequence[Stretch], filler: Path, change: Change, seed: int) -> tuple[Path, list[Aired]]:
    """All spots on air once in an order of their own, half of them with something else before, under one change."""
    suffix = {"mp4": ".mp4", "mpegts": ".ts", "matroska": ".mkv"}[change.format]
    path = folder / f"{change.name.replace(' ', '_').replace(':', '')}-{seed}-{len(stretches)}{suffix}"
    note = path.with_suffix(".json")
    if not note.exists():
        rng, at_s, schedule = np.random.default_rng([seed, CHANGES.index(change)]), 5.0, list[Stretch]()
        for number in rng.permutation(len(stretches)):
            gap_s = float(rng.uniform(1, 8))
            if rng.random() < 0.5:
                at_s = 5.0 if at_s + gap_s > 700 else at_s
                schedule.append(Stretch(filler, TimeSpan(at_s, at_s + gap_s)))
                at_s += gap_s
            schedule.append(stretches[number])
        note.write_text(json.dumps([[a.spot, a.span.start_s, a.span.end_s] for a in make_reel(path, schedule, change)]))
    return path, [Aired(int(spot), TimeSpan(start_s, end_s)) for spot, start_s, end_s in json.loads(note.read_text())]


def tell(name: str, airings: Sequence[Airing], truth: Sequence[Aired]) -> None:
    pairs = [(a, t) for a in airings for t in truth if a.spot.name == str(t.spot) and a.span.overlap_s(t.span) > 0.5 * t.span.duration_s]
    found = {t.spot for _, t in pairs}
    off = [abs(x) for a, t in pairs for x in (a.span.start_s - t.span.start_s, a.span.end_s - t.span.end_s)] or [np.nan]
    missed = sorted(t.spot for t in truth if t.spot not in found)
    edges = f"edges median {np.median(off):.3f} s, p90 {np.quantile(off, 0.9):.3f} s"
    print(f"{name:16s} found {len(found)} of {len(truth)}, false {len(airings) - len(pairs)}, {edges}, missed {missed}", flush=True)


def others(folder: Path, cache: Path) -> Iterator[tuple[str, Measured]]:
    """Series in the folder, wherever they lie, and its videos, measured."""
    for manifest in sorted(folder.rglob("manifest.json")):
        found = open_measured(FolderBlobs(manifest.parent.parent), manifest.parent.name)
        if found is not None and any(True for _ in found.blocks("frame.tiny")):
            yield str(manifest.parent.relative_to(folder)), found
    for path in sorted(p for p in folder.glob("*") if p.suffix in (".mp4", ".avi", ".mkv", ".ts")):
        yield path.name, measured(path, cache)


def search_other(films: Sequence[tuple[str, Measured]], spots: Sequence[Spot]) -> None:
    total_s, false = 0.0, 0
    for name, film in films:
        airings = known_airings(film, spots)
        total_s, false = total_s + film.duration_s, false + len(airings)
        for airing in airings:
            print(f"  false in {name}: {airing.spot.name} {airing.span} {airing.score} {airing.reason}")
    print(f"other material: {false} airings in {total_s / 3600:.2f} hours, {len(spots)} spots")


def time_many(folder: Path, count: int, film: Measured) -> None:
    """Many spots, cut from one film's minutes, searched in an hour made of its other minutes."""
    rng = np.random.default_rng(1)
    hour = repeated(film, folder / "hour", 60)
    spots = list[Spot]()
    while len(spots) < count:
        start_s = float(rng.uniform(0, film.duration_s - 35))
        cut = spot_of(film, str(len(spots)), TimeSpan(start_s, start_s + float(rng.choice([5, 10, 15, 20, 30]))))
        # Other words and pictures, as hard to search: bits turned, pictures mirrored and turned round in time.
        words = cut.print.words ^ np.uint32(rng.integers(1, 2**32)) * (cut.print.words != 0)
        tiny = cut.print.pictures.values[::-1, :, ::-1, ::-1]
        print_ = replace(cut.print, words=words.astype(np.uint32), pictures=Series(cut.print.pictures.times_s, np.ascontiguousarray(tiny)))
        spots.append(replace(cut, print=print_))
    began, wall = time.process_time(), time.monotonic()
    found = known_airings(hour, spots)
    spent = time.process_time() - began
    print(f"{count} spots in {hour.duration_s / 3600:.2f} h: {time.monotonic() - wall:.1f} s, {spent:.1f} s of CPU, {len(found)} airings")


def repeated(film: Measured, folder: Path, minutes: int) -> Measured:
    """So many minutes of series: the film's blocks one after the other, again and again."""
    blobs, keys = FolderBlobs(folder), [k for k in film.blobs.keys(film.prefix + "/") if k.endswith(".npz")][:-1]
    for block in range(minutes):
        series = unpack(film.blobs.get(keys[block % len(keys)]), list(NEEDED))
        shift_s = (block - block % len(keys)) * BLOCK_S
        blobs.put(f"v/{block:06d}.npz", pack({name: Series(part.times_s + shift_s, part.values) for name, part in series.items()}))
    return Measured(blobs, "v", minutes * BLOCK_S)


if __name__ == "__main__":
    main()
