"""On-screen texts and transcript lines: what they refuse, and that JSON keeps them."""

from __future__ import annotations

import json

import pytest

from model.video import TimeSpan
from pipelines.texts import ScreenText, Spoken, Word, spoken_from_json, spoken_to_json, texts_from_json, texts_to_json


def test_texts_come_back_from_json_as_they_were():
    texts = (
        ScreenText(TimeSpan(0, 4.5), "STORK\nfresh laundry", 0.97, (0.1, 0.4, 0.9, 0.6), "card"),
        ScreenText(TimeSpan(3, 5), "Ünïcödé 字幕", 0.5, (0, 0.9, 1, 1), "caption"),
    )

    assert texts_from_json(json.loads(json.dumps(texts_to_json(texts)))) == texts


def test_spoken_lines_come_back_with_their_words():
    words = (Word(TimeSpan(1, 1.5), "good", 0.9), Word(TimeSpan(1.5, 2), "evening", 0.7))
    spoken = (Spoken(TimeSpan(1, 2), "good evening", 0.8, "pocketsphinx 5.1.1", words), Spoken(TimeSpan(3, 4), "?", 0.1, "other"))

    assert spoken_from_json(json.loads(json.dumps(spoken_to_json(spoken)))) == spoken


@pytest.mark.parametrize(
    ("box", "confidence", "kind", "named"),
    [
        ((0.5, 0, 0.4, 1), 0.5, "text", "left before right"),
        ((0, 0, 1, 1.1), 0.5, "text", "shares"),
        ((0, 0, 1, 1), 1.5, "text", "confidence"),
        ((0, 0, 1, 1), 0.5, "poem", "poem"),
    ],
)
def test_a_text_refuses_nonsense(box, confidence, kind, named):
    with pytest.raises(ValueError, match=named):
        ScreenText(TimeSpan(0, 1), "x", confidence, box, kind)
