"""Windows, ratios, and where summary tokens stand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from model.compression.summary_tokens import Ratios, Window, Windows, WrongRatio, plan_windows

FILMS = [(1, 40, 16), (100, 40, 16), (160, 48, 8), (1440, 1440, 16), (997, 36, 5), (64, 7, 32)]


def test_a_summary_token_stands_behind_every_four_visual_ones() -> None:
    window = Window(start=0, raw=8, ratio=4)

    assert window.summary_places.tolist() == [4, 9]
    assert window.visual_places.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert (window.length, window.left_over) == (10, 0)


def test_tokens_left_over_count_towards_the_next_windows_first_summary_token() -> None:
    first = Window(start=0, raw=10, ratio=4)
    second = Window(start=10, raw=10, ratio=4, carried=first.left_over)

    assert (first.summary_places.tolist(), first.left_over) == ([4, 9], 2)
    assert (second.summary_places.tolist(), second.summaries, second.left_over) == ([2, 7, 12], 3, 0)


@pytest.mark.parametrize(("tokens", "size", "ratio"), FILMS)
def test_nothing_is_lost_but_what_is_left_over_at_the_end(tokens: int, size: int, ratio: int) -> None:
    windows = plan_windows(tokens, size, Ratios((ratio,)))

    assert sum(w.raw for w in windows) == tokens
    assert sum(w.summaries for w in windows) == tokens // ratio
    assert windows[-1].left_over == tokens % ratio
    assert [w.start for w in windows] == list(range(0, tokens, size))


def test_windows_of_a_stream_are_those_of_the_whole() -> None:
    windows, come = Windows(40, Ratios((16,)).of_windows(40)), 0
    found = []
    for portion in (7, 33, 1, 79, 13):
        come += portion
        while window := windows.full(come):
            found.append(window)
    if window := windows.rest(come):
        found.append(window)

    assert found == plan_windows(133, 40, Ratios((16,)))


def test_drawn_ratios_are_those_of_the_authors_generator_and_begin_anew_with_each_film() -> None:
    ratios = Ratios((2, 4, 8, 9), "step-random")  # 9 divides no window of 48

    drawn = list(islice(ratios.of_windows(48), 5))

    random = np.random.default_rng(42)
    assert drawn == [int(random.choice([2, 4, 8])) for _ in range(5)]
    assert drawn == list(islice(ratios.of_windows(48), 5))


def test_other_mixes() -> None:
    assert list(islice(Ratios((2, 4), "sequence").of_windows(8), 5)) == [2, 4, 2, 4, 2]
    assert len(set(islice(Ratios((2, 4, 8), "instance-random").of_windows(8), 9))) == 1
    assert list(Ratios((8, 3, 2), "listed").of_windows(8)) == [8, 3, 2]


def test_a_ratio_adapts_to_the_films_length() -> None:
    ratios = Ratios((8, 2, 4), "adapt-100")

    # (room - window) * ratio + window >= length + 100
    assert next(ratios.of_windows(40, 200, room=240)) == 2
    assert next(ratios.of_windows(40, 341, room=240)) == 4
    with pytest.raises(WrongRatio, match="no ratio of 2, 4, 8 makes 2100 tokens fit into 240"):
        ratios.of_windows(40, 2000, room=240)
    with pytest.raises(WrongRatio, match="a stream has none yet"):
        ratios.of_windows(40, None, room=240)


@pytest.mark.parametrize("text", ["16", "4,8,8", "random:2,4,8", "cycle:2,4", "adapt-1024:2,4", "instance-random:2,4"])
def test_ratios_are_written_as_they_are_read(text: str) -> None:
    assert str(Ratios.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a ratio is a number"),
        ("0", "from 1 on"),
        ("x:2", "no way 'x' to mix"),
        ("adapt-x:2", "no way 'adapt-x'"),
        ("2,a", "got '2,a'"),
        ("-4", "from 1 on"),
    ],
)
def test_what_is_no_ratio_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(WrongRatio, match=reason):
        Ratios.parse(text)


def test_impossible_windows_are_refused_in_words() -> None:
    with pytest.raises(WrongRatio, match="none of the ratios 7, 9 divides the window of 40 tokens"):
        Ratios((7, 9), "step-random").of_windows(40)
    with pytest.raises(WrongRatio, match="the list of ratios ends before visual token 80"):
        plan_windows(100, 40, Ratios((2, 4), "listed"))
    with pytest.raises(WrongRatio, match="7 visual tokens wait for a summary token"):
        plan_windows(100, 39, Ratios((8, 2, 2), "listed"))
