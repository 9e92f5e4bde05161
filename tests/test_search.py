"""Moments are found by how they look and by words, best first, each with its interval and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.meaning import WordLlamaMeaning
from model.registry import MEANING
from model.shipped import locate
from model.video import TimeSpan
from pipelines.findings import Shot
from pipelines.glimpses import Glimpses, Line, codes_of, glimpses_of, lines_of
from pipelines.search import ClassTexts, search_like, search_text, share_found, words_of
from pipelines.series import Measured, Series, pack
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.seen import SeenShelf
from pipelines.texts import ScreenText, Spoken

CLASSES = ClassTexts(
    ("tabby, tabby cat", "beagle", "sports car", "hot dog"),
    ("A small cat. Not a dog", "A scent dog with long ears", "A fast car", "A sausage in a bun"),
)


@pytest.fixture
def shelf(tmp_path: Path) -> SeenShelf:
    return SeenShelf(DatabaseResults(f"sqlite:///{tmp_path}/findings.db"), FolderBlobs(tmp_path / "blobs"), "eyes-1")


def units(seed: int, count: int, width: int = 64) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def glimpses(embeddings: NDArray[np.float32], classes: Sequence[Sequence[int]] = (), shares: Sequence[Sequence[float]] = ()) -> Glimpses:
    """Glimpses of two seconds each."""
    n = len(embeddings)
    spans = np.array([[2 * k, 2 * k + 2] for k in range(n)], np.float32).reshape(n, 2)
    ids, values = np.full((n, 8), -1, np.int16), np.zeros((n, 8), np.float16)
    for k, (row, share) in enumerate(zip(classes, shares, strict=True)):
        ids[k, : len(row)], values[k, : len(share)] = row, share
    return Glimpses(spans, embeddings.astype(np.float16), ids, values)


def line(start_s: float, text: str, origin: str = "subtitle", confidence: float = 1.0) -> Line:
    return Line(TimeSpan(start_s, start_s + 2), text, origin, confidence, f"the {origin} says")


def test_the_picture_itself_is_found_among_hundreds_of_films(shelf: SeenShelf) -> None:
    for k in range(300):
        shelf.put(f"v{k}", f"film {k}.mp4", 40.0, glimpses(units(k, 20)), [])
    wanted = units(7, 20)[13] + 0.05 * units(999, 1)[0]

    hits = search_like(wanted / np.linalg.norm(wanted), shelf)

    assert (hits[0].video_id, hits[0].span, hits[0].kind) == ("v7", TimeSpan(26, 28), "picture")
    assert hits[0].score == 1.0
    assert hits[0].reason == "looks like it (cosine 0.99)" or "cosine 1.00" in hits[0].reason
    assert search_like(wanted, shelf, only=["v8"]) == [] or search_like(wanted, shelf, only=["v8"])[0].score < 0.3


def test_neighbouring_moments_that_look_alike_are_one_hit(shelf: SeenShelf) -> None:
    look = units(1, 2)
    shelf.put("v", "v.mp4", 8.0, glimpses(np.stack([look[0], look[0], look[1], look[0]])), [])

    hits = search_like(look[0], shelf)

    assert [hit.span for hit in hits] == [TimeSpan(0, 4), TimeSpan(6, 8)]


def test_words_are_found_wherever_they_stand_and_every_hit_says_where(shelf: SeenShelf) -> None:
    said = [line(1, "Two DOGS on a board"), line(5, "the hotdog stand", "screen", 0.5), line(9, "a dog barks", "speech", 0.8)]
    shelf.put("v", "evening.mp4", 20.0, glimpses(units(0, 1)), said)
    shelf.put("w", "my_dog.mp4", 5.0, glimpses(units(0, 1)), [])

    hits = search_text("dog", shelf, CLASSES)

    assert [(hit.video, hit.kind, hit.span) for hit in hits] == [
        ("evening.mp4", "said", TimeSpan(1, 3)),
        ("evening.mp4", "said", TimeSpan(9, 11)),
        ("my_dog.mp4", "name", TimeSpan(0, 5)),
    ]
    assert [round(hit.score, 2) for hit in hits] == [0.95, 0.6, 0.3]
    assert hits[0].reason == "the subtitle says: 'Two DOGS on a board'"


def test_of_many_likely_classes_the_sum_counts(shelf: SeenShelf) -> None:
    seen = glimpses(units(0, 3), [[1, 0], [3], [0, 2]], [[0.5, 0.1], [0.9], [0.05, 0.9]])
    shelf.put("v", "v.mp4", 6.0, seen, [])

    (hit,) = search_text("dogs", shelf, ClassTexts((*CLASSES.names[:3], "bun"), CLASSES.notes))

    assert (hit.kind, hit.span) == ("class", TimeSpan(0, 2))
    assert hit.score == pytest.approx(0.8 * 0.5, abs=1e-3)
    assert hit.reason == "looks like: beagle 0.50"


def test_other_words_of_the_same_meaning_are_found(shelf: SeenShelf) -> None:
    shelf.put("v", "v.mp4", 20.0, glimpses(units(0, 1)), [line(0, "a puppy riding a board"), line(5, "the stock market fell today")])
    meaning = WordLlamaMeaning(locate(MEANING))

    hits = search_text("dog on a skateboard", shelf, ClassTexts(()), meaning)

    assert [(hit.kind, hit.span.start_s) for hit in hits] == [("meaning", 0.0)]
    assert hits[0].reason.startswith("means something alike (cosine 0.")


def test_looking_again_replaces_what_was_remembered(shelf: SeenShelf) -> None:
    meaning = WordLlamaMeaning(locate(MEANING))
    shelf.put("v", "v.mp4", 20.0, glimpses(units(0, 5)), [line(0, "a puppy riding a board"), line(3, "cake")])
    assert search_text("cake", shelf, ClassTexts(()), meaning)[0].kind == "said"

    shelf.put("v", "v.mp4", 20.0, glimpses(units(0, 2)), [line(0, "nothing of the kind")])

    assert len(shelf.codes()["v"]) == 2
    assert search_text("cake", shelf, ClassTexts(()), meaning) == []
    assert shelf.has("v")
    assert not shelf.has("w")


@pytest.mark.parametrize("query", ["", "  ", "?!", "100 %", "'; drop table said; --", "_", "狗", "\x00"])
def test_any_query_is_only_a_query(query: str, shelf: SeenShelf) -> None:
    shelf.put("v", "v.mp4", 20.0, glimpses(units(0, 1)), [line(0, "一只狗在跑"), line(3, "nothing")])

    hits = search_text(query, shelf, CLASSES)

    assert [hit.span.start_s for hit in hits] == ([0.0] if query == "狗" else [])


def test_words_compare_without_case_and_plural() -> None:
    assert words_of("Dogs' Boss, 3 cats") == ["dog", "boss", "3", "cat"]
    assert share_found(["dog", "cat"], "The DOG sleeps") == 0.5
    assert share_found(["dog"], "hotdogs") == 0.0


def measured_with(series: dict[str, Series], folder: Path) -> Measured:
    blobs = FolderBlobs(folder)
    blobs.put("f/000000.npz", pack(series))
    return Measured(blobs, "m", 10.0, features="f")


def test_a_glimpse_ends_with_its_shot_and_where_the_look_changes(tmp_path: Path) -> None:
    look = units(3, 3)
    times = np.arange(8.0)
    values = look[[0, 0, 1, 1, 2, 2, 2, 2]].astype(np.float16)
    ids, shares = np.tile(np.array([5, 9, 2, 1, 0, 3, 4, 6], np.int16), (8, 1)), np.tile(np.float16([0.5, *[0.05] * 7]), (8, 1))
    series = {"eyes.embedding": Series(times, values), "eyes.class": Series(times, ids), "eyes.share": Series(times, shares)}

    found = glimpses_of(measured_with(series, tmp_path), [Shot(TimeSpan(0, 5.5)), Shot(TimeSpan(5.5, 8))])

    assert found.spans_s.tolist() == [[0, 1.5], [1.5, 3.5], [3.5, 5.5], [5.5, 8]]
    np.testing.assert_allclose(found.embeddings.astype(np.float32), look[[0, 1, 2, 2]], atol=2e-3)
    assert found.classes[0].tolist() == [5, 0, 1, 2, 3, 4, 6, 9]
    assert found.shares[0, 0] == 0.5


def test_without_an_encoder_only_words_are_remembered(tmp_path: Path) -> None:
    measured = Measured(FolderBlobs(tmp_path), "m", 10.0, subtitles=((TimeSpan(0, 1), "hello"),))
    measured.texts = (ScreenText(TimeSpan(1, 2), "EXIT", 0.9, (0, 0, 1, 1)),)
    measured.spoken = (Spoken(TimeSpan(2, 3), "good day", 0.4, "pocketsphinx"),)

    assert len(glimpses_of(measured, [Shot(TimeSpan(0, 10))])) == 0
    assert [(said.origin, said.text, said.confidence) for said in lines_of(measured)] == [
        ("subtitle", "hello", 1.0), ("screen", "EXIT", 0.9), ("speech", "good day", 0.4),
    ]  # fmt: skip


def test_codes_tell_near_from_far_and_never_change() -> None:
    near, far = units(5, 1, 1280), units(6, 1, 1280)
    codes = codes_of(np.concatenate([near, near + 0.2 * far, far]))

    bits = np.bitwise_count(codes[0] ^ codes[1:]).sum(1)

    assert bits[0] < 30 < 100 < bits[1] < 156
    assert codes_of(np.eye(1, 8, dtype=np.float32)).tolist() == [
        [39423543777633428, 12802547404695998428, 17554353230421901168, 15957102204647166923]
    ]  # stored codes must stay comparable
