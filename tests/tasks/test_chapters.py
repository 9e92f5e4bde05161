"""Scenes, chapters, key moments and the shots task."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.findings import Shot, Status
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.chapters import ChapterSettings, find_chapters, usual_length_s
from pipelines.tasks.key_moments import choose_moments, storyboard_size
from pipelines.tasks.scenes import Border, GroupSettings, find_borders, group
from pipelines.tasks.shots import list_shots
from tests.signals.scenery import measured_film, still

RATE = 5.0


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory):
    """Two scenes of 40 s: shot and reverse shot of one pair of places, then of another."""
    parts = [still(1 + k % 2, 20) for k in range(10)] + [still(23 + k % 2, 20) for k in range(10)]
    return measured_film(tmp_path_factory.mktemp("dialogue"), parts, RATE)


def test_shot_and_reverse_shot_stay_one_scene(dialogue):
    shots = find_shots(dialogue)
    borders = find_borders(dialogue, shots)

    assert len(shots) == 20
    assert max(borders, key=lambda b: b.strength).at_s == pytest.approx(40.0)
    assert [b.at_s for b in group(borders, dialogue.duration_s)] == pytest.approx([40.0])


def test_chapters_tile_the_film_and_begin_where_shots_do(dialogue):
    shots = find_shots(dialogue)

    result = find_chapters(dialogue, shots, ChapterSettings(usual_s=40))

    assert [(f.span.start_s, f.span.end_s, f.label) for f in result.findings] == [(0, 40, "Chapter 1"), (40, 80, "Chapter 2")]
    assert result.status is Status.OK
    assert result.reason == "judged without subtitles and sound"
    assert {c.name for c in result.findings[1].evidence} == {"pictures"}


def test_titles_are_words_that_only_this_chapter_says(dialogue):
    spoken = [(TimeSpan(t, t + 2), "The lighthouse keeper guards the lighthouse") for t in range(2, 38, 5)]
    spoken += [(TimeSpan(t, t + 2), "We sail the harbour, the old harbour") for t in range(42, 78, 5)]
    told = replace(dialogue, subtitles=tuple(spoken))

    first, second = find_chapters(told, find_shots(dialogue), ChapterSettings(usual_s=40)).findings

    assert "lighthouse" in first.label.lower() and "harbour" not in first.label.lower()
    assert "harbour" in second.label.lower()
    assert first.data["title_from"] == "subtitles"


def test_the_files_own_chapters_go_first(dialogue):
    named = replace(dialogue, facts={"chapters": [[0.0, 30.0, "Start"], [30.0, 90.0, ""]]})

    result = find_chapters(named, find_shots(dialogue))

    assert [(f.label, f.span.end_s, f.kind) for f in result.findings] == [("Start", 30, "file_chapter"), ("Chapter 2", 80, "file_chapter")]


def test_one_shot_is_one_chapter_and_no_picture_none(tmp_path):
    still_film = measured_film(tmp_path, [still(5, 200)], RATE)

    (chapter,) = find_chapters(still_film, find_shots(still_film)).findings

    assert (chapter.span.start_s, chapter.span.end_s, chapter.score) == (0, 40, 1)
    assert find_chapters(Measured(FolderBlobs(tmp_path / "no"), "film", 9.0), ()).status is Status.EMPTY


def test_groups_keep_to_their_limits():
    borders = [Border(float(t), 0.9) for t in range(5, 300, 5)]

    chosen = [0.0, *(b.at_s for b in group(borders, 300.0, GroupSettings(least_s=20, most_s=60, usual_s=40))), 300.0]

    assert all(20 <= b - a <= 60 for a, b in pairwise(chosen))
    assert group([Border(50.0, 0.1)], 100.0) == []


def test_chapters_grow_with_the_film():
    assert [round(usual_length_s(s)) for s in (5, 60, 600, 3600, 7200)] == [20, 43, 135, 330, 467]
    assert [storyboard_size(s) for s in (5, 60, 600, 3600, 36_000)] == [3, 6, 15, 33, 60]


def test_moments_show_every_place_once_and_nothing_black(tmp_path):
    black = np.zeros((50, 36, 64, 3), np.uint8)
    measured = measured_film(tmp_path, [still(1, 50), black, still(2, 50), still(3, 50), black], RATE)
    shots = [Shot(TimeSpan(a, a + 10), "cut") for a in range(0, 50, 10)]

    moments = choose_moments(measured, shots, 3)

    assert [int(t // 10) for t in moments] == [0, 2, 3]
    assert choose_moments(measured_film(tmp_path / "dark", [black], RATE), [], 3) == []


def test_every_shot_is_a_finding_with_how_it_opens(dialogue):
    result = list_shots(dialogue, find_shots(dialogue))

    assert len(result.findings) == 20
    assert result.findings[0].kind == "start" and result.findings[1].kind == "cut"
    assert result.findings[1].label == "Shot 2" and result.findings[1].score > 0.9
    assert result.data["timecode"] is None
    assert list_shots(dialogue, ()).status is Status.EMPTY


def test_moments_lie_in_the_shots_that_are_given(tmp_path):
    measured = measured_film(tmp_path, [still(1, 50), still(2, 50), still(3, 50)], RATE)
    without_ad = [Shot(TimeSpan(0, 10), "start"), Shot(TimeSpan(20, 30), "cut")]

    assert {int(t // 10) for t in choose_moments(measured, without_ad, 3)} == {0, 2}
