"""What the shelf of known spots promises."""

import numpy as np
import pytest

from pipelines.interfaces import WrongRequest
from pipelines.series import Series
from pipelines.spots import Spot
from pipelines.spots_prints import Print
from pipelines.stores.database import DatabaseResults
from pipelines.stores.spots import SpotShelf


def spot(name: str, id_: str = "a" * 64, seed: int = 1) -> Spot:
    rng = np.random.default_rng(seed)
    words = rng.integers(1, 2**32, 100, dtype=np.uint32)
    pictures = Series(np.arange(20) * 0.2, rng.integers(0, 256, (20, 3, 9, 16), dtype=np.uint8))
    return Spot(id_, name, Print(4.0, words, pictures, 0.013), "Fizz & Co", "drink", "summer", "fizz.mp4")


@pytest.fixture
def shelf(results: DatabaseResults) -> SpotShelf:
    return SpotShelf(results)


def test_a_spot_comes_back_with_its_words_and_its_fingerprint(shelf: SpotShelf):
    shelf.add(spot("fizz"))

    (back,) = shelf.all()

    assert (back.name, back.advertiser, back.product, back.note, back.origin) == ("fizz", "Fizz & Co", "drink", "summer", "fizz.mp4")
    assert (back.print.words == spot("fizz").print.words).all()
    assert (back.print.pictures.values == spot("fizz").print.pictures.values).all()
    assert (back.length_s, back.print.words_at_s) == (4.0, 0.013)


def test_spots_come_in_the_order_of_their_names(shelf: SpotShelf):
    for number, name in enumerate(("b", "c", "a")):
        shelf.add(spot(name, f"{number}" * 64))

    assert [one.name for one in shelf.all()] == ["a", "b", "c"]


def test_a_name_or_a_fingerprint_that_is_there_is_refused(shelf: SpotShelf):
    shelf.add(spot("fizz"))

    with pytest.raises(WrongRequest, match="called 'fizz' is there"):
        shelf.add(spot("fizz", "b" * 64))
    with pytest.raises(WrongRequest, match="as 'fizz'"):
        shelf.add(spot("other"))


def test_a_spot_is_removed_by_name_by_id_and_by_the_begin_of_an_id(shelf: SpotShelf):
    for number, name in enumerate(("one", "two", "three")):
        shelf.add(spot(name, f"{number}" * 64))

    assert [shelf.remove(word).name for word in ("one", "1" * 64, "22")] == ["one", "two", "three"]
    assert shelf.all() == ()
    for word in ("none", ""):
        with pytest.raises(WrongRequest, match="no spot"):
            shelf.remove(word)


def test_an_ambiguous_begin_is_said_so(shelf: SpotShelf):
    shelf.add(spot("one", "ab" + "0" * 62))
    shelf.add(spot("two", "ac" + "0" * 62))

    with pytest.raises(WrongRequest, match="2 spots"):
        shelf.remove("a")


def test_where_a_video_lies_is_remembered(shelf: SpotShelf):
    shelf.met("v" * 64, "old/film.mp4")
    shelf.met("v" * 64, "new/film.mp4")

    assert shelf.paths() == {"v" * 64: "new/film.mp4"}
