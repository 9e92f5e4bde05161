"""The ads task on sketches, on small series built here, and on one painted film."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.evaluation.ad_scores import Verdict, edge_errors_s, overlap
from pipelines.evaluation.ad_sketches import sketch
from pipelines.evaluation.broadcast import make_broadcast
from pipelines.findings import Shot, Status
from pipelines.measure import measure_blocks
from pipelines.media import index_video
from pipelines.series import Measured, Series, pack
from pipelines.signals.shots import find_shots
from pipelines.sound import sound_blocks
from pipelines.spots import Airing, Spot
from pipelines.spots_prints import print_of
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.ads import AdSettings, find_ads, findings_of, judge

RATE_HZ = 5.0
CARD = 900  # places from here on are stills


def silent_film(
    folder: Path, shots_s: list[tuple[float, int]], dark: tuple[tuple[float, float], ...] = ()
) -> tuple[Measured, tuple[Shot, ...]]:
    """Series of a film without sound: (seconds, place) a shot, places with looks of their own; `dark` stretches are black."""
    ends = np.cumsum([length for length, _ in shots_s])
    times = np.arange(0, ends[-1], 1 / RATE_HZ)
    number = np.searchsorted(ends, times, side="right")
    looks = np.array([np.random.default_rng(place).integers(40, 220, (3, 9, 16)) for _, place in shots_s], np.uint8)
    tiny = looks[number]
    black = np.zeros(len(times), np.float32)
    for start_s, end_s in dark:
        inside = (times >= start_s) & (times < end_s)
        black[inside], tiny[inside] = 1.0, 16
    luma = np.where(black > 0, 0, 100).astype(np.float32)
    change = np.where(np.array([place >= CARD for _, place in shots_s])[number], 0.1, 2.0).astype(np.float32)
    blobs = FolderBlobs(folder)
    names = {"frame.tiny": tiny, "frame.black": black, "frame.luma": luma, "frame.change": change}
    for block in range(int(np.ceil(ends[-1] / 60))):
        own = {name: Series(times, values).within(60 * block, 60 * block + 60) for name, values in names.items()}
        blobs.put(f"film/{block:06d}.npz", pack(own))
    starts = [0.0, *ends[:-1].tolist()]
    shots = tuple(Shot(TimeSpan(a, b)) for a, b in zip(starts, ends.tolist(), strict=True))
    return Measured(blobs, "film", float(ends[-1])), shots


def programme(seconds: int, seed: int) -> list[tuple[float, int]]:
    """Shots of 5 s in six places that keep returning."""
    rng = np.random.default_rng(seed)
    return [(5.0, int(rng.integers(6))) for _ in range(seconds // 5)]


def spot(first_place: int, shots: int, shot_s: float = 1.5) -> list[tuple[float, int]]:
    """Shots of places never seen again, and a card of 3 s."""
    return [*((shot_s, first_place + k) for k in range(shots - 2)), (2 * shot_s, CARD + first_place)]


def test_a_single_spot_in_mid_film_is_found_by_its_looks_alone(tmp_path: Path) -> None:
    measured, shots = silent_film(tmp_path, programme(240, 1) + spot(100, 20) + programme(240, 2))

    result = find_ads(measured, shots)

    (found,) = [f for f in result.findings if f.kind == "break"]
    assert (found.span.start_s, found.span.end_s) == pytest.approx((240.0, 270.0))
    assert found.score > 0.7
    assert {cue.name for cue in found.evidence} >= {"look_least", "pace", "standard", "still"}
    assert "without trained eyes, a logo that comes and goes, sound" in result.reason


def test_an_edge_in_black_is_its_middle(tmp_path: Path) -> None:
    gap = (0.8, 0)
    film = [*programme(240, 1), gap, *spot(100, 20), gap, *spot(200, 20), gap, *programme(240, 2)]
    measured, shots = silent_film(tmp_path, film, dark=((240, 240.8), (270.8, 271.6), (301.6, 302.4)))

    result = find_ads(measured, shots)

    spans = {(f.kind, round(f.span.start_s, 1), round(f.span.end_s, 1)) for f in result.findings}
    assert spans == {("break", 240.4, 302.0), ("spot", 240.4, 271.2), ("spot", 271.2, 302.0)}


def test_a_programme_without_ads_stays_empty(tmp_path: Path) -> None:
    result = find_ads(*silent_film(tmp_path, programme(600, 3)))

    assert result.status is Status.EMPTY
    assert result.findings == ()
    assert result.reason.startswith("No advertising found.")
    assert max(result.curves["ads"].values) < 0.5


def test_a_fixed_camera_has_nothing_inserted(tmp_path: Path) -> None:
    measured, shots = silent_film(tmp_path, [(300.0, 1)])

    result = find_ads(measured, shots)

    assert (result.status, result.findings) == (Status.EMPTY, ())
    assert "never cut" in result.reason


def test_a_clip_is_too_short_to_tell(tmp_path: Path) -> None:
    result = find_ads(*silent_film(tmp_path, [(5.0, k) for k in range(6)]))

    assert (result.status, result.findings) == (Status.EMPTY, ())
    assert "too short" in result.reason


def test_less_probable_breaks_are_reported_on_request(tmp_path: Path) -> None:
    measured, shots = silent_film(tmp_path, programme(240, 1) + spot(100, 20) + programme(240, 2))
    (found, _) = find_ads(measured, shots).findings

    assert find_ads(measured, shots, AdSettings(least_score=min(1.0, found.score + 0.001))).findings == ()


def test_most_sketched_breaks_are_found() -> None:
    verdicts = []
    for seed in (3, 5):
        made = sketch(seed)
        found = findings_of(judge(made.film), AdSettings())
        breaks = tuple((f.span, f.score) for f in found if f.kind == "break")
        verdicts.append(Verdict("sketch", made.duration_s, breaks, made.breaks))

    assert overlap(verdicts).f1 > 0.9


def test_a_painted_film_from_file_to_findings(tmp_path: Path) -> None:
    truth = make_broadcast(tmp_path / "film.mp4", "classic", 5, minutes=2, fps=8, size=(160, 96), style="drama")
    index = index_video(truth.path)
    assert index is not None
    blobs = FolderBlobs(tmp_path)
    blocks = range(int(np.ceil(index.duration_s / 60)))
    pictures = dict(measure_blocks(truth.path, index, DecodePlan(grey=None), blocks))
    for number, sound in sound_blocks(truth.path, blocks):
        blobs.put(f"film/{number:06d}.npz", pack(pictures[number] | sound))
    measured = Measured(blobs, "film", index.duration_s, index.clock)

    result = find_ads(measured, find_shots(measured))

    breaks = tuple((f.span, f.score) for f in result.findings if f.kind == "break")
    verdict = Verdict("classic", truth.duration_s, breaks, truth.breaks)
    assert overlap([verdict]).f1 > 0.95
    assert max(edge_errors_s([verdict])) <= 0.6
    assert all("above_programme_lu" in f.data for f in result.findings)


def eyed(measured: Measured, shots_s: list[tuple[float, int]]) -> Measured:
    """The same film as trained eyes see it: every place a direction of its own, a picture a second."""
    times = np.arange(0, measured.duration_s, 1.0) + 0.5
    number = np.searchsorted(np.cumsum([length for length, _ in shots_s]), times, side="right").clip(0, len(shots_s) - 1)
    rng = np.random.default_rng(0)
    seen = np.array([np.random.default_rng(shots_s[k][1]).normal(0, 1, 64) for k in number]) + rng.normal(0, 0.1, (len(times), 64))
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    for block in range(int(np.ceil(measured.duration_s / 60))):
        own = Series(times, seen.astype(np.float16)).within(60 * block, 60 * block + 60)
        measured.blobs.put(f"eyes/{block:06d}.npz", pack({"eyes.embedding": own}))
    return replace(measured, features="eyes")


def test_a_spot_of_six_seconds_in_a_short_recording_is_found_by_trained_eyes(tmp_path: Path) -> None:
    film = [(21.0, 1), (6.2, 50), (18.4, 1)]
    measured, shots = silent_film(tmp_path, film)

    result = find_ads(eyed(measured, film), shots)

    (found,) = [f for f in result.findings if f.kind == "break"]
    assert (found.span.start_s, found.span.end_s) == pytest.approx((21.0, 27.2))
    assert (found.data["shots"], found.data["shots_seen_elsewhere"]) == (1, 0)
    assert {cue.name for cue in found.evidence} >= {"foreign", "goes_on"}
    assert "without a logo that comes and goes, sound, black between scenes, texts that were read in pictures" in result.reason
    assert "too short" in find_ads(measured, shots).reason


def test_trained_eyes_flag_nothing_where_the_sets_return(tmp_path: Path) -> None:
    film = [(4.0, 1), (3.0, 2), (5.0, 1), (4.0, 3), (6.0, 2), (3.0, 1), (5.0, 3), (4.0, 2), (6.0, 1)]
    measured, shots = silent_film(tmp_path, film)

    assert find_ads(eyed(measured, film), shots).findings == ()


def test_a_known_spot_that_is_aired_is_found_though_it_looks_like_the_programme(tmp_path: Path) -> None:
    measured, shots = silent_film(tmp_path, programme(240, 1))
    spot = Spot("0" * 64, "Sweets", print_of(measured))
    airing = Airing(spot, TimeSpan(100.0, 115.0), 0.99, 1.0, 1.0, ())

    (found, _) = find_ads(measured, shots, airings=(airing,)).findings

    assert (found.span.start_s, found.span.end_s) == pytest.approx((100.0, 115.0))
    assert "it is a known spot" in [cue.detail for cue in found.evidence]
