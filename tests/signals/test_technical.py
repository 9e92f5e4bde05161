"""Black, freezes, bars, tones, slates, framing and timecode, from series made by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.media import probe
from pipelines.series import Measured, Series, pack
from pipelines.signals.technical import BAR_COLOURS, Timecode, find_technical, shows_bars, timecode_of
from pipelines.stores.folder import FolderBlobs
from tests.signals.scenery import measured_film, pan, still


def bar_picture(count: int, inset: int = 0) -> np.ndarray:
    """(18, 32, 3) `count` colour bars between black sides `inset` wide."""
    picture = np.zeros((18, 32, 3), np.uint8)
    edges = np.linspace(inset, 32 - inset, count + 1).round().astype(int)
    for colour, a, b in zip(BAR_COLOURS, edges[:-1], edges[1:], strict=False):
        picture[:, a:b] = np.array(colour) * 191
    return picture


def measured_of(folder: Path, duration_s: float, facts: dict | None = None, **series: Series) -> Measured:
    blobs = FolderBlobs(folder)
    blobs.put("film/000000.npz", pack({name.replace("_", ".", 1): one for name, one in series.items()}))
    return Measured(blobs, "film", duration_s, facts=facts or {})


def constant(value: float, count: int, rate: float) -> Series:
    return Series(np.arange(count) / rate, np.full(count, value, np.float32))


def test_black_and_stillness_are_told_apart(tmp_path):
    measured = measured_film(tmp_path, [pan(1, 50), np.zeros((25, 36, 64, 3), np.uint8), pan(2, 50), still(3, 80)])

    found = [(t.kind, round(t.span.start_s, 2), round(t.span.end_s, 2)) for t in find_technical(measured)]

    assert found == [("black", 2.0, 3.0), ("freeze", 5.04, 8.2)]


@pytest.mark.parametrize(("count", "inset"), [(7, 0), (8, 0), (7, 4)])
def test_colour_bars_are_known_by_their_order(count, inset):
    assert shows_bars(bar_picture(count, inset))
    assert not shows_bars(bar_picture(count, inset)[:, ::-1])
    assert not shows_bars(np.full((18, 32, 3), 128, np.uint8))


def test_bars_with_a_tone_and_the_slate_after_them(tmp_path):
    colour = np.stack([bar_picture(7)] * 20 + [np.full((18, 32, 3), 90, np.uint8)] * 20)
    still_s = Series(np.arange(200) / 10, np.where(np.arange(200) < 150, 0.0, 5.0).astype(np.float32))
    text = Series(np.arange(20.0), np.where(np.arange(20) < 10, 0, 0.1).astype(np.float32))
    pictures = {"frame_change": still_s, "frame_peak": still_s, "frame_spread": constant(40, 200, 10), "frame_black": constant(0, 200, 10)}
    sound = {"sound_tone": constant(0.99, 50, 5), "sound_tone_hz": constant(1000, 50, 5), "sound_level": constant(-18, 100, 10)}
    measured = measured_of(tmp_path, 20.0, colour=Series(np.arange(40) / 2, colour), detail_text=text, **pictures, **sound)

    found = {t.kind: t for t in find_technical(measured)}

    assert (found["bars"].span.start_s, found["bars"].span.end_s) == (0.0, 10.0)
    assert found["tone"].detail == "test tone of 1000 Hz"
    assert found["tone"].span.end_s == pytest.approx(9.9)
    assert "freeze" not in found


def test_a_letterboxed_part_is_framed_from_its_first_to_its_last_second(tmp_path):
    bars = np.zeros((60, 4), np.float32)
    bars[20:40, 2:] = 0.12
    measured = measured_of(tmp_path, 60.0, detail_bars=Series(np.arange(60.0), bars), frame_luma=constant(100, 60, 1))

    (framing,) = find_technical(measured)

    assert framing.kind == "letterbox"
    assert (framing.span.start_s, framing.span.end_s) == pytest.approx((22, 38), abs=2.1)


def test_drop_frame_timecode_keeps_to_the_clock():
    code = Timecode(0, 59, 59, 29, True, Fraction(30_000, 1001))

    assert code.at(0) == "00:59:59;29"
    assert code.at(1001 / 30_000) == "01:00:00;00"  # nothing is dropped in a tenth minute
    assert Timecode(1, 0, 0, 0, True, Fraction(30_000, 1001)).at(60.06) == "01:01:00;02"
    assert Timecode(10, 0, 0, 0, False, Fraction(25)).at(3661.04) == "11:01:01:01"


def test_the_timecode_track_of_a_film_is_found(tmp_path):
    path = tmp_path / "tape.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["timecode"] = "10:00:00:12"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())

    assert probe(path).timecode == "10:00:00:12"


def test_a_timecode_is_read_from_the_facts_and_nonsense_is_none(tmp_path):
    told = {"timecode": "10:00:00:12", "frame_rate": "25"}

    assert timecode_of(Measured(FolderBlobs(tmp_path), "film", 1.0, facts=told)) == Timecode(10, 0, 0, 12, False, Fraction(25))
    assert timecode_of(Measured(FolderBlobs(tmp_path), "film", 1.0, facts={"timecode": "soon", "frame_rate": "25"})) is None
    assert timecode_of(Measured(FolderBlobs(tmp_path), "film", 1.0)) is None
