"""Probabilities of a trained detector become shots that tile the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.video import TimeSpan
from pipelines.series import Measured, Series, pack
from pipelines.signals.fades import Transition
from pipelines.signals.trained_cuts import trained_openings
from pipelines.stores.folder import FolderBlobs

FRAME_S = 0.04


def measured_with(cut: dict[int, float], part: dict[int, float], folder: Path, frames: int = 100) -> Measured:
    times = np.arange(frames) * FRAME_S
    values = np.zeros((2, frames), np.float32)
    for row, told in zip(values, (cut, part), strict=True):
        row[list(told)] = list(told.values())
    blobs = FolderBlobs(folder)
    blobs.put("c/000000.npz", pack({"cuts.cut": Series(times, values[0]), "cuts.transition": Series(times, values[1])}))
    return Measured(blobs, "m", frames * FRAME_S, cuts="c")


def test_a_cut_begins_the_shot_with_the_frame_after(tmp_path: Path) -> None:
    (found,) = trained_openings(measured_with({24: 0.9}, {24: 0.8, 25: 0.6}, tmp_path), [])

    assert (found.kind, found.at_s, round(found.quality, 3)) == ("cut", 1.0, 0.9)


def test_a_long_change_is_gradual_and_begins_in_its_middle(tmp_path: Path) -> None:
    long = dict.fromkeys(range(50, 60), 0.9)
    (dissolve,) = trained_openings(measured_with({55: 0.7}, long, tmp_path / "a"), [])
    (fade,) = trained_openings(measured_with({55: 0.7}, long, tmp_path / "b"), [Transition("fade", TimeSpan(1.9, 2.5), 2.2)])

    assert (dissolve.kind, dissolve.span, dissolve.at_s) == ("dissolve", TimeSpan(2.0, 2.4), 2.2)
    assert fade.kind == "fade"


def test_movement_that_ends_no_shot_is_none(tmp_path: Path) -> None:
    assert trained_openings(measured_with({30: 0.4}, dict.fromkeys(range(28, 40), 0.9), tmp_path), []) == []
    assert trained_openings(measured_with({}, {}, tmp_path / "none"), []) == []


def test_a_cut_on_the_last_frame_begins_nothing_beyond_the_end(tmp_path: Path) -> None:
    (found,) = trained_openings(measured_with({99: 0.9}, {}, tmp_path), [])

    assert found.at_s == 4.0  # `find_shots` leaves out what is nearer to the end than a shot may be
