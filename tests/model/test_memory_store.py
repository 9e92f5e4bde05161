"""Memories kept block by block: a watch that is killed goes on exactly, and no block is believed that is not the right one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from model.compression.summary_tokens import Ratios  # noqa: E402
from model.language.retrieval import mean_keys  # noqa: E402
from model.systems.manifest import UnreadableMemory  # noqa: E402
from model.systems.memory_store import MemoryStore  # noqa: E402
from pipelines.stores.folder import FolderBlobs  # noqa: E402
from tests.model.memories import PROMPT, TOKENS_PER_FRAME, film, manifest_of, same, tiny, watched  # noqa: E402

FRAMES = 73  # 7 windows of 40 tokens, and 12 tokens


@pytest.fixture(scope="module")
def system():
    return tiny()


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(FolderBlobs(tmp_path))


def frames(count: int, ratios: str, window: int = 40, **changes):
    """A manifest after so many frames."""
    whole = manifest_of(film(FRAMES), ratios, window=window, is_complete=False, **changes)
    return replace(whole, times_s=whole.times_s[:count], ticks=whole.ticks[:count])


def watch(system, store: MemoryStore, ratios: str, until: int = FRAMES):
    """Watches frame by frame, from what is stored on, to the end or until it is killed. Returns the memory, and how many frames it read."""
    tokens, window = film(FRAMES), system.config.summary.window
    known, manifest = store.resume(frames(0, ratios, window).recipe) or (None, frames(0, ratios, window))
    watching = system.watch(PROMPT, Ratios.parse(ratios), visual_tokens=len(tokens), known=known)
    if known is None:
        store.put_sink(manifest, watching.memory.sink)
    first, seen = divmod(watching.visual_tokens, TOKENS_PER_FRAME)  # seen: tokens of a frame that a window cut in two
    assert manifest.times_s.tolist() == list(range(first + (seen > 0)))
    for frame in range(first, until):
        portion = tokens[frame * TOKENS_PER_FRAME + (seen if frame == first else 0) : (frame + 1) * TOKENS_PER_FRAME]
        for _ in watching.add(portion):
            store.put_block(frames(frame + 1, ratios, window), watching.memory, len(watching.memory.blocks) - 1)
    if until < FRAMES:
        return watching.memory, until - first
    memory = watching.finish()
    store.seal(replace(frames(FRAMES, ratios, window), is_complete=True), memory)
    return memory, FRAMES - first


@pytest.mark.parametrize(
    "ratios", ["8", "16", "7", "16,12,7,13,12,16,7,5", "random:2,4,8", "cycle:2,4,8", "instance-random:2,4,8", "adapt-9:2,4"]
)
def test_a_watch_killed_anywhere_ends_as_an_unbroken_one(ratios: str, system, store: MemoryStore) -> None:
    whole, read = watched(system, film(FRAMES), ratios), 0
    for until in (7, 15, 16, 40, 70, FRAMES):
        memory, more = watch(system, store, ratios, until)
        read += more

    assert same(memory, whole)
    assert read == 7 + 15 + 6 + 30 + 30 + 3  # frames of a window that was not full are read again
    kept, manifest = store.load(frames(0, ratios).recipe.key)
    assert same(kept, whole) and manifest.times_s.tolist() == list(range(FRAMES))


def test_a_window_may_cut_a_frame_in_two(store: MemoryStore) -> None:
    system = tiny(window=42)
    for until in (11, 12, 22, 33, FRAMES):
        memory, _ = watch(system, store, "5", until)

    assert same(memory, watched(system, film(FRAMES), "5"))
    assert store.find(frames(0, "5").recipe.key).manifest.times_s.tolist() == list(range(FRAMES))


def test_a_finished_memory_comes_back_whole(system, store: MemoryStore) -> None:
    memory, _ = watch(system, store, "16")

    back, manifest = store.resume(frames(0, "16").recipe)

    assert same(back, memory) and manifest.is_complete and len(manifest.times_s) == FRAMES
    assert torch.equal(store.mean_keys(manifest.recipe.key), mean_keys(memory.blocks))
    assert store.sizes() == {manifest.recipe.key: sum(b.size_bytes for b in (memory.sink, *memory.blocks))}


def test_a_watch_that_was_ended_early_gives_its_short_window_back(system, store: MemoryStore) -> None:
    tokens = film(25)
    memory = watched(system, tokens, "16")
    store.put(frames(25, "16"), memory)

    known, manifest = store.resume(frames(0, "16").recipe)

    assert len(memory.blocks) == 3 and known.visual_tokens == 80 and len(manifest.times_s) == 20
    assert same(watch(system, store, "16")[0], watched(system, film(FRAMES), "16"))


DAMAGES = ["cut", "flipped", "gone", "of another film", "of another ratio", "another number", "an earlier try"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", ["sink", "00002"])
def test_a_block_that_is_not_the_right_one_is_folded_again(damage: str, number: str, system, store: MemoryStore) -> None:
    if number == "sink" and damage in ("another number", "of another ratio", "of another film"):
        number = "00000"
    watch(system, store, "16", until=60)
    key = frames(0, "16").recipe.key
    _damage(store, f"memories/{key}/{number}", damage, system)

    known = store.resume(frames(0, "16").recipe)
    memory, read = watch(system, store, "16")

    assert (len(known[0].blocks) if known else None) == {"sink": None, "00000": 0, "00002": 2}[number]
    assert same(memory, watched(system, film(FRAMES), "16")) and read == {"sink": FRAMES, "00000": FRAMES, "00002": FRAMES - 20}[number]
    assert same(store.load(key)[0], memory)


def _damage(store: MemoryStore, place: str, damage: str, system) -> None:
    blobs, whole = store.blobs, store.blobs.get(place)
    key, number = frames(0, "16").recipe.key, int(place[-1]) if place[-1].isdigit() else None
    if damage == "cut":
        blobs.put(place, whole[: len(whole) // 2])
    elif damage == "flipped":
        blobs.put(place, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif damage == "gone":
        blobs.delete(place)
    elif damage == "another number":
        blobs.put(place, blobs.get(f"memories/{key}/{number + 1:05}"))
    elif damage == "an earlier try":  # with other numbers in it, as another machine may make
        other = MemoryStore(blobs)
        memory = watched(tiny(1), film(FRAMES), "16")
        other.put_sink(frames(0, "16"), memory.sink) if number is None else other.put_block(frames(FRAMES, "16"), memory, number)
        if number is None:
            blobs.put(place, b"")
    else:
        another = frames(FRAMES, "8") if damage == "of another ratio" else frames(FRAMES, "16", video="another")
        memory = watched(system, film(FRAMES), another.recipe.ratios)
        store.put(another, memory)
        blobs.put(place, blobs.get(f"memories/{another.recipe.key}/{number:05}"))


def test_a_sealed_memory_with_a_wrong_block_is_refused_whole_and_resumed_in_part(system, store: MemoryStore) -> None:
    watch(system, store, "16")
    key = frames(0, "16").recipe.key
    store.blobs.put(f"memories/{key}/00004", store.blobs.get(f"memories/{key}/00005"))

    with pytest.raises(UnreadableMemory, match="00004 is of another memory; watch the video again"):
        store.load(key)
    known, manifest = store.resume(frames(0, "16").recipe)
    assert len(known.blocks) == 4 and not manifest.is_complete
    store.blobs.delete(f"memories/{key}/00004")
    with pytest.raises(UnreadableMemory, match="00004 is missing"):
        store.load(key)


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"sha256": "00", "told": {}}'])
def test_a_manifest_that_cannot_be_believed_is_no_memory(text: bytes, system, store: MemoryStore, caplog) -> None:
    watch(system, store, "16")
    recipe = frames(0, "16").recipe
    store.blobs.put(f"memories/{recipe.key}/manifest.json", text)

    assert store.find(recipe.key) is None and store.resume(recipe) is None and store.sizes() == {}
    assert "not believed" in caplog.text
    with pytest.raises(UnreadableMemory, match=r"manifest\.json is damaged"):
        store.load(recipe.key)


def test_what_was_never_begun_or_is_deleted_is_not_found(system, store: MemoryStore, tmp_path: Path) -> None:
    recipe = frames(0, "16").recipe
    assert store.find(recipe.key) is None and store.resume(recipe) is None
    watch(system, store, "16", until=30)
    assert not store.find(recipe.key).manifest.is_complete
    with pytest.raises(KeyError):
        store.load(recipe.key)
    watch(system, store, "16")
    store.delete(recipe.key)

    assert store.find(recipe.key) is None and store.resume(recipe) is None and list(store.blobs.keys("memories/")) == []


def test_another_recipe_is_another_memory(system, store: MemoryStore) -> None:
    watch(system, store, "16")

    assert store.resume(frames(0, "8").recipe) is None
    assert store.resume(frames(0, "16", video="another").recipe) is None


def test_a_memory_that_cannot_be_gone_on_with_is_refused(system) -> None:
    ended = watched(system, film(25), "16")

    with pytest.raises(ValueError, match="ends at visual token 100 with 1 rows, which is no whole window of 40"):
        system.watch(PROMPT, Ratios((16,)), known=ended)
    with pytest.raises(ValueError, match="block 0 of the memory ends at visual token 40 with 2 rows"):
        system.watch(PROMPT, Ratios((8,)), known=ended)
