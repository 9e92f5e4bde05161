"""The makers of films with known scenes tell the truth about what they wrote."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from model.video import SOUND_RATE_HZ
from pipelines.evaluation.scene_films import FPS, drawn_material, make_scene_film, voiced


def test_blacks_and_speech_are_where_the_truth_says(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    truth = make_scene_film(path, "takes", 3, drawn_material(3), minutes=0.8)

    with av.open(str(path)) as film:
        luma = np.array([frame.to_ndarray(format="gray").mean() for frame in film.decode(video=0)])
    black = np.zeros(len(luma), bool)
    for end in truth.ends:
        black[round(end.start_s * FPS) : round(end.end_s * FPS)] = True

    assert len(luma) == round(truth.duration_s * FPS)
    assert truth.ends and truth.speech
    assert np.all(luma[black] < 20) and np.median(luma[~black]) > 30
    assert all(0 <= s.start_s < s.end_s <= truth.duration_s for s in truth.speech)


def test_a_montage_is_no_scene_and_nobody_speaks(tmp_path: Path) -> None:
    truth = make_scene_film(tmp_path / "film.mp4", "fast", 5, drawn_material(5), minutes=0.1)

    assert truth.ends == truth.speech == ()
    assert truth.duration_s > 6


def test_a_line_is_voiced_between_its_longer_pauses() -> None:
    tone = np.sin(np.arange(SOUND_RATE_HZ) / 9).astype(np.float32)
    line = np.concatenate([np.zeros(8000, np.float32), tone, np.zeros(3200, np.float32), tone, np.zeros(8000, np.float32), tone])

    spans = [(s.start_s, s.end_s) for s in voiced(line)]

    assert spans == [pytest.approx((0.5, 2.7), abs=0.03), pytest.approx((3.2, 4.2), abs=0.03)]
