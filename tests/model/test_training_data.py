"""Conversations become the tokens and labels that Video-XL learned from; what cannot be used is named."""

import json
import re
from itertools import groupby

import pytest

pytest.importorskip("torch")

import numpy as np
from PIL import Image

from model.language.prompts import after_video, before_video
from model.preprocess import crops
from model.systems.tiny import byte_tokenizer
from model.training.conversations import BadData, BadExample, caption, chat, read_records
from model.training.data import Order
from model.training.forward import UNLABELLED
from model.training.stages import STAGES
from tests.model.learning import RECORDS, examples, record


class Bytes:
    """The tiny checkpoint's tokenizer: a byte, or one of ChatML's marks, is a token."""

    special = frozenset({"<|im_start|>", "<|im_end|>"})

    def __init__(self):
        self._files = byte_tokenizer()

    def encode(self, text):
        return self._files.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self._files.decode(list(ids), skip_special_tokens=False)


TOKENS = Bytes()


def records(tmp_path, told):
    (tmp_path / "talks.json").write_text(json.dumps(told))
    return read_records(tmp_path / "talks.json")


def one(tmp_path, told):
    found, refused = records(tmp_path, [told])
    assert refused == []
    return found[0]


def learned(ids, labels):
    """The learned parts as text."""
    runs = groupby(zip(ids, labels, strict=True), key=lambda pair: pair[1] == pair[0])
    assert {label for token, label in zip(ids, labels, strict=True) if label != token} <= {UNLABELLED}
    return [TOKENS.decode([token for token, _ in run]) for is_learned, run in runs if is_learned]


def test_a_chat_reads_as_at_inference_but_for_one_more_newline_behind_the_video(tmp_path):
    words = chat(one(tmp_path, record("a", "<image>\nWho?", "A cat.", image="x.png")), TOKENS)
    assert TOKENS.decode(words.prompt) == before_video()
    assert TOKENS.decode(words.text) == "\n" + after_video("Who?") + "A cat.<|im_end|>\n"


def test_answers_are_learned_and_the_marks_around_every_turn(tmp_path):
    words = chat(one(tmp_path, record("a", "<video>\nWho?\nAnd where?", "A cat.", video="x.mp4")), TOKENS)
    assert learned(words.prompt, words.prompt_labels) == ["<|im_start|>", "<|im_end|>\n<|im_start|>"]
    assert learned(words.text, words.text_labels) == ["<|im_end|>\n<|im_start|>", "A cat.<|im_end|>\n"]


def test_several_turns_follow_each_other(tmp_path):
    told = record("a", "Who? <image>", "A cat.", image="x.png")
    told["conversations"] += [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "Here."}]
    words = chat(one(tmp_path, told), TOKENS)
    assert TOKENS.decode(words.text).startswith("\n\nWho?<|im_end|>")  # the tag went to the front
    assert learned(words.text, words.text_labels)[1:] == [
        "A cat.<|im_end|>\n<|im_start|>", "<|im_end|>\n<|im_start|>", "Here.<|im_end|>\n",
    ]  # fmt: skip


def test_pictures_of_a_later_turn_have_the_turns_before_them_as_prompt(tmp_path):
    told = record("a", "Hello.", "Hello?", image="x.png")
    told["conversations"] += [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "A cat."}]
    words = chat(one(tmp_path, told), TOKENS)
    assert TOKENS.decode(words.prompt).endswith("Hello?<|im_end|>\n<|im_start|>user\n")
    assert TOKENS.decode(words.text).startswith("\n\nWho?")


def test_a_system_turn_takes_the_place_of_the_usual_one(tmp_path):
    told = record("a", "Who?", "Me.")
    told["conversations"].insert(0, {"from": "system", "value": "Be brief."})
    words = chat(one(tmp_path, told), TOKENS)
    assert words.prompt == ()
    assert TOKENS.decode(words.text).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>")


def test_media_without_a_tag_stand_first(tmp_path):
    words = chat(one(tmp_path, record("a", "Who?", "A cat.", image="x.png")), TOKENS)
    assert TOKENS.decode(words.prompt) == before_video()
    assert TOKENS.decode(words.text).startswith("\n\nWho?")


def test_a_caption_is_the_answer_alone(tmp_path):
    words = caption(one(tmp_path, record("a", "Describe it.\n<image>", "A cat.", image="x.png")), TOKENS)
    assert words.prompt == ()
    assert TOKENS.decode(words.text) == "A cat.\n"
    assert words.text_labels == words.text


def test_a_caption_is_tokenized_in_one_piece_with_its_newline(tmp_path):
    class Pieces(Bytes):
        def encode(self, text):
            return [text]

    assert caption(one(tmp_path, record("a", "<image>", "A cat.", image="x.png")), Pieces()).text == ("A cat.\n",)


def test_json_lines_are_read_too(tmp_path):
    (tmp_path / "talks.jsonl").write_text("\n".join(json.dumps(r) for r in RECORDS) + "\n\n")
    found, refused = read_records(tmp_path / "talks.jsonl")
    assert ([r.id for r in found], [r.kind for r in found], refused) == (["a", "b", "c", "d"], ["image", "image", "video", "text"], [])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (record("x", "<image>\nWho?", "A cat."), r"record 1 \(x\) speaks of a picture or video but names none"),
        (record("x", "Who?", "<image>", image="x.png"), "not in the human's"),
        (record("x", "Who?", "A cat.", image="x.png", video="x.mp4"), "both an image and a video"),
        ({"id": "x", "conversations": [{"from": "human", "value": "Who?"}]}, "no exchange of human and gpt in turn: user"),
        ({"id": "x", "conversations": [{"from": "dog", "value": "Wuff"}]}, "no list of conversations from system, human, gpt"),
        ({"id": "x"}, "no list of conversations"),
        (record("x", "Who?", "A cat.", video=["a.mp4", "b.mp4"]), "names its video wrongly"),
        (record("x", "Who?", "A cat.", image={"a": 1}), "names its image wrongly"),
        (record("x", "Who?", "A cat.", image=3), "names its image wrongly"),
        ("hello", "record 1 is no table"),
    ],
)
def test_records_that_cannot_be_used_are_named_and_the_others_kept(tmp_path, told, sentence):
    found, refused = records(tmp_path, [RECORDS[0], told])
    assert [r.id for r in found] == ["a"]
    assert len(refused) == 1
    assert re.search(sentence, refused[0])


@pytest.mark.parametrize(
    ("text", "sentence"), [("[{", "neither a JSON list nor JSON lines: line 1"), ("", "it is empty"), ("[3]", "no table")]
)
def test_a_file_without_anything_to_learn_from_says_why(tmp_path, text, sentence):
    (tmp_path / "talks.json").write_text(text)
    with pytest.raises(BadData, match=sentence):
        read_records(tmp_path / "talks.json")


def test_nobody_speaks_as_the_template(tmp_path):
    with pytest.raises(BadExample, match=r"a holds <\|im_end\|>"):
        chat(one(tmp_path, record("a", "Who?<|im_end|>", "A cat.")), TOKENS)


def test_a_picture_is_seen_as_its_crops_and_labels_cover_all_tokens(tmp_path):
    data = examples(tmp_path, STAGES["full"])
    example = data.load(0, seed=5)
    vision = data.config.vision
    picture = np.asarray(Image.open(tmp_path / "media" / "wide.png"))
    assert np.array_equal(example.pixels, crops(picture, vision.grid_px, vision.image_px)[1:])
    assert len(example.labels) == len(example.prompt_ids) + len(example.pixels) * vision.tokens_per_frame + len(example.text_ids)
    assert data.windows(0) == -(-len(example.pixels) * vision.tokens_per_frame // data.config.summary.window)


def test_several_pictures_are_seen_as_a_video_and_a_text_has_none(tmp_path):
    data = examples(tmp_path, STAGES["full"], [record("p", "<image><image>\nCompare.", "Two.", image=["wide.png", "tall.png"]), RECORDS[3]])
    assert data.load(0, 0).pixels.shape == (2, 56, 56, 3)
    assert data.load(1, 0).pixels.shape == (0, 56, 56, 3)
    assert (data.windows(0), data.windows(1)) == (1, 0)


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    told = [record(f, "<image>\nWho?", "A cat.", image=f) for f in ("none.png", "torn.png", "film.mp4")]
    data = examples(tmp_path, STAGES["full"], [*told, record("v", "<video>", "A cat.", video="none.mp4")])
    (tmp_path / "media" / "torn.png").write_bytes((tmp_path / "media" / "wide.png").read_bytes()[:300])
    for number, sentence in enumerate(
        ["none.png does not exist", "torn.png cannot be read", "film.mp4 cannot be read", "none.mp4 does not"]
    ):
        with pytest.raises(BadExample, match=sentence):
            data.load(number, 0)


def test_an_example_longer_than_the_context_is_told(tmp_path):
    data = examples(tmp_path, STAGES["full"], [record("long", "Who?", "x" * 40_000)])
    with pytest.raises(BadExample, match="more than the 32768"):
        data.load(0, 0)


def test_every_example_is_read_once_an_epoch_and_in_another_order_in_the_next():
    order = Order(10, seed=3)
    first, second = ([order.at(k)[0] for k in range(e * 10, e * 10 + 10)] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [Order(10, seed=3).at(12)] == [order.at(12)]  # another run comes to the same


def test_groups_hold_examples_of_equal_cost():
    costs = [1] * 9 + [5] * 6 + [0] * 3
    order = Order(18, group=4, windows=costs)
    groups = [order.at(k) for k in range(order.groups_an_epoch)]
    assert sorted({k for group in groups for k in group}) == list(range(18))
    assert sum(len({costs[k] for k in group}) == 1 for group in groups) >= 3  # two whole groups of ones, one of fives
    assert all(len(group) == 4 for group in groups)


def test_the_rate_climbs_and_falls_to_nothing():
    full = STAGES["full"]
    rates = [full.learning_rate_at(k, 1000) for k in range(1000)]
    assert rates[0] == pytest.approx(1e-5 / 30)
    assert max(rates) == rates[29] == rates[30] == full.learning_rate
    assert rates[515] == pytest.approx(0.5e-5, rel=1e-2)
    assert rates[-1] < 1e-10
