"""A cache of what never changes: read once from far away, within its budget, and never in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.cached import CachedBlobs
from pipelines.stores.folder import FolderBlobs

KIB = 1 << 10


class Far(FolderBlobs):
    """Counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.asked[key] += 1
        return super().get(key)


def block(number: int, video: str = "ab12") -> str:
    return f"series/{video}/plan-eyes-1hz/{number:06d}.npz"


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path / "far")


@pytest.fixture
def blobs(tmp_path: Path, far: Far) -> CachedBlobs:
    return CachedBlobs(FolderBlobs(tmp_path / "near"), far, budget_bytes=1000 * KIB)


def test_a_block_is_read_from_far_away_once_and_one_put_here_never(blobs: CachedBlobs, far: Far):
    far.put(block(0), b"by another machine")
    blobs.put(block(1), b"by this one")

    assert [blobs.get(block(k)) for k in (0, 1, 0, 1)] == [b"by another machine", b"by this one"] * 2
    assert far.asked == {block(0): 1}
    assert far.get(block(1)) == b"by this one"


@pytest.mark.parametrize("key", ["series/ab12/plan/manifest.json", "search/ab12/meaning.npy", "texts/ab12/0000.json"])
def test_what_may_change_is_always_read_anew(key: str, blobs: CachedBlobs, far: Far):
    blobs.put(key, b"before")
    far.put(key, b"after")

    assert blobs.get(key) == b"after"
    assert list(blobs.near.keys("")) == []


def test_what_is_deleted_is_gone_here_too(blobs: CachedBlobs):
    blobs.put(block(0), b"1")
    blobs.delete(block(0))

    with pytest.raises(KeyError):
        blobs.get(block(0))


def kept_bytes(blobs: CachedBlobs) -> int:
    return sum(stored.size for stored in blobs.near.stored(""))


def test_copies_stay_within_the_budget_and_those_in_use_stay_longest(blobs: CachedBlobs, far: Far):
    most = 0
    for k in range(60):
        blobs.put(block(k), bytes(40 * KIB))
        blobs.get(block(0))
        most = max(most, kept_bytes(blobs))

    assert 700 * KIB < most <= 1000 * KIB
    assert far.asked[block(0)] == 0
    assert len(list(far.keys(""))) == 60
    assert [len(blobs.get(block(k))) for k in range(60)] == [40 * KIB] * 60
    assert kept_bytes(blobs) <= 1000 * KIB


def test_what_is_larger_than_a_share_of_the_budget_is_not_kept(blobs: CachedBlobs):
    blobs.put(block(0), bytes(60 * KIB))

    assert kept_bytes(blobs) == 0
    assert len(blobs.get(block(0))) == 60 * KIB


def test_several_that_share_a_folder_read_what_they_need(tmp_path: Path, far: Far):
    for k in range(40):
        far.put(block(k), bytes([k]) * 40 * KIB)
    many = [CachedBlobs(FolderBlobs(tmp_path / "near"), far, budget_bytes=1000 * KIB) for _ in range(4)]

    def read_all(blobs: CachedBlobs) -> bool:
        return all(blobs.get(block(k)) == bytes([k]) * 40 * KIB for _ in range(2) for k in range(40))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_all, many)) == [True] * 4
    assert kept_bytes(many[0]) <= 1000 * KIB * 1.2  # each may be a twentieth over it for a moment


class Full(FolderBlobs):
    """A disk on which there is no room."""

    def put(self, key: str, data: bytes) -> None:
        raise StoreUnavailable("cannot write: No space left on device")


def test_a_full_disk_here_costs_only_time(far: Far, tmp_path: Path):
    blobs = CachedBlobs(Full(tmp_path / "near"), far, budget_bytes=1000 * KIB)
    blobs.put(block(0), b"1")

    assert blobs.get(block(0)) == b"1"


def test_a_far_store_that_is_away_is_said_so_but_copies_are_read(tmp_path: Path, blobs: CachedBlobs):
    class Away(FolderBlobs):
        def get(self, key: str) -> bytes:
            raise StoreUnavailable("does not answer")

        def keys(self, prefix: str) -> Iterator[str]:
            raise StoreUnavailable("does not answer")

    blobs.put(block(0), b"1")
    away = CachedBlobs(blobs.near, Away(tmp_path / "far"), budget_bytes=1000 * KIB)

    assert away.get(block(0)) == b"1"
    with pytest.raises(StoreUnavailable):
        away.get(block(1))
