"""Pictures for a video-language model: the right ones, with their own times, decoded by others and in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.preprocess import crops, fit
from pipelines import viewing
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.media import index_video
from pipelines.sampling import FixedRate, sample_frames
from pipelines.viewing import Sampling, view


@pytest.mark.parametrize("name", ["closed.mp4", "open.mp4", "slow.mp4"])
def test_pictures_are_those_on_display_fitted_as_the_encoder_wants_them(film: Callable[[str], Path], name: str) -> None:
    path = film(name)
    whole = list(sample_frames(path, FixedRate(3)))

    found = list(view(path, Sampling(rate_hz=3), 28).pictures(workers=2))

    assert np.concatenate([f.times_s for f in found]).tolist() == np.concatenate([f.times_s for f in whole]).tolist()
    assert np.array_equal(np.concatenate([f.pixels for f in found]), [fit(p, 28) for f in whole for p in f.pixels])


def test_stretches_come_in_order_and_can_be_skipped(film: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "STRETCH", 3)
    film_seen = view(film("closed.mp4"), Sampling(rate_hz=4), 28)

    ticks = np.concatenate([f.ticks for f in film_seen.pictures(workers=2)])
    later = np.concatenate([f.ticks for f in film_seen.pictures(skip=7)])

    assert ticks.tolist() == film_seen.shown_at().tolist()
    assert later.tolist() == ticks[7:].tolist()


def test_a_count_is_spread_over_the_films_pictures_as_the_authors_do(film: Callable[[str], Path]) -> None:
    path = film("closed.mp4")
    index = index_video(path)
    assert index is not None

    instants = Sampling(count=7).instants(index)

    assert instants.tolist() == index.times_s[[0, 16, 33, 49, 66, 82, 99]].tolist()  # i * 99 / 6, truncated


def test_more_pictures_than_the_film_has_repeat_some(film: Callable[[str], Path]) -> None:
    found = list(view(film("closed.mp4"), Sampling(count=150), 28).pictures())

    ticks = np.concatenate([f.ticks for f in found])
    assert (len(ticks), len(set(ticks.tolist()))) == (150, 100)


@pytest.mark.parametrize(("text", "frames"), [("1 fps", 10), ("0.5 fps", 5), ("128 frames", 128), ("29.97002997 fps", 300)])
def test_a_sampling_is_written_as_it_is_read(text: str, frames: int) -> None:
    assert str(Sampling.parse(text)) == text
    assert Sampling.parse(text).frames_in(10.0) == frames


@pytest.mark.parametrize(
    "wrong", [{}, {"rate_hz": 1.0, "count": 3}, {"rate_hz": 0.0}, {"count": 0}, {"rate_hz": float("nan")}, {"count": 1 << 30}]
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WrongRequest):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")

    with pytest.raises(UnreadableVideo):
        view(tmp_path / "text.mp4", Sampling(count=3), 28)


def test_a_photograph_is_seen_in_squares(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    grid = ((56, 28), (28, 56), (84, 56))

    photograph = view(tmp_path / "photo.png", Sampling(count=1), 28, grid_px=grid)
    (found,) = photograph.pictures()

    assert np.array_equal(found.pixels, crops(pixels, grid, 28)[1:])
    assert (len(photograph.instants), found.times_s.tolist(), photograph.duration_s) == (6, [0.0] * 6, None)
    assert len(next(photograph.pictures(skip=4))) == 2
