"""Several memories within byte budgets: the same answers from every tier, in any order, from several threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from model.language.generate import Generation  # noqa: E402
from model.language.retrieval import Retrieval, choose_blocks, mean_keys  # noqa: E402
from model.systems.memory_store import MemoryStore  # noqa: E402
from model.systems.shelf import MemoryTooLarge, Shelf, ShelfBusy  # noqa: E402
from model.systems.video_xl import Memory  # noqa: E402
from pipelines.interfaces import StoreUnavailable  # noqa: E402
from pipelines.stores.folder import FolderBlobs  # noqa: E402
from tests.model.memories import answers, film, manifest_of, tiny, watched  # noqa: E402

FILMS = 6
ROW_BYTES = 2 * 3 * 2 * 8 * 4  # keys and values, layers, heads, width, float32
QUESTION = [[7, 8], [9, 10, 11]]
THREE = Generation(max_new_tokens=3, stop_ids=frozenset())


@pytest.fixture(scope="module")
def system():
    return tiny()


@pytest.fixture(scope="module")
def films(system):
    """(manifest, memory) of films of 30 to 80 frames."""
    tokens = [film(30 + 10 * number, seed=number) for number in range(FILMS)]
    return [(manifest_of(t, video=f"film {n}"), watched(system, t)) for n, t in enumerate(tokens)]


@pytest.fixture(scope="module")
def wanted(system, films):
    """Answers of memories that never saw a shelf, by key."""
    return {manifest.recipe.key: answers(system, memory, QUESTION, THREE) for manifest, memory in films}


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(FolderBlobs(tmp_path))


def shelf_of(system, store: MemoryStore, films, device: int, host: int, **options) -> Shelf:
    """Budgets in rows of keys and values."""
    shelf = Shelf(system, store, device * ROW_BYTES, host * ROW_BYTES, **options)
    for manifest, memory in films:
        shelf.put(manifest, memory)
    return shelf


def asked(shelf: Shelf, key: str):
    with shelf.open(key) as memory:
        return answers(shelf.system, memory, QUESTION, THREE)


LARGEST = 5 + 80 * 4 // 8


@pytest.mark.parametrize(("device", "host"), [(LARGEST, 0), (LARGEST, 7), (LARGEST, 60), (100, 100), (10**6, 0), (10**6, 10**6)])
def test_answers_are_the_same_whatever_the_budgets(device: int, host: int, system, films, wanted, store: MemoryStore) -> None:
    shelf = shelf_of(system, store, films, device, host)
    order = random.Random(device + host)

    for _ in range(16):
        key = order.choice(films)[0].recipe.key
        assert asked(shelf, key) == wanted[key]

        assert shelf.device.used <= shelf.device.most <= shelf.device.budget and shelf.host.used <= shelf.host.most <= shelf.host.budget
        for tier in (shelf.device, shelf.host):
            assert tier.used == sum(item.size_bytes for item in tier.items.values()) and tier.pinned == 0


def test_what_tensors_take_is_what_is_counted(system, films, store: MemoryStore) -> None:
    shelf = shelf_of(system, store, films, 120, 90)
    for manifest, _ in films:
        asked(shelf, manifest.recipe.key)

    for tier in (shelf.device, shelf.host):
        held = [x for item in tier.items.values() for x in (item.value.keys, item.value.values)]
        assert tier.used == sum(x.untyped_storage().nbytes() for x in held) > 0


@pytest.mark.parametrize(("device", "host"), [(60, 30), (100, 60), (300, 0)])
def test_several_threads_get_the_same_answers_within_the_budgets(device: int, host: int, system, films, wanted, store) -> None:
    shelf = shelf_of(system, store, films, device, host)
    keys = [manifest.recipe.key for manifest, _ in random.Random(1).choices(films, k=40)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda key: asked(shelf, key), keys))

    assert found == [wanted[key] for key in keys]
    assert shelf.device.most <= shelf.device.budget and shelf.host.most <= shelf.host.budget
    assert shelf.device.pinned == 0


def test_blocks_come_from_the_highest_tier_that_has_them(system, films, store: MemoryStore) -> None:
    memory, key = films[2][1], films[2][0].recipe.key
    blocks = len(memory.blocks) + 1
    shelf = shelf_of(system, store, [films[2]], 2 * memory.rows, 10**6)
    for name in ("device", "open", "open"):
        asked(shelf, key)
        assert shelf.came_from.pop(name) == blocks and not shelf.came_from
    asked(shelf_of(system, store, [], memory.rows, 0), key)

    other = shelf_of(system, store, [], memory.rows, 10**6)
    for name, forget in (("store", False), ("open", False), ("host", True), ("open", False)):
        if forget:
            other.device.take(next(iter(other.device.items)))
        asked(other, key)
        assert other.came_from.pop(name) == blocks and not other.came_from


def test_part_of_a_memory_may_be_on_each_tier(system, films, wanted, store: MemoryStore) -> None:
    manifest, memory = films[5]  # the prompt and 8 blocks, 5 rows each
    store.put(manifest, memory)
    shelf = shelf_of(system, store, [], device=55, host=10)

    with shelf.open(manifest.recipe.key, [0, 3]):
        assert shelf.came_from == {"store": 3}
    # 45 rows are wanted beside those 15: what was open goes, then the prompt, to the host.
    assert asked(shelf, manifest.recipe.key) == wanted[manifest.recipe.key]

    assert shelf.came_from == {"store": 3 + 6, "host": 1, "device": 2}
    assert shelf.device.used == 55 * ROW_BYTES and shelf.host.used == 10 * ROW_BYTES


def test_what_is_put_fills_the_tiers_from_the_latest_block_down(system, films, store: MemoryStore) -> None:
    shelf = shelf_of(system, store, [films[5]], device=20, host=10)

    held = [[item.value.start // 40 for item in tier.items.values()] for tier in (shelf.device, shelf.host)]

    assert held == [[4, 5, 6, 7], [2, 3]]


def test_chosen_blocks_stand_on_consecutive_places(system, films, store: MemoryStore) -> None:
    manifest, memory = films[4]
    shelf = shelf_of(system, store, [films[4]], 10**6, 0)
    alone = Memory(memory.sink, (memory.blocks[1], memory.blocks[4]))

    with shelf.open(manifest.recipe.key, [1, 4]) as buffer:
        assert answers(system, buffer, QUESTION, THREE) == answers(system, alone, QUESTION, THREE)
    with pytest.raises(IndexError), shelf.open(manifest.recipe.key, [len(memory.blocks)]):
        pass


def test_a_question_may_look_at_the_blocks_that_answer_it_alone(system, films, store: MemoryStore) -> None:
    manifest, memory = films[5]
    key, options = manifest.recipe.key, Retrieval(blocks=3)
    shelf = shelf_of(system, store, [films[5]], device=20, host=200)
    (wanted,) = choose_blocks(system.decoder, memory.sink, mean_keys(memory.blocks), QUESTION[:1], options)

    for _ in range(2):  # the second time nothing is read from the store
        (numbers,) = choose_blocks(system.decoder, shelf.block(key), shelf.mean_keys(key), QUESTION[:1], options)
        shelf.store.blobs.delete(f"memories/{key}/mean_keys")

    assert numbers == wanted and len(numbers) == 3
    with shelf.open(key, numbers) as buffer:
        assert answers(system, buffer, QUESTION) == answers(system, Memory(memory.sink, tuple(memory.blocks[n] for n in numbers)), QUESTION)
    assert shelf.host.used <= shelf.host.budget and shelf.device.used <= shelf.device.budget


def test_what_is_being_asked_stays_and_others_wait(system, films, wanted, store: MemoryStore) -> None:
    keys = [manifest.recipe.key for manifest, _ in films]
    shelf = shelf_of(system, store, films, LARGEST, 0, patience_s=0.05)

    with shelf.open(keys[5]) as memory:
        with pytest.raises(ShelfBusy, match="are being asked; ask again later"), shelf.open(keys[4]):
            pass
        with shelf.open(keys[5]) as again:
            assert again is memory
        assert answers(system, memory, QUESTION, THREE) == wanted[keys[5]]
    assert asked(shelf, keys[4]) == wanted[keys[4]]

    shelf.patience_s = 60
    opened, ended = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with shelf.open(keys[5]):
            later = pool.submit(lambda: (opened.set(), asked(shelf, keys[3]), ended.set())[1])
            opened.wait()
            assert not ended.wait(0.05)
        assert later.result() == wanted[keys[3]]


def test_a_memory_larger_than_the_device_is_refused_with_what_would_fit(system, films, store: MemoryStore) -> None:
    manifest, memory = films[5]
    shelf = shelf_of(system, store, films, memory.rows - 1, 0)

    with (
        pytest.raises(
            MemoryTooLarge, match=r"the memory of film 5 takes 0\.0 MB in use .* 7 of its 8 blocks fit at once, so choose blocks"
        ),
        shelf.open(manifest.recipe.key),
    ):
        pass
    with shelf.open(manifest.recipe.key, range(7)) as buffer:
        assert buffer.length == 40


def test_a_memory_that_nobody_stored_is_not_there(system, store: MemoryStore) -> None:
    with pytest.raises(KeyError), shelf_of(system, store, [], 100, 100).open("0" * 64):
        pass


class Failing:
    """A blob store that stops answering after so many writes, or reads."""

    def __init__(self, blobs: FolderBlobs, puts: int = 10**9, gets: int = 10**9) -> None:
        self.blobs, self.puts, self.gets = blobs, puts, gets

    def put(self, key: str, data: bytes) -> None:
        self.puts -= 1
        if self.puts < 0:
            raise StoreUnavailable("the store is full")
        self.blobs.put(key, data)

    def get(self, key: str) -> bytes:
        self.gets -= 1
        if self.gets < 0:
            raise StoreUnavailable("the store does not answer")
        return self.blobs.get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self.blobs.keys(prefix)

    def delete(self, key: str) -> None:
        self.blobs.delete(key)


@pytest.mark.parametrize("puts", [0, 1, 5, 11])
def test_nothing_is_lost_when_the_store_takes_nothing(puts: int, system, films, wanted, tmp_path: Path) -> None:
    blobs = Failing(FolderBlobs(tmp_path))
    shelf = shelf_of(system, MemoryStore(blobs), films[:1], 10**6, 10**6)
    manifest, memory = films[5]
    blobs.puts = puts

    with pytest.raises(StoreUnavailable):
        shelf.put(manifest, memory)

    assert asked(shelf, films[0][0].recipe.key) == wanted[films[0][0].recipe.key]
    assert answers(system, memory, QUESTION, THREE) == wanted[manifest.recipe.key]
    blobs.puts = 10**9
    shelf.put(manifest, memory)
    assert asked(Shelf(system, shelf.store, 10**6, 0), manifest.recipe.key) == wanted[manifest.recipe.key]


def test_a_store_that_does_not_answer_leaves_the_shelf_in_order(system, films, wanted, tmp_path: Path) -> None:
    blobs = Failing(FolderBlobs(tmp_path))
    key = films[5][0].recipe.key
    shelf_of(system, MemoryStore(blobs), films, 0, 0)
    shelf = shelf_of(system, MemoryStore(blobs), [], 100, 0)
    blobs.gets = 4

    with pytest.raises(StoreUnavailable), shelf.open(key):
        pass

    assert shelf.device.used == shelf.device.pinned == 0
    blobs.gets = 10**9
    assert asked(shelf, key) == wanted[key]


def test_a_memory_that_has_grown_is_answered_from_as_it_is_now(system, films, wanted, store: MemoryStore) -> None:
    manifest, memory = films[5]
    shelf = shelf_of(system, store, [], 10**6, 10**6)
    early = Memory(memory.sink, memory.blocks[:3])
    shelf.put(manifest_of(film(30), video="film 5"), early)
    before = asked(shelf, manifest.recipe.key)

    shelf.put(manifest, memory)

    assert before == answers(system, early, QUESTION, THREE)
    assert asked(shelf, manifest.recipe.key) == wanted[manifest.recipe.key]
    shelf.forget(manifest.recipe.key)
    assert not [p for p in shelf.device.items if isinstance(p, tuple)]
    assert asked(shelf, manifest.recipe.key) == wanted[manifest.recipe.key]
