"""Slots, scenes, intro, recap and credits against films whose truth is known: `python -m benchmarks.slots --folder CACHE --seeds 1,2`.

Films, series and features are kept in the folder, so a second run only judges. `--material FOLDER` takes photographs, clips and voices
(jpg, png, mp4, avi, wav) for real settings and lines in place of drawn ones; odd seeds take one half of them, even seeds the other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from model.video import SOUND_RATE_HZ, TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.evaluation.edit_scenes import HEIGHT_PX, WIDTH_PX
from pipelines.evaluation.scene_films import (
    STYLES,
    Material,
    SceneEnd,
    SceneTruth,
    Setting,
    clip_setting,
    drawn_material,
    make_scene_film,
    picture_setting,
)
from pipelines.findings import Shot
from pipelines.listening import with_voice
from pipelines.profiles import Wanted
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.scenes import find_borders
from pipelines.tasks.slots import SlotSettings, find_slots, judged_places, places_to_hear
from pipelines.watching import Run, Senses, Store, identify, measure
from services.models import open_senses

TOLERANCE_S = 0.3
STRONG = 0.5  # a border this strong counts as a scene's end
EVERYWHERE = SlotSettings(skip_first_s=5, skip_last_s=5)
Marker = Callable[[np.random.Generator], Setting]


@dataclass(slots=True)
class Counts:
    """Found, missed and invented; found and invented slots within speech."""

    found: int = 0
    missed: int = 0
    invented: int = 0
    in_speech: int = 0

    def __str__(self) -> str:
        precision = self.found / max(1, self.found + self.invented)
        recall = self.found / max(1, self.found + self.missed)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        told = f"{self.found:4d} found {self.missed:4d} missed {self.invented:4d} invented"
        return f"{told}  P {precision:.3f} R {recall:.3f} F1 {f1:.3f}  in speech {self.in_speech}"

    def add(self, places_s: Sequence[float], ends: Sequence[SceneEnd], speech: Sequence[TimeSpan]) -> None:
        """A place counts as found within TOLERANCE_S of a scene's end; `ends`: those that should be found."""
        right = [at for at in places_s if any(_meets(at, end) for end in ends)]
        hit = sum(any(_meets(at, end) for at in places_s) for end in ends)
        self.found, self.missed = self.found + hit, self.missed + len(ends) - hit
        self.invented += len(places_s) - len(right)
        self.in_speech += sum(any(s.start_s < at < s.end_s for s in speech) for at in places_s)


def _meets(at_s: float, end: SceneEnd) -> bool:
    return end.start_s - TOLERANCE_S <= at_s <= end.end_s + TOLERANCE_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--material", type=Path, default=None)
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--minutes", type=float, default=5.0)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    print(machine())
    store = Store(FolderBlobs(wanted.folder / "store"), DatabaseResults("sqlite://"))
    senses = replace(open_senses(), reader=None)
    totals = {name: Counts() for name in ("borders, blind", "borders, with eyes", "good places", "slots as set")}
    for seed in map(int, wanted.seeds.split(",")):
        material = real_material(wanted.material, seed) if wanted.material else drawn_material(seed)
        for style in wanted.styles.split(","):
            path, truth = film(wanted.folder, style, seed, material, wanted.minutes, "real" if wanted.material else "drawn")
            judged(path, truth, store, senses, totals)
    for name, counts in totals.items():
        print(f"{name:20} {counts}")


def film(folder: Path, style: str, seed: int, material: Material, minutes: float, of: str) -> tuple[Path, SceneTruth]:
    """The film and its truth, made now or earlier."""
    path = folder / f"{of}-{style}-{seed}-{minutes:g}.mp4"
    note = path.with_suffix(".json")
    if not note.exists():
        note.write_text(json.dumps(asdict(make_scene_film(path, style, seed, material, minutes))))
    told = json.loads(note.read_text())
    ends, speech = tuple(SceneEnd(**e) for e in told["ends"]), tuple(TimeSpan(**s) for s in told["speech"])
    return path, SceneTruth(told["style"], told["duration_s"], ends, speech)


def judged(path: Path, truth: SceneTruth, store: Store, senses: Senses, totals: dict[str, Counts]) -> None:
    measured = measure(identify(path), Wanted(plan=DecodePlan(grey=None)), store, senses, Run())
    shots = find_shots(measured)
    if truth.style != "fast":  # a montage has cuts and no scenes: there, only slots can be wrong
        totals["borders, blind"].add(strong(replace(measured, features="", _joined={}), shots), truth.ends, ())
        totals["borders, with eyes"].add(strong(measured, shots), truth.ends, ())
    heard = with_voice(path, measured, places_to_hear(measured, shots, EVERYWHERE), store.blobs)
    good = [p for p in judged_places(heard, shots, EVERYWHERE) if not p.refused and p.score >= SlotSettings().least_score]
    totals["good places"].add([p.at_s for p in good], silent_ends(truth), truth.speech)
    result = find_slots(with_voice(path, measured, places_to_hear(measured, shots), store.blobs), shots)
    chosen = [float(f.data["at_s"]) for f in result.findings]
    met = [e for e in truth.ends if any(_meets(at, e) for at in chosen)]  # as set, a film has few slots: only wrong ones count
    totals["slots as set"].add(chosen, met, truth.speech)
    print(f"{path.stem}: {len(truth.ends)} scene ends, {len(good)} good places, slots at {[round(at, 2) for at in chosen]}", flush=True)


def strong(measured: Measured, shots: Sequence[Shot]) -> list[float]:
    return [border.at_s for border in find_borders(measured, shots) if border.strength >= STRONG]


def silent_ends(truth: SceneTruth) -> list[SceneEnd]:
    """The scene ends where nobody speaks within the time that slots keep clear."""
    clear_s = SlotSettings().clear_s
    inside = [e for e in truth.ends if 5 < e.start_s < truth.duration_s - 5]
    return [
        e
        for e in inside
        if not any(s.start_s < e.start_s + clear_s and s.end_s > e.start_s - clear_s for s in truth.speech)
        or e.end_s - e.start_s > 2 * clear_s
    ]


def real_material(folder: Path, seed: int) -> Material:
    photos: list[Marker] = [picture_setting(p) for path in _files(folder, "jpg", "png") if (p := _photo(path)) is not None]
    clips: list[Marker] = [clip_setting(_clip(path), 15) for path in _files(folder, "mp4", "avi")]
    half = [*photos[seed % 2 :: 2], *clips[seed % 2 :: 2]]
    return Material(half * 2, [_voice(path) for path in _files(folder, "wav")])


def _files(folder: Path, *suffixes: str) -> list[Path]:
    return sorted(path for suffix in suffixes for path in folder.glob(f"*.{suffix}"))


def _photo(path: Path) -> NDArray[np.uint8] | None:
    """At least 1.3 times a film's picture; None where the file is no picture."""
    pixels = cv2.imread(str(path))
    return None if pixels is None else _at_least(np.asarray(pixels[:, :, ::-1], np.uint8), 1.38)


def _at_least(pixels: NDArray[np.generic], times: float) -> NDArray[np.uint8]:
    scale = max(times * HEIGHT_PX / pixels.shape[0], times * WIDTH_PX / pixels.shape[1])
    return np.asarray(
        cv2.resize(np.asarray(pixels, np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR),
        np.uint8,
    )


def _clip(path: Path, most: int = 150) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        frames = [_at_least(f.to_ndarray(format="rgb24"), 1.28) for f, _ in zip(container.decode(video=0), range(most), strict=False)]
    return np.stack(frames)


def _voice(path: Path) -> NDArray[np.float32]:
    resampler = av.AudioResampler("fltp", "mono", SOUND_RATE_HZ)
    with av.open(str(path)) as container:
        parts = [g.to_ndarray()[0] for f in container.decode(audio=0) for g in resampler.resample(f)]
    return np.concatenate(parts).astype(np.float32)


if __name__ == "__main__":
    main()
