"""Slots for breaks: where they go, where they must not, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.findings import Shot, Status
from pipelines.series import Missing, Series, pack, unpack
from pipelines.signals.speech import STEP_S
from pipelines.tasks.slots import SlotSettings, choose, find_slots, judged_places, places_to_hear
from tests.signals.scenery import measured_film, still

RATE = 5.0
EASY = SlotSettings(skip_first_s=10, skip_last_s=10, least_apart_s=30, per_hour=200, least_film_s=60)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three scenes of 40 s, shot and reverse shot of 5 s; a black of 1 s parts the first two. Sound all along, silent in the black."""
    black = np.zeros((5, 36, 64, 3), np.uint8)
    scenes = [[still(10 * scene + k % 2, 25) for k in range(8)] for scene in (1, 2, 3)]
    measured = measured_film(tmp_path_factory.mktemp("film"), [*scenes[0], black, *scenes[1], *scenes[2]], RATE)
    times = np.arange(0.05, measured.duration_s, 0.1)
    level = np.where((times > 40) & (times < 41), -90.0, -25.0)
    for block in range(3):
        own = Series(times, level).within(60.0 * block, 60.0 * block + 60)
        key = f"film/{block:06d}.npz"
        measured.blobs.put(key, pack(unpack(measured.blobs.get(key)) | {"sound.level": own}))
    return measured


@pytest.fixture(scope="module")
def shots():
    edges = [*range(0, 41, 5), *range(41, 122, 5)]
    return [Shot(TimeSpan(a, b), "cut") for a, b in pairwise(edges)]


def heard(film, *speech):
    """`film` listened to from end to end; somebody speaks within `speech`."""
    times = np.arange(STEP_S / 2, film.duration_s, STEP_S)
    values = np.zeros(len(times), np.float32)
    for start_s, end_s in speech:
        values[(times >= start_s) & (times < end_s)] = 0.9
    return replace(film, voice=Series(times, values), _joined={})


def test_slots_lie_where_scenes_end_in_the_black_or_on_the_cut(film, shots):
    result = find_slots(heard(film), shots, EASY)

    first, second = result.findings
    assert (first.span.start_s, first.span.end_s) == (40.0, 41.0) and first.data["at_s"] in (40.4, 40.6)
    assert (second.span.start_s, second.data["at_s"]) == (81.0, 81.0)
    assert (first.data["rank"], second.data["rank"]) == (1, 2) and first.score > second.score > 0.5
    assert first.data["tick"] == round(first.data["at_s"] * RATE)
    assert {cue.name for cue in first.evidence} == {"change", "contrast", "black", "silence", "speech"}
    assert result.status is Status.OK and result.reason == "Judged without trained eyes."


def test_never_in_speech(film, shots):
    talk = heard(film, (35.0, 45.0), (78.0, 81.1))

    result = find_slots(talk, shots, EASY)

    assert result.status is Status.EMPTY and not result.findings
    assert "3 in speech" in result.reason and "where no scene ends clearly" in result.reason


def test_in_a_black_the_instant_furthest_from_speech_is_taken(film, shots):
    (slot, _) = find_slots(heard(film, (36.0, 40.3)), shots, EASY).findings

    assert slot.data["at_s"] == 41.0
    assert slot.data["clear_of_speech_s"] == pytest.approx(0.7, abs=0.05)


def test_subtitles_and_transcripts_are_speech_too(film, shots):
    written = replace(heard(film), subtitles=((TimeSpan(80, 83), "Wait!"),), _joined={})

    assert [f.data["rank"] for f in find_slots(written, shots, EASY).findings] == [1]


def test_without_a_voice_detector_only_a_silence_is_sure(film, shots):
    result = find_slots(film, shots, EASY)

    assert [f.span.start_s for f in result.findings] == [40.0]
    assert result.reason == "Judged without a voice detector, trained eyes."


def test_ads_edges_of_the_film_and_damage_are_avoided(film, shots):
    here = heard(film)

    assert [f.span.start_s for f in find_slots(here, shots, EASY, [TimeSpan(20, 25)]).findings] == [81.0]
    assert [f.span.start_s for f in find_slots(here, shots, replace(EASY, skip_last_s=60)).findings] == [40.0, 81.0]  # a tenth at most
    damaged = find_slots(replace(here, missing=(Missing(80.5, 81.5, "damaged"),), _joined={}), shots, EASY)
    assert [f.span.start_s for f in damaged.findings] == [40.0] and damaged.status is Status.DEGRADED


def test_slots_keep_apart_and_are_as_many_as_an_hour_allows(film, shots):
    places = judged_places(heard(film), shots, EASY)

    assert [p.at_s for p in choose(places, 121, replace(EASY, least_apart_s=50))] == [40.4]
    assert len(choose(places, 121, replace(EASY, per_hour=29))) == 1


def test_a_weaker_place_will_do_where_a_break_is_overdue(film, shots):
    places = judged_places(heard(film), shots, EASY)
    demanding = replace(EASY, least_score=0.999)

    assert choose(places, 121, replace(demanding, most_apart_s=200)) == []
    assert [p.at_s for p in choose(places, 121, replace(demanding, most_apart_s=60, least_overdue=0.5))] == [40.4, 81.0]


def test_a_montage_has_no_scene_end(tmp_path):
    measured = measured_film(tmp_path, [still(k, 5) for k in range(130)], RATE)
    shots = [Shot(TimeSpan(k, k + 1), "cut") for k in range(130)]

    result = find_slots(measured, shots, EASY)

    assert result.status is Status.EMPTY
    assert result.reason.startswith("No good place among 129 borders between shots") and "Judged without sound" in result.reason


def test_nothing_to_cut_is_said(film):
    whole = [Shot(TimeSpan(0, 121), "start")]

    assert find_slots(film, whole, EASY).reason.startswith("The picture is never cut")
    assert find_slots(film, shots, SlotSettings(least_film_s=130)).reason.startswith("With 121 s the video is too short for a break.")


def test_listening_is_asked_for_around_the_likeliest_places(film, shots):
    windows = places_to_hear(film, shots, EASY)

    assert TimeSpan(38.0, 43.0) in windows
    assert all(window.duration_s < 6 for window in windows)
