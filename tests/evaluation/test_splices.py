"""Splices made of recordings that are drawn here: one colour each, so that every picture tells where it comes from."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.evaluation.splices import KEPT_HZ, RATE_HZ, Recording, make_splice


def recordings(count: int, seconds: float = 6.0) -> list[Recording]:
    """Grey clips of levels 20, 50, 80 ..., each with a tone; the last one a photo."""
    wave = np.sin(np.arange(int(RATE_HZ * seconds)) / 20).astype(np.float32)
    lengths = [int(KEPT_HZ * seconds)] * (count - 1) + [1]
    grey = [np.full((length, 24, 32, 3), 20 + 30 * k, np.uint8) for k, length in enumerate(lengths)]
    return [Recording(f"clip{k}", pictures, wave if len(pictures) > 1 else None) for k, pictures in enumerate(grey)]


def levels(path: Path) -> list[tuple[float, float]]:
    with av.open(str(path)) as container:
        return [(float(frame.time or 0), float(frame.to_ndarray(format="gray").mean())) for frame in container.decode(video=0)]


def test_what_is_told_to_be_a_spot_is_what_is_not_the_host(tmp_path: Path) -> None:
    made = make_splice(tmp_path / "film.mp4", "take", 2, recordings(4))
    shown = levels(made.path)
    host = shown[0][1]

    assert made.breaks
    for time_s, level in shown:
        inside = any(span.start_s <= time_s + 1e-6 < span.end_s for span in made.breaks)
        assert (abs(level - host) > 8) == inside


def test_the_same_seed_without_spots_is_the_same_host_alone(tmp_path: Path) -> None:
    spliced = make_splice(tmp_path / "a.mp4", "take", 2, recordings(4))
    plain = make_splice(tmp_path / "b.mp4", "take", 2, recordings(4), spots=False)

    assert (plain.breaks, plain.spots) == ((), ())
    assert np.ptp([level for _, level in levels(plain.path)]) < 4
    assert spliced.duration_s == pytest.approx(plain.duration_s + sum(s.duration_s for s in spliced.spots), abs=0.2)
    assert all(3.8 <= s.duration_s <= 15.2 for s in spliced.spots)
