"""Reading the texts in the pictures: where is looked, what is read, how long it stands, what it is called."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from model.ocr import RapidReader, ReadLine, Region
from model.registry import READER
from model.shipped import locate
from model.video import TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.findings import Shot
from pipelines.reading import Film, ReadSettings, Sighting, choose_glances, choose_seconds, read_texts, size_to_read, without_read
from pipelines.reading_merge import Reading, Stretch, as_texts, fixtures, grouped, likeness
from pipelines.segments import measure_video
from pipelines.signals.lettering import Edges, edges_between, new_cards
from pipelines.signals.shots import find_shots
from pipelines.stores.folder import FolderBlobs
from pipelines.texts import ScreenText
from pipelines.wording import Place, with_texts

RATE, WIDTH, HEIGHT = 8, 320, 180
NO_EDGES = Edges(np.empty(0), np.empty((0, 180, 20), np.uint16))


@pytest.fixture(scope="session")
def reader() -> RapidReader:
    recogniser = locate(READER)
    return RapidReader(recogniser.with_name("PP-OCRv6_det_small.onnx"), recogniser, READER.name, READER.digest)


def written(text: str, at: tuple[int, int], size: float = 0.6, picture: np.ndarray | None = None) -> np.ndarray:
    ground = np.full((HEIGHT, WIDTH, 3), 90, np.uint8) if picture is None else picture
    return np.asarray(cv2.putText(ground, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA))


def scenery(second: float) -> np.ndarray:
    """Soft clouds that drift: no edge stands still."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    wave = 100 + 60 * np.sin((x + 50 * second) / 31) * np.cos((y + 20 * second) / 23)
    return np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)


def make_film(path: Path, seconds: float) -> Path:
    """Scenery; a lower third from 3 s to 7 s, a brand card from 10 s to 13 s."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "ultrafast", "g": "16"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(int(seconds * RATE)):
            at_s = number / RATE
            picture = scenery(at_s)
            if 3 <= at_s < 7:
                cv2.rectangle(picture, (10, 128), (200, 160), (20, 20, 120), -1)
                written("Anna Kowalska", (16, 150), 0.6, picture)
            if 10 <= at_s < 13:
                picture[:] = (180, 40, 30)
                written("STORK", (80, 100), 1.6, picture)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Film, FolderBlobs]:
    folder = tmp_path_factory.mktemp("reading")
    path, blobs = make_film(folder / "film.mp4", 16), FolderBlobs(folder / "blobs")
    measured = measure_video(path, blobs, "series", DecodePlan(eyes=None, sound=False), workers=1)
    return Film(path, measured, find_shots(measured)), blobs


# --- one picture ------------------------------------------------------------------------------------------------------------


def test_a_line_is_read_with_its_place(reader: RapidReader) -> None:
    (line,) = reader.read(written("Breaking news tonight", (20, 160)))

    assert line.text == "Breaking news tonight"
    assert line.confidence > 0.9
    assert line.box == pytest.approx((20 / 320, 143 / 180, 197 / 320, 166 / 180), abs=0.04)
    (region,) = reader.find(written("Breaking news tonight", (20, 160)))
    assert region.box == pytest.approx(line.box, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 320, 3), (320, 1, 3), (1, 1, 3), (3, 400, 3), (90, 160)])
def test_pictures_of_any_size_are_read_without_a_crash(reader: RapidReader, shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)

    assert reader.read(np.zeros(shape, np.uint8)) == [] == reader.find(np.zeros(shape, np.uint8))
    assert all(0 <= line.confidence <= 1 for line in reader.read(noise))


def test_letters_upside_down_give_no_sure_line(reader: RapidReader) -> None:
    turned = np.ascontiguousarray(written("Breaking news tonight", (20, 160))[::-1, ::-1])

    assert all("news" not in line.text.lower() for line in reader.read(turned) if line.confidence > 0.9)


# --- a film -----------------------------------------------------------------------------------------------------------------


def test_texts_come_with_their_time_place_and_kind_and_are_read_once(film: tuple[Film, FolderBlobs], reader: RapidReader) -> None:
    told: list[tuple[float, float]] = []

    texts = read_texts(*(film[0], reader, ReadSettings(), film[1], "texts/a"), on_progress=lambda *p: told.append(p))

    assert [(t.text, t.kind) for t in texts] == [("Anna Kowalska", "lower_third"), ("STORK", "card")]
    name, card = texts
    assert (name.span.start_s, name.span.end_s) == pytest.approx((3, 7), abs=0.3)
    assert (card.span.start_s, card.span.end_s) == pytest.approx((10, 13), abs=0.3)
    assert name.box[1] > 0.65 and card.box[1] < 0.5
    assert told[-1] == (16.0, 16.0)

    class Blind:
        name, digest = "blind", "0"

        def find(self, picture: object) -> list[object]:
            raise AssertionError("a stored text was looked for again")

        read = find

    assert read_texts(film[0], Blind(), ReadSettings(), film[1], "texts/a") == texts  # type: ignore[arg-type]


def test_nothing_is_read_where_nothing_is_asked_for(film: tuple[Film, FolderBlobs], reader: RapidReader) -> None:
    assert read_texts(film[0], reader, ReadSettings(pictures=0), film[1], "texts/none") == ()
    assert list(film[1].keys("texts/none/")) == []


def test_a_film_without_letters_has_no_texts(tmp_path: Path, reader: RapidReader) -> None:
    with av.open(str(tmp_path / "plain.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((36, 64, 3), 10 * number, np.uint8), "rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    blobs = FolderBlobs(tmp_path / "blobs")
    measured = measure_video(tmp_path / "plain.mp4", blobs, "series", DecodePlan(eyes=None, sound=False), workers=1)

    assert read_texts(Film(tmp_path / "plain.mp4", measured, ()), reader, ReadSettings(), blobs, "texts/plain") == ()
    assert json.loads(blobs.get("texts/plain/0000.json")) == []


# --- where is looked --------------------------------------------------------------------------------------------------------


def test_a_card_is_noticed_when_it_begins(film: tuple[Film, FolderBlobs]) -> None:
    edges = edges_between(film[0].measured, TimeSpan(0, 16))

    assert np.flatnonzero(new_cards(edges)).tolist() == [3, 10]  # nor can clouds be told from a plain ground


def test_glances_are_spread_and_go_where_most_is_new() -> None:
    worth = np.zeros(100)
    worth[[40, 41, 42]] = 5, 9, 7

    chosen = choose_glances(worth, 8)

    assert len(chosen) == 8 and {40, 41, 42} <= set(chosen)
    assert all(any(k // 25 == part for k in chosen) for part in range(4))


def test_each_text_is_read_once_and_large_ones_first() -> None:
    wide, small, late = (Sighting((0.1, 0.4, 0.9, 0.6), 0.9, range(10, 15)), Sighting((0, 0, 0.1, 0.05), 0.9, range(50)),
                         Sighting((0.2, 0.8, 0.6, 0.9), 0.9, range(30, 33)))  # fmt: skip

    assert choose_seconds([wide, small, late], 50, 1) == [12]
    assert choose_seconds([wide, small, late], 50, 9) == [12, 32]  # the small one stands beside them; away from 12


def test_a_place_that_gave_no_letters_counts_less_later() -> None:
    first, again, other = (
        Sighting(box, 0.8, range(k, k + 2)) for box, k in (((0, 0, 0.2, 0.1), 0), ((0, 0, 0.2, 0.1), 20), ((0.5, 0.5, 0.9, 0.6), 40))
    )

    left = without_read([first, again, other], [1], [])

    assert [s.score for s in left] == [0.2, 0.8]
    assert [s.score for s in without_read([first, again, other], [1], [(0, 0, 0.19, 0.1)])] == [0.8, 0.8]


def test_the_size_to_read_lies_within_the_setting() -> None:
    assert size_to_read(320, 180, (400, 640)) == (400, 224)
    assert size_to_read(1080, 1920, (400, 640)) == (360, 640)
    assert size_to_read(600, 1, (400, 640)) == (600, 2)


# --- texts from readings ----------------------------------------------------------------------------------------------------


def line(text: str, left: float, top: float, right: float, bottom: float, confidence: float = 0.95) -> ReadLine:
    return ReadLine(text, confidence, (left, top, right, bottom))


def texts_of(*readings: Reading, shots: tuple[Shot, ...] = ()) -> list[ScreenText]:
    return as_texts(readings, Stretch(TimeSpan(0, 60), NO_EDGES, None, shots), 0.6)


def test_lines_below_each_other_are_one_text_others_are_apart() -> None:
    lines = [
        line("I never said", 0.3, 0.8, 0.7, 0.86),
        line("that you would", 0.28, 0.87, 0.72, 0.93),
        line("NEWS 7", 0.85, 0.03, 0.97, 0.09),
    ]

    assert [[k.text for k in block] for block in grouped(lines)] == [["NEWS 7"], ["I never said", "that you would"]]


@pytest.mark.parametrize(
    ("lines", "lively", "kind"),
    [
        ([line("I never said", 0.3, 0.84, 0.7, 0.9)], 0.2, "caption"),
        ([line("Maria Lopez", 0.05, 0.76, 0.3, 0.83), line("reporter", 0.05, 0.84, 0.2, 0.9)], 0.2, "lower_third"),
        ([line("ACME", 0.3, 0.35, 0.7, 0.55), line("better every day", 0.35, 0.65, 0.65, 0.72)], 0.01, "card"),
        ([line("EXIT", 0.7, 0.2, 0.8, 0.27)], 0.2, "text"),
        (
            [line("Scene 4", 0.2, 0.2, 0.5, 0.3), line("Take 2", 0.2, 0.35, 0.5, 0.45), line("Director M. Vale", 0.2, 0.5, 0.6, 0.6)],
            0.02,
            "slate",
        ),
        ([line(f"Name {n} Surname", 0.3, 0.1 + 0.13 * n, 0.7, 0.18 + 0.13 * n) for n in range(6)], 0.0, "credits"),
    ],
    ids=["caption", "lower_third", "card", "text", "slate", "credits"],
)
def test_kinds_follow_from_place_size_and_ground(lines: list[ReadLine], lively: float, kind: str) -> None:
    (text,) = texts_of(Reading(5.0, tuple(lines), lively))

    assert text.kind == kind
    assert text.text == "\n".join(k.text for k in lines)


def test_one_text_read_twice_is_one_and_the_surer_reading_stays() -> None:
    first, second = line("Breaking nevs", 0.1, 0.8, 0.5, 0.9, 0.7), line("Breaking news", 0.1, 0.8, 0.5, 0.9, 0.98)

    (text,) = texts_of(Reading(5.0, (first,), 0.2), Reading(6.5, (second,), 0.2))

    assert (text.text, text.span.start_s, text.span.end_s, text.confidence) == ("Breaking news", 5.0, 7.5, 0.98)


def test_what_was_read_without_confidence_is_left_out() -> None:
    pole = line("1", 0.7, 0.5, 0.75, 0.7, 0.99)

    assert texts_of(Reading(5.0, (line("w#lj", 0.1, 0.1, 0.3, 0.2, 0.4), line("--", 0.1, 0.5, 0.2, 0.6), pole), 0.2)) == []
    assert [t.text for t in texts_of(Reading(5.0, (line("出", 0.1, 0.1, 0.2, 0.2, 0.99),), 0.2))] == ["出"]


def test_likeness_is_deaf_to_case_and_spaces() -> None:
    assert likeness("SUPER SOFT", "super soft!") == 1
    assert likeness("SUPER SOFT", "fresh fish") < 0.5


def test_rolling_credits_stand_from_their_first_line_to_their_last() -> None:
    bits = np.zeros((20, 180, 20), np.uint16)
    for second in range(5, 15):
        bits[second, 10 * (second - 5) : 10 * (second - 5) + 60, 6:14] = 0b0101_0101_0101_0101
    edges = Edges(np.arange(20.0), bits)

    assert edges.filled((0.3, 0.1, 0.7, 0.9), 10) == range(5, 15)
    assert len(edges.stretch((0.3, 0.1, 0.7, 0.9), 10)) < 10


def test_a_logo_is_no_part_of_the_cards_it_stands_on() -> None:
    logo = line("NORD TV", 0.8, 0.04, 0.97, 0.1)
    names = ("STORK", "ACME", "BREAD")
    cards = [Reading(10.0 * n, (logo, line(name, 0.3, 0.4, 0.7, 0.6)), 0.0) for n, name in enumerate(names, 1)]

    texts = texts_of(*cards)

    assert [(t.text, t.kind) for t in texts if t.kind == "card"] == [("STORK", "card"), ("ACME", "card"), ("BREAD", "card")]
    assert {(t.text, t.kind) for t in texts if t.kind != "card"} == {("NORD TV", "text")}
    assert fixtures(cards[:2]) == []


def test_a_reader_that_fails_costs_the_texts_and_nothing_else(film: tuple[Film, FolderBlobs]) -> None:
    class Broken:
        name, digest = "broken", "0"

        def find(self, picture: object) -> list[Region]:
            raise RuntimeError("no memory left\nfor anything")

        def read(self, picture: object) -> list[ReadLine]:
            return []

    told = with_texts(film[0], Place("id", "plan", film[1]), Broken(), ReadSettings(), lambda done, total: None)

    assert told.texts == ()
    assert told.lost == ("the texts in the pictures could not be read: no memory left",)
    assert with_texts(film[0], Place("id", "plan", film[1]), None, ReadSettings(), lambda done, total: None) is film[0].measured
