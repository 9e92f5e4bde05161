"""Known spots over made-up measurements: what is heard and seen is laid down directly, so that every change is exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ, TimeSpan
from pipelines.interfaces import WrongRequest
from pipelines.series import BLOCK_S, Measured, Series, pack
from pipelines.signals.fingerprint import WORD_S, words_of
from pipelines.signals.sound import short_spectra
from pipelines.spots import Spot, alike, known_airings, spot_of
from pipelines.spots_prints import pack_print, print_of, unpack_print
from pipelines.spots_suggest import unknown_repeats
from pipelines.stores.folder import FolderBlobs
from tests.soundtracks import busy

FPS = 25
SPOT_S = 8.0
Pictures = NDArray[np.uint8]


def pictures(seconds: float, seed: int, fps: int = FPS) -> Pictures:
    """(n, 3, 9, 16) shots of about a second, each a smooth picture that drifts."""
    rng = np.random.default_rng(seed)
    out = np.zeros((round(seconds * fps), 3, 9, 16), np.uint8)
    at = 0
    while at < len(out):
        count = int(rng.integers(fps // 2, 2 * fps))
        coarse = rng.uniform(30, 220, (3, 3, 5))
        shot = np.kron(coarse, np.ones((3, 4)))[:, :, :16]
        shot[1:] = 128 + (shot[1:] - 128) / 4
        drift = np.linspace(0, 6, count)[:, None, None, None]
        out[at : at + count] = np.clip(shot[None] + drift, 0, 255)[: len(out) - at]
        at += count
    return out


def sound(seconds: float, seed: int) -> NDArray[np.float32]:
    return busy(seconds, seed, SOUND_RATE_HZ)[0]


def faster(wave: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Played `speed` times as fast, pitch and all."""
    return np.interp(np.arange(0, len(wave) - 1, speed), np.arange(len(wave)), wave).astype(np.float32)


def measured(folder: Path, wave: NDArray[np.float32] | None, frames: Pictures | None, fps: int = FPS) -> Measured:
    """Series as measuring would have left them."""
    blobs = FolderBlobs(folder)
    length_s = len(frames) / fps if frames is not None else len(wave) / SOUND_RATE_HZ if wave is not None else 0.0
    words = words_of(short_spectra(wave[: len(wave) // 640 * 640])) if wave is not None else np.zeros(0, np.uint32)
    heard = Series((np.arange(len(words)) + 0.5) * WORD_S, words)
    shown = Series(np.arange(len(frames)) / fps, frames) if frames is not None else Series(np.zeros(0), np.zeros((0, 3, 9, 16), np.uint8))
    for block in range(int(np.ceil(length_s / BLOCK_S)) or 1):
        span = block * BLOCK_S, (block + 1) * BLOCK_S
        blobs.put(f"v/{block:06d}.npz", pack({"sound.fingerprint": heard.within(*span), "frame.tiny": shown.within(*span)}))
    return Measured(blobs, "v", length_s)


@pytest.fixture
def spot(tmp_path: Path) -> Spot:
    return spot_of(measured(tmp_path / "spot", sound(SPOT_S, 1), pictures(SPOT_S, 1)), "fizz", advertiser="Fizz")


def around(middle: NDArray[np.generic], before: NDArray[np.generic], after: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.concatenate([before, middle, after])


def aired(folder: Path, *, wave: NDArray[np.float32] | None = None, frames: Pictures | None = None) -> Measured:
    """Twenty seconds of something else, the spot as given, ten seconds of something else."""
    heard = around(wave, sound(20, 8), sound(10, 9)) if wave is not None else None
    return measured(folder, heard, around(frames, pictures(20, 8), pictures(10, 9)) if frames is not None else None)


def test_an_airing_is_found_on_its_very_frames(tmp_path: Path, spot: Spot):
    film = aired(tmp_path / "film", wave=0.3 * sound(SPOT_S, 1), frames=pictures(SPOT_S, 1))

    (airing,) = known_airings(film, [spot])

    assert (airing.spot.name, airing.span) == ("fizz", TimeSpan(20.0, 28.0))
    assert airing.score > 0.99
    assert airing.share == 1.0
    assert [cue.name for cue in airing.evidence] == ["sound", "picture"]


@pytest.mark.parametrize("speed", [0.98, 0.99, 1.01, 1.02])
def test_an_airing_at_another_speed_is_found_with_its_speed(tmp_path: Path, spot: Spot, speed: float):
    count = round(SPOT_S / speed * FPS)
    frames = pictures(SPOT_S, 1)[np.minimum((np.arange(count) * speed).astype(int), round(SPOT_S * FPS) - 1)]
    film = aired(tmp_path / "film", wave=faster(sound(SPOT_S, 1), speed)[: count * SOUND_RATE_HZ // FPS], frames=frames)

    (airing,) = known_airings(film, [spot])

    assert (airing.span.start_s, airing.span.end_s) == (20.0, pytest.approx(20 + count / FPS, abs=0.001))
    assert 1 / airing.rate == pytest.approx(speed, abs=0.004)


def test_sound_alone_is_enough_and_so_are_pictures_under_a_logo(tmp_path: Path, spot: Spot):
    marked = pictures(SPOT_S, 1)
    marked[:, 0, :3, :4] = 235

    heard = known_airings(aired(tmp_path / "heard", wave=sound(SPOT_S, 1)), [spot])
    seen = known_airings(aired(tmp_path / "seen", frames=marked), [spot])

    assert [(round(a.span.start_s, 1), round(a.span.end_s, 1)) for a in heard] == [(20.0, 28.0)]
    assert [a.span for a in seen] == [TimeSpan(20.0, 28.0)]
    assert "none to compare" in seen[0].reason
    assert "none to compare" in heard[0].reason


def test_two_airings_in_one_film_are_two_rows_and_other_material_none(tmp_path: Path, spot: Spot):
    one = aired(tmp_path / "film", wave=sound(SPOT_S, 1), frames=pictures(SPOT_S, 1))
    twice = around(sound(SPOT_S, 1), sound(70, 5), sound(SPOT_S, 1)), around(pictures(SPOT_S, 1), pictures(70, 5), pictures(SPOT_S, 1))
    other = spot_of(measured(tmp_path / "other", sound(SPOT_S, 2), pictures(SPOT_S, 2)), "other")

    assert [a.spot.name for a in known_airings(one, [other, spot])] == ["fizz"]
    spans = [a.span for a in known_airings(measured(tmp_path / "twice", *twice), [other, spot])]
    assert [(s.start_s, s.end_s) for s in spans] == [(70.0, 78.0), (78.0, 86.0)]
    assert known_airings(aired(tmp_path / "none", wave=sound(6, 4), frames=pictures(6, 4)), [spot]) == ()


def test_a_shorter_cut_of_a_spot_is_its_own_spot(tmp_path: Path, spot: Spot):
    short = spot_of(measured(tmp_path / "short", sound(SPOT_S, 1), pictures(SPOT_S, 1)), "short", TimeSpan(0, 4.0))
    cut = sound(SPOT_S, 1)[: 4 * SOUND_RATE_HZ], pictures(SPOT_S, 1)[: 4 * FPS]

    whole = known_airings(aired(tmp_path / "whole", wave=sound(SPOT_S, 1), frames=pictures(SPOT_S, 1)), [short, spot])
    part = known_airings(aired(tmp_path / "part", wave=cut[0], frames=cut[1]), [short, spot])

    assert ([a.spot.name for a in whole], [a.spot.name for a in part]) == (["fizz"], ["short"])
    assert alike(short, [spot]) is None


def test_a_still_silent_picture_is_no_airing_where_the_film_stands_still_as_well(tmp_path: Path):
    still = np.repeat(pictures(1, 3)[:1], 8 * FPS, axis=0)
    card = spot_of(measured(tmp_path / "card", None, still), "card")
    street = np.repeat(pictures(1, 3)[:1], 60 * FPS, axis=0)

    bounded = known_airings(aired(tmp_path / "film", frames=still), [card])

    assert known_airings(measured(tmp_path / "street", None, street), [card]) == ()
    assert [a.span for a in bounded] == [TimeSpan(20.0, 28.0)]
    assert 0.5 < bounded[0].score < 0.9


def test_a_spot_longer_than_the_film_is_not_on_air_there(tmp_path: Path, spot: Spot):
    assert known_airings(measured(tmp_path / "tiny", sound(2, 1), pictures(2, 1)), [spot]) == ()
    assert known_airings(measured(tmp_path / "nothing", None, pictures(0.1, 1)), [spot]) == ()
    assert known_airings(aired(tmp_path / "film", wave=sound(6, 4)), []) == ()


@pytest.mark.parametrize(
    ("wave", "frames", "said"),
    [
        (sound(2, 1), pictures(2, 1), "too short"),
        (np.zeros(8 * SOUND_RATE_HZ, np.float32), np.zeros((8 * FPS, 3, 9, 16), np.uint8), "neither sound nor pictures"),
        (np.zeros(8 * SOUND_RATE_HZ, np.float32), None, "neither sound nor pictures"),
        (None, np.full((8 * FPS, 3, 9, 16), 128, np.uint8), "neither sound nor pictures"),
    ],
    ids=["2 s", "black and silent", "silence alone", "grey"],
)
def test_what_cannot_be_recognised_again_is_refused_with_the_reason(tmp_path: Path, wave: object, frames: object, said: str):
    with pytest.raises(WrongRequest, match=said):
        spot_of(measured(tmp_path, wave, frames), "nothing")  # type: ignore[arg-type]


def test_a_span_behind_the_end_is_refused(tmp_path: Path):
    with pytest.raises(WrongRequest, match=r"ends at 8\.00 s"):
        spot_of(measured(tmp_path, None, pictures(8, 1)), "late", TimeSpan(9, 20))


def test_the_same_spot_in_other_bytes_is_known_already(tmp_path: Path, spot: Spot):
    noisy = np.clip(pictures(SPOT_S, 1).astype(int) + 3, 0, 255).astype(np.uint8)
    again = spot_of(measured(tmp_path / "again", 0.5 * sound(SPOT_S, 1), noisy), "again")
    new = spot_of(measured(tmp_path / "new", sound(SPOT_S, 2), pictures(SPOT_S, 2)), "new")

    assert again.id != spot.id
    assert alike(again, [new, spot]) == spot
    assert alike(replace(new, name="n"), [spot]) is None


def test_a_fingerprint_comes_back_from_its_bytes_as_it_was(spot: Spot):
    back = unpack_print(pack_print(spot.print), spot.length_s)

    assert (back.words == spot.print.words).all()
    assert (back.pictures.values == spot.print.pictures.values).all()
    assert (back.words_at_s, back.length_s) == (spot.print.words_at_s, 8.0)
    assert spot.cues == ("sound", "picture")


def test_pictures_are_kept_at_the_instants_of_a_grid_and_all_of_them_at_the_ends(tmp_path: Path):
    film = measured(tmp_path, None, pictures(10, 1))

    kept = print_of(film, 2.0, 8.0, every_s=0.6).pictures.times_s

    assert kept[:4].tolist() == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert [t for t in kept if 1 < t < 5] == pytest.approx(np.arange(6, 25) * 0.2)


def test_what_comes_again_in_other_videos_is_suggested_with_its_cuts(tmp_path: Path):
    spot = sound(SPOT_S, 1), pictures(SPOT_S, 1)
    first = measured(tmp_path / "a", around(spot[0], sound(20, 11), sound(9, 12)), around(spot[1], pictures(20, 11), pictures(9, 12)))
    second = measured(tmp_path / "b", around(spot[0], sound(13, 13), sound(9, 14)), around(spot[1], pictures(13, 13), pictures(9, 14)))
    silent = measured(tmp_path / "c", None, around(spot[1], pictures(6, 15), pictures(9, 16)))

    (repeat,) = unknown_repeats([first, second, silent])

    assert [(p.video, round(p.span.start_s)) for p in repeat.places] == [(0, 20), (1, 13), (2, 6)]
    assert repeat.places[0].span == TimeSpan(20.0, 28.0)
    assert repeat.cues == ("sound", "picture")
    assert unknown_repeats([first, second], [[TimeSpan(20, 28)], [TimeSpan(13, 21)]]) == ()
