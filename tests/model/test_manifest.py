"""What a memory says of itself. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from model.systems.manifest import Manifest, MemoryMismatch, Recipe, UnreadableMemory
from model.video import TimeSpan

RECIPE = Recipe(
    video_id="ab" * 32, sampling="1 fps", preprocessing="clip 1", prompt_ids=(1, 2, 3), ratios="16", weights="cd" * 32, dtype="float32"
)  # fmt: skip


def manifest(**changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "recipe": RECIPE, "tokens_per_frame": 4, "times_s": np.array([0.0, 1.02, 2.0]), "ticks": np.array([0, 1020, 2000]),
        "duration_s": 3.5, "window": 8,
    }  # fmt: skip
    return Manifest(**(given | changes))


def told(**changes: Any) -> Any:
    return json.loads(json.dumps(manifest().to_json())) | changes


OTHERS = {
    "system": "longvlm", "video_id": "ef" * 32, "sampling": "2 fps", "preprocessing": "clip 2", "prompt_ids": (1, 2, 4), "ratios": "8",
    "weights": "01" * 32, "dtype": "bfloat16", "look_back": "8 windows", "format_version": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_every_part_of_a_recipe_makes_another_memory_and_is_named(name: str) -> None:
    other = replace(RECIPE, **{name: OTHERS[name]})

    assert other.key != RECIPE.key
    assert len(RECIPE.differences(other)) == 1


def test_a_key_is_a_whole_digest_and_the_same_tomorrow() -> None:
    told = (
        '{"dtype":"float32","format_version":1,"look_back":"all windows","preprocessing":"clip 1","prompt_ids":[1,2,3],"ratios":"16",'
        f'"sampling":"1 fps","system":"video-xl","video_id":"{"ab" * 32}","weights":"{"cd" * 32}"}}'
    )

    assert RECIPE.key == sha256(told.encode()).hexdigest()


def test_differences_are_told_in_words() -> None:
    asked = replace(RECIPE, sampling="2 fps", video_id="ef" * 32, prompt_ids=(1, 2))

    assert RECIPE.differences(asked) == [
        "it is of the video abababababab…, the video asked about is efefefefefef…",
        "it was made with 1 fps, 2 fps was asked",
        "it was made behind another prompt (3 tokens, 2 were asked, and they differ)",
    ]
    assert "1 fps, 2 fps was asked" in str(MemoryMismatch(RECIPE, asked))
    assert RECIPE.differences(RECIPE) == []


def test_ids_that_only_look_alike_are_not_joined() -> None:
    assert replace(RECIPE, prompt_ids=(12, 3)).key != replace(RECIPE, prompt_ids=(1, 23)).key


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [(0, 4, (0.0, 1.02)), (0, 8, (0.0, 2.0)), (3, 5, (0.0, 2.0)), (8, 12, (2.0, 3.5)), (7, 8, (1.02, 2.0))],
)
def test_tokens_stand_for_the_seconds_of_their_frames(start: int, end: int, span: tuple[float, float]) -> None:
    assert manifest().span(start, end) == TimeSpan(*span)


def test_the_last_frame_of_a_stream_counts_as_long_as_the_one_before() -> None:
    assert manifest(duration_s=None).span(8, 12) == TimeSpan(2.0, 2.98)
    assert manifest(duration_s=1.5).span(8, 12) == TimeSpan(2.0, 2.98)  # the file's head may lie


def test_frames_shown_twice_and_before_the_start_still_have_a_span() -> None:
    twice = manifest(times_s=np.array([-0.02, 1.0, 1.0]))
    alone = manifest(times_s=np.array([7.0]), ticks=np.array([7]), duration_s=None)

    assert twice.span(0, 4) == TimeSpan(0.0, 1.0)
    assert twice.span(4, 8) == twice.span(8, 12) == TimeSpan(1.0, 3.5)
    assert alone.span(0, 4).start_s == 7.0 and alone.covered_s < 1e-9


def test_coverage_is_what_the_frames_stand_for() -> None:
    assert manifest().covered_s == 3.5
    assert manifest(times_s=np.empty(0), ticks=np.empty(0, np.int64)).covered_s == 0


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (4, 4), (0, 13)])
def test_tokens_that_were_not_watched_have_no_span(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="3 frames"):
        manifest().span(start, end)


def test_a_manifest_comes_back_from_text_as_it_was() -> None:
    back = Manifest.from_json(told())

    assert back.recipe == RECIPE and back.recipe.key == RECIPE.key
    assert back.times_s.tolist() == [0.0, 1.02, 2.0] and back.times_s.dtype == np.float64
    assert back.ticks.tolist() == [0, 1020, 2000] and back.ticks.dtype == np.int64
    assert (back.duration_s, back.is_complete, back.bits, back.window, back.tokens_per_frame) == (3.5, False, 32, 8, 4)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "not a table"),
        ({}, "recipe of the memory is not a table"),
        (told(recipe=told()["recipe"] | {"format_version": 2}), "format version 2, this Longtake reads version 1"),
        (told(recipe=told()["recipe"] | {"prompt_ids": [1, "2"]}), "prompt_ids"),
        (told(recipe=told()["recipe"] | {"prompt_ids": [True]}), "prompt_ids"),
        (told(recipe=told()["recipe"] | {"weights": 3}), "weights"),
        (told(surprise=1), "surprise"),
        (told(times_s=[0.0, 1.0]), "agree in number"),
        (told(times_s=[0.0, 2.0, 1.0]), "in the order"),
        (told(times_s=[0.0, 1.0, float("nan")]), "has a time"),
        (told(times_s=[0.0, 1.0, 10**400]), "contradicts itself"),
        (told(times_s="012"), "times_s"),
        (told(ticks=[0, 1, 2**63]), "beyond 64 bits"),
        (told(tokens_per_frame=0), "1 token or more"),
        (told(bits=7), "32, 16, 8, 4 bits"),
        (told(duration_s=-1), "0 seconds or more"),
        (told(is_complete=1), "is_complete"),
        (told(key_loss=-1.0), "loss is 0 or more"),
    ],
)
def test_what_is_no_manifest_is_refused_by_a_sentence(found: Any, reason: str) -> None:
    with pytest.raises(UnreadableMemory, match=reason):
        Manifest.from_json(found)
