"""Cuts, fades, dissolves and wipes, and what must not be taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.evaluation.edits import Edit, EditScore, draw_film, film_pictures, score_shots
from pipelines.findings import Shot
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.signals.tiny import tiny_at, walk_tiny
from pipelines.stores.folder import FolderBlobs
from tests.signals.scenery import dissolve, fade, measured_film, pan, still


def openings(measured) -> list[tuple[str, float]]:
    return [(shot.opened_by, round(shot.span.start_s, 3)) for shot in find_shots(measured)]


def test_cuts_lie_on_the_first_new_frame_and_shots_tile_the_film(tmp_path):
    measured = measured_film(tmp_path, [still(1, 40), pan(2, 61), still(3, 50)])

    shots = find_shots(measured)

    assert openings(measured) == [("start", 0), ("cut", 1.6), ("cut", 4.04)]
    assert [s.span.end_s for s in shots] == [1.6, 4.04, measured.duration_s]
    assert all(s.score > 0.9 for s in shots)


def test_a_cut_on_the_border_of_two_blocks_is_found_once(tmp_path):
    measured = measured_film(tmp_path, [still(1, 300), still(2, 300)], rate=5.0)

    assert openings(measured) == [("start", 0), ("cut", 60.0)]


def test_a_flash_a_pan_and_a_light_switched_on_are_no_cuts(tmp_path):
    flash = np.clip(still(4, 3) * 2.2 + 40, 0, 255).astype(np.uint8)
    brighter = np.clip(still(4, 60) * 1.4, 0, 255).astype(np.uint8)

    assert openings(measured_film(tmp_path / "a", [still(4, 60), flash, still(4, 60)])) == [("start", 0)]
    assert openings(measured_film(tmp_path / "b", [pan(5, 120, step_px=5)])) == [("start", 0)]
    assert openings(measured_film(tmp_path / "c", [still(4, 60), brighter])) == [("start", 0)]


def test_repeated_frames_do_not_hide_or_make_cuts(tmp_path):
    """24 pictures a second shown as 30: every fourth one twice."""
    film = np.concatenate([pan(6, 96, step_px=2), pan(7, 96, step_px=2)])
    shown = film[np.sort(np.concatenate([np.arange(len(film)), np.arange(3, len(film), 4)]))]

    assert openings(measured_film(tmp_path, [shown], rate=30.0)) == [("start", 0), ("cut", 4.0)]


def test_a_dissolve_is_found_where_it_is(tmp_path):
    parts = [still(8, 60), dissolve(still(8, 25), still(9, 25)), still(9, 60)]

    shots = find_shots(measured_film(tmp_path, parts))

    assert [s.opened_by for s in shots] == ["start", "dissolve"]
    assert shots[1].span.start_s == pytest.approx(2.9, abs=0.2)
    assert shots[1].transition is not None and shots[1].transition.overlap_s(TimeSpan(2.4, 3.4)) > 0.7


def test_a_fade_through_black_is_one_opening_and_a_dip_to_the_same_picture_none(tmp_path):
    apart = find_shots(measured_film(tmp_path / "a", [still(10, 60), fade(still(10, 15), still(11, 15)), still(11, 60)]))
    same = find_shots(measured_film(tmp_path / "b", [still(10, 60), fade(still(10, 15), still(10, 15)), still(10, 60)]))

    assert [(s.opened_by, round(s.span.start_s, 1)) for s in apart] == [("start", 0), ("fade", 3.0)]
    assert [s.opened_by for s in same] == ["start"]


def test_a_fade_out_at_the_end_opens_nothing(tmp_path):
    ending = (still(12, 25) * np.linspace(1, 0, 25)[:, None, None, None]).astype(np.uint8)

    assert openings(measured_film(tmp_path, [still(12, 60), ending])) == [("start", 0)]


def test_a_wipe_is_told_from_a_cut(tmp_path):
    before, after = still(13, 30), still(14, 30)
    wiped = np.stack([np.concatenate([after[0, :, : 2 * k + 2], before[0, :, 2 * k + 2 :]], axis=1) for k in range(30)])

    shots = find_shots(measured_film(tmp_path, [still(13, 60), wiped, still(14, 60)]))

    assert [s.opened_by for s in shots] == ["start", "wipe"]
    assert 2.4 <= shots[1].span.start_s <= 3.6


def test_no_pictures_no_shots_and_one_picture_one_shot(tmp_path):
    assert find_shots(Measured(FolderBlobs(tmp_path / "none"), "film", 12.0)) == ()
    assert openings(measured_film(tmp_path, [still(1, 1)])) == [("start", 0)]


def test_tiny_pictures_are_walked_with_a_margin_and_fetched_at_instants(tmp_path):
    measured = measured_film(tmp_path, [still(1, 300), still(2, 310)], rate=5.0)

    walked = [(own, lead, len(part)) for own, part, lead in walk_tiny(measured, 1.0)]
    at = tiny_at(measured, [0.0, 59.9, 60.0, 121.9, 500.0])

    assert walked == [(300, 0, 304), (300, 5, 309), (10, 5, 15)]
    assert np.array_equal(at[0], at[1]) and np.array_equal(at[2], at[4]) and not np.array_equal(at[1], at[2])


def test_a_drawn_film_says_where_its_edits_are():
    film = draw_film(3, "gradual", minutes=0.12)
    pictures = list(film_pictures(film))

    assert draw_film(3, "gradual", minutes=0.12).edits == film.edits
    assert len(pictures) == round(film.duration_s * film.frame_rate)
    for edit in film.edits:
        before, after = (int(t * film.frame_rate) for t in (edit.span.start_s - 0.1, edit.span.end_s + 0.1))
        assert np.abs(pictures[before].astype(int) - pictures[after]).mean() > 5


def test_the_score_counts_each_edit_once():
    edits = [Edit("cut", TimeSpan(2, 2.04)), Edit("dissolve", TimeSpan(5, 6)), Edit("cut", TimeSpan(9, 9.04))]
    found = [Shot(TimeSpan(0, 2.04), "start"), Shot(TimeSpan(2.04, 5.9)), Shot(TimeSpan(5.9, 7)), Shot(TimeSpan(7, 10))]

    cuts, gradual = score_shots(found, edits)

    assert cuts == EditScore(found=1, missed=1, invented=1)
    assert gradual == EditScore(found=1)
    assert (cuts + gradual).f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
