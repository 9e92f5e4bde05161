"""People and vehicles on one street: each kind of thing is judged by its own kind's speed and ways."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.tasks.anomalies_normal import Normal, habits
from pipelines.tasks.anomalies_tracks import EITHER, TALLER, WIDER, Track, Tracks
from tests.tasks.test_anomalies import judge


def passing(wide: float, tall: float, speed: float, start_s: float = 0.0, y: float = 50.0, leaps: bool = False) -> Track:
    """A box that crosses the picture from left to right. leaps: halfway it becomes a box of other proportions."""
    tracks = Tracks()
    for n in range(int(160 / speed * 5)):
        w, h = (tall, wide) if leaps and n * speed / 5 > 80 else (wide, tall)
        tracks.step(start_s + n / 5, np.array([[n * speed / 5, y, w, h, w * h]], np.float32))
    return tracks.active[0]


def test_people_are_tall_and_vehicles_wide_and_what_changes_may_be_either():
    assert passing(4, 10, 10).kind == TALLER
    assert passing(16, 8, 30).kind == WIDER
    assert passing(9, 9, 10).kind == EITHER
    assert passing(12, 9.9, 20, leaps=True).kind == EITHER


def test_a_box_cut_off_by_the_side_of_the_picture_tells_nothing_of_its_shape():
    tracks = Tracks()
    for n in range(5):  # a vehicle's front that comes in
        tracks.step(n / 5, np.array([[(n + 1) * 1.0, 50, (n + 1) * 2.0, 8, 16.0 * (n + 1)]], np.float32))

    assert tracks.active[0].kind == EITHER


def test_each_kind_has_its_own_speed_in_a_place_both_go_through():
    normal = Normal()
    for track, speed in ((passing(4, 10, 10), 10.0), (passing(16, 8, 30), 30.0)):
        track.path = [(10, c, speed, 0.0) for c in range(32)]
        for _ in range(12):
            normal.learn_track(track)

    known = habits(normal)

    assert np.exp(known.at(10, 16, TALLER).mean) == pytest.approx(10, rel=0.1)
    assert np.exp(known.at(10, 16, WIDER).mean) == pytest.approx(30, rel=0.1)


def test_few_people_who_all_went_one_way_do_not_make_the_other_wrong():
    normal = Normal()
    for wide, tall in ((4, 10), (16, 8)):
        track = passing(wide, tall, 20)
        track.path = [(10, c, 20.0, 0.0) for c in range(32)]
        for _ in range(5):
            normal.learn_track(track)
    known = habits(normal)
    back = 4  # of eight directions

    assert known.at(10, 16, TALLER).against(back, doubt=3.0) < 0.6
    assert known.at(10, 16, WIDER).against(back, doubt=1.0) > 1.0


def test_somebody_who_runs_where_cars_pass_as_fast_is_told():
    def street(picture: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        for start_s, speed in [*((k * 14.0, 11.0) for k in range(18)), (215.0, 34.0)]:
            x = int((time_s - start_s) * speed)
            if 0 <= x < 160:
                picture[44:56, x : x + 4] = 20
        return picture

    result = judge(street, seconds=240)

    assert [f.kind for f in result.findings] == ["fast"]
    assert result.findings[0].span.start_s == pytest.approx(215, abs=3)
