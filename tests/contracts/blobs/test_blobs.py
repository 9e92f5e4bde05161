"""What every blob store promises."""

from __future__ import annotations

import hashlib
import pickle
import random
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.interfaces import Blobs, StoreUnavailable
from services.blobs.claims import claim_get, claim_put
from services.messages import BadMessage, Claim

ODD_KEYS = ["series/a/000001.npz", "films/my film é 你好.mp4", "films/a+b & c=d?#100%.ts", "films/'quoted' \"twice\"~.mkv"]
MEBI = 1 << 20


class Endless:
    """Gives `size` bytes made on the spot, or breaks off after `breaks_at`."""

    def __init__(self, size: int, breaks_at: int | None = None) -> None:
        self.left, self.until_break = size, breaks_at
        self.digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        if self.until_break is not None and self.until_break <= 0:
            raise ConnectionResetError("the sender is gone")
        piece = (b"%07d\n" % (self.left % 9_999_991) * (size // 8 + 1))[: min(size, self.left, 300_000)]  # short, as sockets give
        self.left -= len(piece)
        if self.until_break is not None:
            self.until_break -= len(piece)
        self.digest.update(piece)
        return piece


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 4000], ids=["nothing", "zero", "a megabyte"])
def test_bytes_come_back_under_any_key(blobs: Blobs, key: str, data: bytes):
    blobs.put(key, data)

    assert blobs.get(key) == blobs.get(key) == data
    assert list(blobs.keys("")) == [key]
    assert (blobs.stat(key).key, blobs.stat(key).size) == (key, len(data))
    with blobs.open(key).open("rb") as file:
        assert file.read(len(data) + 1) == data
    assert blobs.open(key).name == key.rpartition("/")[2]


def test_keys_are_sorted_and_chosen_by_any_beginning(blobs: Blobs):
    for key in ("b/2", "b/10", "b/1/deep", "a/é", "a/z", "bb/1"):
        blobs.put(key, b"")

    assert list(blobs.keys("")) == ["a/z", "a/é", "b/1/deep", "b/10", "b/2", "bb/1"]
    assert list(blobs.keys("b")) == ["b/1/deep", "b/10", "b/2", "bb/1"]
    assert list(blobs.keys("b/1")) == ["b/1/deep", "b/10"]
    assert list(blobs.keys("b/2")) == ["b/2"]
    assert list(blobs.keys("nothing/")) == []


def test_a_listing_tells_what_each_key_tells(blobs: Blobs):
    for key in ("films/b.mp4", "films/a é.mp4", "series/1"):
        blobs.put(key, key.encode())

    listed = list(blobs.stored("films/"))

    assert [(one.key, one.size) for one in listed] == [("films/a é.mp4", 14), ("films/b.mp4", 11)]
    assert [one.version for one in listed] == [blobs.stat(one.key).version for one in listed]
    assert [one.changed_at for one in listed] == pytest.approx([blobs.stat(one.key).changed_at for one in listed], abs=1)


def test_what_was_never_put_or_is_deleted_is_a_key_error(blobs: Blobs):
    blobs.put("series/a/000001.npz", b"1")
    blobs.delete("series/a/000001.npz")
    blobs.delete("series/a/000001.npz")

    for missing in ("series/a/000001.npz", "series/a", "nothing", "nothing/at all"):
        for ask in (blobs.get, blobs.stat, blobs.open):
            with pytest.raises(KeyError, match=missing):
                ask(missing)


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "/etc/evil", "a//b", "", "a/", ".", "a/./b", "nul\0"])
def test_a_key_never_leads_out_of_the_store(blobs: Blobs, key: str):
    for use in (blobs.get, blobs.stat, blobs.open, blobs.delete, lambda key: blobs.put(key, b""), lambda key: blobs.put_new(key, b"")):
        with pytest.raises(ValueError, match="out of the store"):
            use(key)


def test_putting_again_replaces_and_changes_the_version(blobs: Blobs):
    blobs.put("report", b"first")
    first = blobs.stat("report")
    blobs.put("report", b"other")

    assert blobs.get("report") == b"other"
    assert blobs.stat("report").version != first.version
    assert blobs.stat("report").changed_at >= first.changed_at > 1.7e9


def test_a_reader_never_sees_half_a_write(blobs: Blobs):
    wholes = [bytes([k]) * 300_000 for k in range(1, 30)]
    blobs.put("block", wholes[0])
    seen: list[bytes] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.append(blobs.get("block"))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for whole in wholes:
            blobs.put("block", whole)
        ended.set()
        for reader in readers:
            reader.result()

    assert seen
    assert {len(data) for data in seen} == {300_000}
    assert all(data.count(data[0]) == len(data) for data in seen)


def test_of_ten_that_put_at_once_one_wins(blobs: Blobs):
    barrier = threading.Barrier(10)

    def put(number: int) -> bool:
        barrier.wait()
        return blobs.put_new("claim", b"%d" % number)

    with ThreadPoolExecutor(10) as pool:
        won = list(pool.map(put, range(10)))

    assert won.count(True) == 1
    assert blobs.get("claim") == b"%d" % won.index(True)
    assert blobs.put_new("claim", b"late") is False
    assert blobs.get("claim") == b"%d" % won.index(True)


@pytest.mark.parametrize("size", [0, 1, 300_000, 50_000_000])
def test_a_stream_of_any_length_is_kept_in_flat_memory(blobs: Blobs, size: int):
    stream = Endless(size)
    tracemalloc.start()

    stored = blobs.put_stream("films/long.ts", stream)

    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 80 * MEBI  # S3: a part of 16 MiB, what is read ahead of the next, and their joining
    assert (stored.key, stored.size) == ("films/long.ts", size)
    digest = hashlib.sha256()
    with blobs.open("films/long.ts").open("rb") as file:
        while data := file.read(MEBI):
            digest.update(data)
    assert digest.digest() == stream.digest.digest()


@pytest.mark.parametrize("breaks_at", [0, 300_000, 40_000_000])
def test_a_stream_that_breaks_off_leaves_nothing(blobs: Blobs, breaks_at: int):
    with pytest.raises((ConnectionResetError, StoreUnavailable), match="the sender is gone"):
        blobs.put_stream("films/broken.ts", Endless(50_000_000, breaks_at))

    assert list(blobs.keys("")) == []


def test_parts_are_read_up_to_their_edges(blobs: Blobs):
    data = random.Random(3).randbytes(700_001)
    blobs.put("film.mp4", data)

    with blobs.open("film.mp4").open("rb") as file:
        for start, length in [(0, 1), (262_143, 2), (262_144, 1), (700_000, 1), (700_000, 5), (700_001, 1), (5, 0), (0, 700_001)]:
            assert file.seek(start) == start
            assert file.read(length) == data[start : start + length]
        assert file.seek(-3, 2) == 699_998
        assert file.read(10) == data[-3:]
        assert file.tell() == 700_001


def test_a_store_travels_to_another_process(blobs: Blobs):
    blobs.put("a", b"1")

    assert pickle.loads(pickle.dumps(blobs)).get("a") == b"1"


def test_a_claim_gives_the_bytes_it_names_and_no_others(blobs: Blobs):
    claim = claim_put(blobs, "claims/", b'{"found": 1}', "application/json")

    assert claim == Claim("claims/" + hashlib.sha256(b'{"found": 1}').hexdigest(), claim.sha256, 12, "application/json")
    assert claim_put(blobs, "claims/", b'{"found": 1}', "application/json") == claim
    assert claim_get(blobs, claim) == b'{"found": 1}'

    blobs.put(claim.uri, b'{"found": 2}')
    with pytest.raises(BadMessage, match="is damaged"):
        claim_get(blobs, claim)
    blobs.delete(claim.uri)
    with pytest.raises(KeyError):
        claim_get(blobs, claim)
