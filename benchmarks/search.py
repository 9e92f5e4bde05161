"""How fast `longtake search` is over a thousand films, and how often it finds what it should on real clips.

    python -m benchmarks.search                                      # speed, on made embeddings
    python -m benchmarks.search --clips FOLDER --labels labels.json  # recall at 5 of picture and text queries

labels.json: {"file.mp4": ["dog", "skateboard"], ...}: words that are right for each clip of the folder. Picture queries are stills of
the clips (three instants each), cropped to seven tenths, mirrored and darkened; right is a hit in that clip over that instant.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from pipelines.glimpses import KEPT_CLASSES, Glimpses
from pipelines.profiles import wanted
from pipelines.sampling import Instants, sample_frames
from pipelines.search import ClassTexts, Hit, search_like, search_text
from pipelines.stores.seen import SeenShelf
from pipelines.watching import Run, Senses, Store, identify, look_up
from services.models import open_meaning, open_senses
from services.opening import open_store
from services.searching import class_notes

CLASSES = ClassTexts((*(f"class {c}" for c in range(999)), "beagle"))
GLIMPSES, WIDTH = 1200, 1280  # of a film of 90 minutes with a shot every five seconds, some of them two glimpses


def made_store(folder: Path, films: int) -> SeenShelf:
    """A store of made films; each has a dozen sets that its glimpses come back to."""
    store = open_store(str(folder))
    shelf = SeenShelf(store.results, store.blobs, "made-0")
    for k in range(films):
        random = np.random.default_rng(k)
        sets = np.abs(random.normal(size=(12, WIDTH)))
        looks = sets[random.integers(0, 12, GLIMPSES)] + 0.3 * np.abs(random.normal(size=(GLIMPSES, WIDTH)))
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        spans = np.stack([np.arange(GLIMPSES) * 4.5, np.arange(1, GLIMPSES + 1) * 4.5], 1).astype(np.float32)
        classes = random.integers(0, 1000, (GLIMPSES, KEPT_CLASSES)).astype(np.int16)
        shares = np.tile(np.float16([0.4, *[0.05] * (KEPT_CLASSES - 1)]), (GLIMPSES, 1))
        shelf.put(f"{k:064d}", f"film {k}.mp4", GLIMPSES * 4.5, Glimpses(spans, looks.astype(np.float16), classes, shares), [])
    return shelf


def speed(films: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = made_store(Path(folder), films)
        times: dict[str, list[float]] = {"by a picture": [], "by a class name": []}
        for k in range(repeats):
            target = shelf.embeddings(f"{(k * 37) % films:064d}")[k].astype(np.float32)
            began = time.monotonic()
            hits = search_like(target, shelf)
            times["by a picture"].append(time.monotonic() - began)
            assert hits[0].video == f"film {(k * 37) % films}.mp4"
            began = time.monotonic()
            search_text("beagle", shelf, CLASSES)
            times["by a class name"].append(time.monotonic() - began)
    print(f"{films} films, {films * GLIMPSES} glimpses; medians of {repeats}")
    for name, taken in times.items():
        print(f"{name:>16}: {statistics.median(taken) * 1000:6.1f} ms")


def recall(clips: Path, labels: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, senses = open_store(folder), open_senses()
        for name in labels:
            look_up(identify(clips / name), wanted(), store, senses, Run())
        shelf = SeenShelf(store.results, store.blobs, senses.encoder_key)
        by_picture = [_is_found(clips / name, shelf, senses, share) for name in labels for share in (0.2, 0.5, 0.8)]
        words = sorted({word for told in labels.values() for word in told})
        by_text = [_share_found(word, {n for n, told in labels.items() if word in told}, shelf, senses, store) for word in words]
    print(f"picture queries: recall at 5 {np.mean(by_picture):.2f} of {len(by_picture)}")
    print(f"   text queries: recall at 5 {np.mean(by_text):.2f} of {len(by_text)}: ", end="")
    print(", ".join(f"{word} {share:.2f}" for word, share in zip(words, by_text, strict=True)))


def _is_found(clip: Path, shelf: SeenShelf, senses: Senses, share: float) -> bool:
    assert senses.encoder is not None
    length_s = next(duration_s for name, duration_s in shelf.names().values() if name == clip.name)
    (batch,) = sample_frames(clip, Instants((share * length_s,)), (320, 320))
    hits = search_like(senses.encoder.encode(_changed(batch.pixels[0])[None]).embeddings[0], shelf)[:5]
    return any(hit.video == clip.name and hit.span.start_s - 1 <= share * length_s <= hit.span.end_s + 1 for hit in hits)


def _changed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray((picture[48:272, 48:272][:, ::-1] * 0.8).astype(np.uint8))


def _share_found(word: str, right: set[str], shelf: SeenShelf, senses: Senses, store: Store) -> float:
    """File names do not count here: a clip is not found by being called what it shows."""
    assert senses.encoder is not None
    names = senses.encoder.class_names
    hits: list[Hit] = search_text(word, shelf, ClassTexts(names, class_notes(len(names))), open_meaning())
    found = list(dict.fromkeys(hit.video for hit in hits if hit.kind != "name"))[:5]
    return len(right & set(found)) / min(5, len(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--labels", type=Path)
    given = parser.parse_args()
    print(machine())
    if given.clips and given.labels:
        recall(given.clips, json.loads(given.labels.read_text("utf-8")))
    else:
        speed(given.films, given.repeats)


if __name__ == "__main__":
    main()
