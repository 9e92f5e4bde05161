"""Scenes with trained eyes, and the black between them."""

from __future__ import annotations

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.series import Measured, Series, pack
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.key_moments import choose_moments
from pipelines.tasks.scenes import blacks, find_borders, group
from tests.signals.scenery import measured_film, still

WIDTH = 16


def seen(folder, places, *, shot_s=5.0):
    """(measured, shots): pictures that are all alike, in which the eyes tell `places` apart, one a shot."""
    rng = np.random.default_rng(3)
    looks = np.eye(WIDTH)[places] + rng.normal(0, 0.05, (len(places), WIDTH))
    values = np.repeat(looks / np.linalg.norm(looks, axis=1, keepdims=True), round(shot_s), axis=0).astype(np.float16)
    film = measured_film(folder, [still(1, round(len(places) * shot_s))], 1.0)
    film.blobs.put("eyes/000000.npz", pack({"eyes.embedding": Series(np.arange(len(values), dtype=float) + 0.5, values)}))
    shots = [Shot(TimeSpan(k * shot_s, (k + 1) * shot_s), "cut" if k else "start") for k in range(len(places))]
    return Measured(film.blobs, film.prefix, film.duration_s, features="eyes"), shots


def test_eyes_keep_shot_and_reverse_shot_together_and_tell_settings_of_one_colour_apart(tmp_path):
    measured, shots = seen(tmp_path, [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3])

    borders = find_borders(measured, shots)

    assert [b.at_s for b in borders if b.strength > 0.5] == [30.0]
    assert max(b.strength for b in borders if b.at_s != 30.0) < 0.3
    assert [b.at_s for b in group(borders, measured.duration_s)] == [30.0]


def test_a_place_that_returns_after_minutes_is_another_scene(tmp_path):
    measured, shots = seen(tmp_path, [0, 1, 0, 2, 3, 2, 3, 0, 1, 0], shot_s=40.0)

    strengths = {b.at_s: b.strength for b in find_borders(measured, shots)}

    assert strengths[120.0] > 0.5 and strengths[280.0] > 0.5
    assert strengths[40.0] < 0.5 and strengths[320.0] < 0.5


def test_a_black_belongs_to_no_scene_and_the_next_begins_behind_it(tmp_path):
    black = np.zeros((10, 36, 64, 3), np.uint8)
    measured = measured_film(tmp_path, [still(1, 50), black, still(1, 50), black, still(2, 50)], 5.0)
    shots = [Shot(TimeSpan(a, b), "cut") for a, b in ((0, 10), (10, 12), (12, 22), (22, 24), (24, 34))]

    strengths = [b.strength for b in find_borders(measured, shots)]

    assert blacks(measured, shots) == [False, True, False, True, False]
    assert strengths[0] == strengths[2] == 0
    assert strengths[1] < 0.2 < 0.7 < strengths[3]


def test_no_border_without_two_shots(tmp_path):
    assert find_borders(Measured(FolderBlobs(tmp_path), "film", 9.0), [Shot(TimeSpan(0, 9), "start")]) == []


def test_the_storyboard_shows_what_eyes_tell_apart_each_once(tmp_path):
    measured, shots = seen(tmp_path, [0, 1, 0, 1, 2, 0, 3, 1])

    moments = choose_moments(measured, shots, 4)

    assert sorted([0, 1, 0, 1, 2, 0, 3, 1][int(t // 5)] for t in moments) == [0, 1, 2, 3]


def test_no_scene_gets_a_second_picture_before_every_scene_has_one(tmp_path):
    measured, shots = seen(tmp_path, [0, 1, 2, 3, 4, 5])
    scenes = [TimeSpan(0, 20), TimeSpan(20, 25), TimeSpan(25, 30)]

    assert [int(t >= 20) + int(t >= 25) for t in choose_moments(measured, shots, 3, scenes)] == [0, 1, 2]
    assert len(choose_moments(measured, shots, 2, scenes)) == 2
