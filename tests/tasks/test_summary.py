"""The summary's lines and what it says when there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.video import TimeSpan
from pipelines.findings import Status
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.summary import choose_lines, line_count, summarise
from pipelines.tasks.words import keywords, sentences, weigh, words
from tests.signals.scenery import measured_film, still


def said(*texts: str, every_s: float = 4.0) -> tuple[tuple[TimeSpan, str], ...]:
    return tuple((TimeSpan(k * every_s, k * every_s + 3), text) for k, text in enumerate(texts))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return measured_film(tmp_path_factory.mktemp("film"), [still(1, 100), still(2, 100)], 5.0)


def test_lines_become_sentences_until_they_end_or_pause():
    spoken = sentences([*said("The ship has", "left the harbour."), (TimeSpan(8, 9), "And then"), (TimeSpan(30, 31), "it came back.")])

    assert [(s.text, s.span.start_s, s.span.end_s) for s in spoken] == [
        ("The ship has left the harbour.", 0, 7),
        ("And then", 8, 9),
        ("it came back.", 30, 31),
    ]


def test_words_keep_apostrophes_and_pair_signs_without_spaces():
    assert words("Don’t GO, Zoë!") == ["don't", "go", "zoë"]
    assert words("東京駅") == ["東京", "京駅"]


def test_the_line_that_shares_most_is_the_most_central():
    spoken = sentences(
        said(
            "The storm broke the harbour wall.",
            "I like my coffee black.",
            "The harbour wall held the storm for years.",
            "Nobody repaired the wall.",
        )
    )

    weighed = weigh(spoken)

    assert int(weighed.central.argmax()) in (0, 2)
    assert weighed.central[1] == 0
    assert weighed.alike(0, [2]) > weighed.alike(0, [3]) > weighed.alike(0, [1]) == 0


def test_chosen_lines_are_quotes_in_time_order_spread_over_the_film():
    texts = [f"The {'storm' if k < 15 else 'rescue'} reached the village number {k} at last." for k in range(30)]

    lines = choose_lines(sentences(said(*texts)), 600.0)

    assert len(lines) == line_count(30, 600.0) == 7
    assert [s.span.start_s for s, _ in lines] == sorted(s.span.start_s for s, _ in lines)
    assert all(s.text in texts and 0 <= worth <= 1 for s, worth in lines)
    assert sum("storm" in s.text for s, _ in lines) in (3, 4)


def test_keywords_are_spelled_as_they_are_written():
    assert keywords("Rome wins. Rome falls. Bread for Rome.", "Bread and games. Bread and wine.") == ["Rome"]
    assert keywords("nothing twice", "") == []


def test_with_subtitles_every_line_is_linked_to_its_interval(film):
    told = replace(film, subtitles=said(*[f"The keeper of the lighthouse wrote letter {k} to his daughter." for k in range(9)]))

    result = summarise(told, find_shots(film))

    assert result.status is Status.OK and result.reason == ""
    assert [line["text"] for line in result.data["lines"]] == [f.label for f in result.findings]
    assert all(line["start_s"] == f.span.start_s for line, f in zip(result.data["lines"], result.findings, strict=True))
    assert len(result.data["storyboard"]) == 5


def test_without_text_it_says_so_and_gives_the_storyboard(film):
    result = summarise(film, find_shots(film))

    assert result.status is Status.OK and result.findings == ()
    assert result.reason == "the video has no subtitles to quote, so the summary is a storyboard without text"
    assert {t // 20 for t in result.data["storyboard"]} == {0, 1}


def test_with_neither_it_is_empty(tmp_path):
    result = summarise(Measured(FolderBlobs(tmp_path), "film", 9.0), ())

    assert result.status is Status.EMPTY
    assert result.data["storyboard"] == []
