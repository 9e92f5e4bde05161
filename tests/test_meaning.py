"""What words are about: turns of the talk, sentences that stand for others, with the model of meaning and without it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model.meaning import WordLlamaMeaning
from model.registry import MEANING
from model.shipped import locate
from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.interfaces import Meaning
from pipelines.meaning import GOES_ON, TURN, said_in, turns, weighed
from pipelines.series import Measured
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.chapters import ChapterSettings, find_chapters, with_topics
from pipelines.tasks.scenes import Border
from pipelines.tasks.summary import summarise
from pipelines.tasks.words import Sentence
from pipelines.texts import ScreenText, Spoken

SEA = [
    "The ship left the harbour.", "A storm rose over the sea.", "The sailors lowered the sails.", "Waves broke over the deck.",
    "The captain held the wheel.", "They reached the port at dawn.",
]  # fmt: skip
KITCHEN = [
    "Chop the onions finely.", "Fry them in butter.", "Add flour and milk to the sauce.", "Bake the bread for an hour.",
    "Salt and pepper the soup.", "Serve it with fresh herbs.",
]  # fmt: skip


@pytest.fixture(scope="module")
def meaning() -> WordLlamaMeaning:
    return WordLlamaMeaning(locate(MEANING), MEANING.name, MEANING.digest)


def spoken(*texts: str, every_s: float = 5.0) -> list[Sentence]:
    return [Sentence(text, TimeSpan(k * every_s, k * every_s + 4)) for k, text in enumerate(texts)]


def film(folder: Path, **words: object) -> Measured:
    return replace(Measured(FolderBlobs(folder), "film", 60.0), **words)


def shots(*edges: float) -> tuple[Shot, ...]:
    return tuple(Shot(TimeSpan(a, b)) for a, b in pairwise(edges))


def test_the_talk_turns_where_it_comes_to_something_else(meaning: WordLlamaMeaning) -> None:
    at_s = [15.0, 20.0, 30.0, 40.0, 45.0]

    found = turns(spoken(*SEA, *KITCHEN), at_s, meaning)

    assert int(np.argmax(found)) == 2
    assert found[2] == pytest.approx(TURN, abs=0.05)
    assert (found[[0, 4]] < found[2] / 2).all() and (found >= -GOES_ON).all()


def test_too_few_words_say_nothing_of_a_turn(meaning: WordLlamaMeaning) -> None:
    assert turns(spoken(*SEA[:3]), [5.0], meaning).tolist() == [0.0]
    assert turns([], [5.0], None).tolist() == [0.0]
    assert turns(spoken(*SEA, *KITCHEN), [500.0], meaning).tolist() == [0.0]  # nobody speaks there


def test_without_the_model_shared_words_tell_turns() -> None:
    sea = ["ship storm", "storm deck", "deck sails", "sails mast", "mast captain", "captain ship"]
    kitchen = ["onion butter", "butter flour", "flour bread", "bread oven", "oven soup", "soup onion"]

    found = turns(spoken(*sea, *kitchen), [15.0, 30.0, 45.0], None)

    assert int(np.argmax(found)) == 1 and found[1] > 0.2


def test_the_sentence_that_means_what_others_mean_is_central(meaning: WordLlamaMeaning) -> None:
    about = weighed(
        spoken("The storm hit the coast.", "My cat likes tuna.", "Heavy winds struck the seaside.", "A gale battered the shore."), meaning
    )

    assert int(np.argmin(about.central)) == 1
    assert about.alike(0, [2, 3]) > about.alike(0, [1])


@pytest.mark.parametrize("without", [True, False])
def test_a_turn_strengthens_a_border_and_is_told(meaning: WordLlamaMeaning, without: bool, tmp_path: Path) -> None:
    lines = tuple((s.span, s.text) for s in spoken(*SEA, *KITCHEN))
    borders = [Border(15.0, 0.4, (("pictures", 0.4),)), Border(30.0, 0.4, (("pictures", 0.4),))]
    model: Meaning | None = None if without else meaning

    goes_on, turned = with_topics(borders, said_in(film(tmp_path, subtitles=lines)), model)

    if without:  # these sentences share no word at all
        assert (goes_on.strength, turned.strength) == (0.4, 0.4)
    else:
        assert turned.strength == pytest.approx(0.4 + TURN, abs=0.05) and dict(turned.cues)["topic"] == pytest.approx(TURN, abs=0.05)
        assert goes_on.strength < 0.55


def test_subtitles_go_before_a_transcript_and_a_transcript_before_the_screen(tmp_path: Path) -> None:
    lines = ((TimeSpan(0, 2), "Said."),)
    heard = (Spoken(TimeSpan(0, 2), "heard", 0.9, "e"), Spoken(TimeSpan(5, 7), "mumbled", 0.2, "e"))
    shown = (
        ScreenText(TimeSpan(0, 2), "SHOWN\nhere", 0.9, (0, 0, 1, 1), "card"),
        ScreenText(TimeSpan(3, 4), "J. Doe", 0.9, (0, 0, 1, 1), "credits"),
    )

    sources = [
        said_in(film(tmp_path, **words))
        for words in ({"subtitles": lines, "spoken": heard}, {"spoken": heard, "texts": shown}, {"texts": shown}, {})
    ]

    assert [(s.source, [k.text for k in s.sentences]) for s in sources] == [
        ("subtitles", ["Said."]), ("transcript", ["heard"]), ("screen", ["SHOWN here"]), ("", []),
    ]  # fmt: skip


def test_a_card_at_the_beginning_titles_a_chapter_but_not_an_ads_card(tmp_path: Path) -> None:
    card = ScreenText(TimeSpan(2, 5), "PART ONE\nThe harbour", 0.97, (0.2, 0.3, 0.8, 0.6), "card")
    told = film(tmp_path, texts=(card,))

    (titled,) = find_chapters(told, shots(0, 60), ChapterSettings()).findings
    (untitled,) = find_chapters(told, shots(6, 60), ChapterSettings()).findings

    assert (titled.label, titled.data["title_from"]) == ("PART ONE – The harbour", "screen")
    assert (untitled.label, untitled.data["title_from"]) == ("Chapter 1", "")


def test_a_summary_quotes_a_transcript_and_names_its_engine(tmp_path: Path, meaning: WordLlamaMeaning) -> None:
    heard = tuple(Spoken(s.span, s.text, 0.9, "pocketsphinx 5.1.1 en-us") for s in spoken(*SEA, *KITCHEN))

    result = summarise(film(tmp_path, spoken=heard), (), meaning)

    assert len(result.findings) == 4
    assert {f.label for f in result.findings} <= {*SEA, *KITCHEN}
    assert {f.explanation for f in result.findings} == {"quoted from the rough transcript (pocketsphinx 5.1.1 en-us)"}
    assert {f.evidence[0].detail for f in result.findings} == {"means what many other lines mean"}


def test_chapters_say_when_they_judge_words_without_the_model(tmp_path: Path, meaning: WordLlamaMeaning) -> None:
    told = film(tmp_path, subtitles=tuple((s.span, s.text) for s in spoken(*SEA)))

    assert find_chapters(told, shots(0, 60)).reason == "judged without sound and a model of what words mean"
    assert find_chapters(told, shots(0, 60), meaning=meaning).reason == "judged without sound"
