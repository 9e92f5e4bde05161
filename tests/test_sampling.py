"""Sampled pictures are those on display at the instant asked for, bit for bit those of a full decode."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.video import Frames, TimeSpan
from pipelines.interfaces import WrongRequest
from pipelines.media import index_video, shown_frames
from pipelines.pixels import Scaler
from pipelines.sampling import EveryShot, FixedRate, Instants, Plan, Uniform, sample_frames
from tests.films import HEIGHT, RECIPES, WIDTH, read_number

SMALL = (WIDTH // 2, HEIGHT // 2)


def sampled(path: Path, plan: Plan, size_px: tuple[int, int] | None = None, batch: int = 7) -> Frames:
    parts = list(sample_frames(path, plan, size_px, batch=batch))
    assert all(len(part) == batch for part in parts[:-1])
    return Frames(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("pixels", "times_s", "ticks")))


def numbers(frames: Frames) -> list[int]:
    return [read_number(pixels) for pixels in frames.pixels]


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"turned.mp4", "portrait.mp4"}))
def test_samples_are_bit_for_bit_those_of_a_full_decode(film: Callable[[str], Path], name: str) -> None:
    path, dice = film(name), random.Random(name)
    index = index_video(path)
    assert index is not None
    scaler = Scaler(*SMALL)
    full = [(s.tick, s.start_s, s.end_s, scaler(s.frame)) for s in shown_frames(path, index, 0, index.duration_s)]
    chosen = tuple(sorted(dice.uniform(0, index.duration_s) for _ in range(6)))
    for plan in (FixedRate(3), FixedRate(0.7), Instants(chosen)):
        instants = plan.instants(index.duration_s)
        frames = sampled(path, plan, SMALL)
        expected = [next((f for f in full if f[1] <= t + 1e-6 < f[2]), full[0]) for t in instants.tolist()]
        assert frames.ticks.tolist() == [f[0] for f in expected]
        assert frames.times_s.tolist() == pytest.approx([f[1] for f in expected], abs=1e-6)
        assert all(np.array_equal(pixels, f[3]) for pixels, f in zip(frames.pixels, expected, strict=True))


def test_uniform_takes_the_middle_of_equal_parts(film: Callable[[str], Path]) -> None:
    assert numbers(sampled(film("closed.mp4"), Uniform(8))) == [6, 18, 31, 43, 56, 68, 81, 93]


def test_a_fixed_rate_starts_at_zero_and_stays_inside(film: Callable[[str], Path]) -> None:
    frames = sampled(film("open.mp4"), FixedRate(1))
    assert numbers(frames) == [0, 25, 50, 75]
    assert frames.times_s.tolist() == [0, 1, 2, 3]


def test_a_faster_rate_repeats_what_stays_on_display(film: Callable[[str], Path]) -> None:
    frames = sampled(film("slow.mp4"), FixedRate(2))
    assert numbers(frames) == [n // 2 for n in range(16)]
    assert frames.times_s.tolist() == [n // 2 for n in range(16)]


def test_every_shot_gets_its_share(film: Callable[[str], Path]) -> None:
    shots = (TimeSpan(0, 1), TimeSpan(1, 3))
    assert numbers(sampled(film("closed.mp4"), EveryShot(shots))) == [12, 50]
    assert numbers(sampled(film("closed.mp4"), EveryShot(shots, per_shot=2))) == [6, 18, 37, 62]


def test_instants_outside_get_the_first_and_last_picture(film: Callable[[str], Path]) -> None:
    frames = sampled(film("closed.ts"), Instants((0.0, 0.01, 0.07, 99.0)))
    assert numbers(frames) == [0, 0, 0, 99]
    assert frames.times_s[0] == pytest.approx(0.064, abs=1e-6)


def test_the_picture_before_a_gap_stays_on_display(film: Callable[[str], Path]) -> None:
    assert numbers(sampled(film("gap.mp4"), Instants((1.5, 1.57, 3.0, 4.39, 4.41)))) == [37, 39, 39, 39, 40]


def test_the_default_size_is_the_displayed_one(film: Callable[[str], Path]) -> None:
    assert sampled(film("turned.mp4"), Uniform(2)).pixels.shape == (2, WIDTH, HEIGHT, 3)
    assert sampled(film("portrait.mp4"), Uniform(2)).pixels.shape == (2, 352, WIDTH, 3)


def test_no_instants_no_frames(film: Callable[[str], Path]) -> None:
    assert list(sample_frames(film("closed.mp4"), Instants(()))) == []


def test_instants_before_the_film_are_refused(film: Callable[[str], Path]) -> None:
    with pytest.raises(WrongRequest, match="at or after 0"):
        list(sample_frames(film("closed.mp4"), Instants((-1.0,))))


def test_a_picture_that_cannot_be_decoded_is_replaced_by_the_one_left_standing(tmp_path: Path, film: Callable[[str], Path]) -> None:
    index = index_video(film("no_b.mp4"))
    assert index is not None
    data = bytearray(film("no_b.mp4").read_bytes())
    import av

    with av.open(str(film("no_b.mp4"))) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for pos, size in places[25:75]:
        data[pos + 4 : pos + size] = bytes(size - 4)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)

    frames = sampled(path, FixedRate(2))

    assert numbers(frames) == [0, 12, 24, 24, 24, 24, 75, 87]
    assert frames.times_s.tolist() == pytest.approx([0, 0.48, 0.96, 0.96, 0.96, 0.96, 3.0, 3.48])
