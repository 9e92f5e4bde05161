"""Listening around chosen moments: which stretches, on which clock, and only once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.video import TimeSpan
from pipelines.listening import listen, merged, with_voice
from pipelines.series import Measured, Series, pack
from pipelines.signals.speech import STEP_S
from pipelines.stores.folder import FolderBlobs
from tests.soundtracks import busy, write


def test_windows_are_apart_in_order_and_inside_the_film() -> None:
    windows = [TimeSpan(8, 12), TimeSpan(1, 3), TimeSpan(3.5, 5), TimeSpan(19, 30), TimeSpan(31, 32)]

    assert merged(windows, 20.0) == [TimeSpan(1, 5), TimeSpan(8, 12), TimeSpan(19, 20)]


def test_every_step_of_the_windows_is_heard_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", [(0, busy(12, 1, 16_000))], 16_000)

    voice = listen(path, [TimeSpan(0, 1), TimeSpan(6, 8), TimeSpan(40, 41)])

    assert np.all((voice.times_s < 1) | ((voice.times_s >= 6) & (voice.times_s < 8)))
    assert len(voice) == pytest.approx(3 / STEP_S, abs=2)
    assert np.all((voice.values >= 0) & (voice.values < 0.35))  # chords are no voice


def test_what_was_heard_is_kept(tmp_path: Path) -> None:
    path, blobs = write(tmp_path / "a.wav", [(0, busy(5, 1, 16_000))], 16_000), FolderBlobs(tmp_path / "store")
    blobs.put("film/000000.npz", pack({"sound.level": Series(np.arange(0.05, 5, 0.1), np.full(50, -20.0))}))
    measured = Measured(blobs, "film", 5.0)

    heard = with_voice(path, measured, [TimeSpan(1, 2)], blobs)
    path.unlink()
    again = with_voice(path, measured, [TimeSpan(1, 2)], blobs)

    assert heard.voice is not None and again.voice is not None
    np.testing.assert_array_equal(again.voice.values, heard.voice.values)


def test_a_file_that_is_gone_costs_the_voice_and_says_so(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "store")
    blobs.put("film/000000.npz", pack({"sound.level": Series(np.arange(0.05, 5, 0.1), np.full(50, -20.0))}))

    deaf = with_voice(tmp_path / "gone.wav", Measured(blobs, "film", 5.0), [TimeSpan(1, 2)], blobs)

    assert deaf.voice is None
    assert deaf.lost[0].startswith("nobody could listen for speech between scenes: ")
