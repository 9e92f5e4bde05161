"""Memories in a blob store, block by block as they are folded, so that a watch that was stopped goes on from its last block.

`memories/KEY/manifest.json`, `memories/KEY/sink`, `memories/KEY/00012`, and once sealed `memories/KEY/mean_keys`; KEY is the recipe's.
Every block names its memory, its number and the digest of the block it was folded behind: a chain, so that a block of another memory,
of an earlier try or of a damaged store is never believed. It is folded again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from model.language.kv_memory import Block
from model.systems.manifest import Manifest, Recipe, UnreadableMemory
from model.systems.memory_file import check_blocks, digest_of, means_of, pack, pack_block, unpack, unpack_block
from model.systems.video_xl import Memory

logger = logging.getLogger(__name__)

ROOT = "memories/"
SINK = -1  # the number of the prompt before the video
Frames = tuple[list[float], list[int]]  # times and ticks of a block's frames


class Blobs(Protocol):
    """Bytes under keys. Writes are whole and atomic."""

    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> bytes:
        """Raises KeyError where nothing was put."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Sorted."""
        ...

    def delete(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A memory in the store without its tensors. digests, rows: of the prompt and of every block; None and none until it is sealed."""

    manifest: Manifest
    digests: tuple[str, ...] | None
    rows: tuple[int, ...] = ()
    size_bytes: int = 0  # of all keys and values


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Whatever the blobs raise is passed on; what was put before stays."""

    blobs: Blobs

    def put_sink(self, manifest: Manifest, sink: Block) -> None:
        """Begin a memory. manifest: without frames, or with those that have come so far."""
        key = manifest.recipe.key
        self.blobs.put(_place(key, SINK), pack_block(sink, {"key": key, "number": SINK, "behind": ""}))
        self._put_manifest(Stored(replace(manifest, is_complete=False), None))

    def put_block(self, manifest: Manifest, memory: Memory, number: int) -> None:
        """Keep block `number` of a memory that is being watched. manifest: with the times of its frames."""
        key = manifest.recipe.key
        self.blobs.put(_place(key, number), self._packed(manifest, memory, number))

    def seal(self, manifest: Manifest, memory: Memory) -> None:
        """No more blocks come: put those that are not there yet, and name all, so that the memory is found and trusted as a whole."""
        check_blocks(memory.blocks, manifest)
        key = manifest.recipe.key
        there = set(self.blobs.keys(f"{ROOT}{key}/"))
        for number in range(len(memory.blocks)):
            if _place(key, number) not in there:
                self.put_block(manifest, memory, number)
        self.blobs.put(f"{ROOT}{key}/mean_keys", pack({"mean_keys": means_of(memory)}, {"key": key}))
        blocks = (memory.sink, *memory.blocks)
        size_bytes = sum(block.size_bytes for block in blocks)
        self._put_manifest(Stored(manifest, tuple(map(digest_of, blocks)), tuple(map(len, blocks)), size_bytes))

    def put(self, manifest: Manifest, memory: Memory) -> None:
        """Keep a memory that was watched elsewhere, whole."""
        check_blocks(memory.blocks, manifest)
        self.put_sink(manifest, memory.sink)
        for number in range(len(memory.blocks)):
            self.put_block(manifest, memory, number)
        self.seal(manifest, memory)

    def find(self, key: str) -> Stored | None:
        """What is told of a memory; None where it was never begun, or where what is told cannot be believed."""
        try:
            return self._stored(key)
        except KeyError:
            return None
        except UnreadableMemory as error:
            logger.warning("memory not believed key=%s reason=%s", key, error)
            return None

    def resume(self, recipe: Recipe) -> tuple[Memory, Manifest] | None:
        """As much of a memory as can be gone on with, exactly: all of it where it was watched to its end, else its whole windows.

        None where there is none. Its manifest is complete only if all of the memory is. Where a block ends inside a frame the
        manifest has that frame too, so watching goes on with frame `visual_tokens // tokens_per_frame`, less the tokens before.
        """
        key = recipe.key
        if (stored := self.find(key)) is None or (sink := self._believed(key, SINK, "")) is None:
            return None
        digests = [sink[1]["digest"]]
        blocks: list[Block] = []
        frames: list[Frames] = []
        while found := self._believed(key, len(blocks), digests[-1]):
            block, told = found
            blocks.append(block)
            frames.append((told["times_s"], told["ticks"]))
            digests.append(told["digest"])
        memory = Memory(sink[0], tuple(blocks))
        if stored.manifest.is_complete and stored.digests == tuple(digests):
            return memory, stored.manifest
        return _whole_windows(memory, frames, stored.manifest)

    def load(self, key: str) -> tuple[Memory, Manifest]:
        """A sealed memory. Raises KeyError where there is none, UnreadableMemory where one of its blocks is not as it was written."""
        stored = self._stored(key)
        if stored.digests is None:
            raise KeyError(key)
        sink, *blocks = (self.block(key, number, digest) for number, digest in enumerate(stored.digests, SINK))
        return Memory(sink, tuple(blocks)), stored.manifest

    def block(self, key: str, number: int, digest: str) -> Block:
        """One block of a sealed memory, or its prompt (SINK). digest: as `find` told it."""
        place = _place(key, number)
        try:
            block, told = unpack_block(self.blobs.get(place), place)
        except KeyError as error:
            raise UnreadableMemory(f"{place} is missing; watch the video again") from error
        if told.get("key") != key or told.get("number") != number or told["digest"] != digest:
            raise UnreadableMemory(f"{place} is of another memory; watch the video again")
        return block

    def mean_keys(self, key: str) -> Tensor:
        """Of a sealed memory, as `memory_file.means_of` makes them, without reading its blocks. Raises KeyError, UnreadableMemory."""
        place = f"{ROOT}{key}/mean_keys"
        tensors, told = unpack(self.blobs.get(place), place)
        if told.get("key") != key:
            raise UnreadableMemory(f"{place} is of another memory; watch the video again")
        return tensors["mean_keys"]

    def delete(self, key: str) -> None:
        """The manifest goes first: what is left if this stops is no memory to anybody."""
        for place in (f"{ROOT}{key}/manifest.json", *self.blobs.keys(f"{ROOT}{key}/")):
            self.blobs.delete(place)

    def sizes(self) -> dict[str, int]:
        """Bytes of keys and values by memory, of those that are sealed."""
        found = {place.split("/")[1] for place in self.blobs.keys(ROOT)}
        return {key: stored.size_bytes for key in sorted(found) if (stored := self.find(key)) and stored.digests}

    def _packed(self, manifest: Manifest, memory: Memory, number: int) -> bytes:
        block = memory.blocks[number]
        behind = memory.blocks[number - 1] if number else memory.sink
        frames = slice(*(-(-token // manifest.tokens_per_frame) for token in (block.start, block.end)))
        told = {
            "key": manifest.recipe.key, "number": number, "behind": digest_of(behind),
            "times_s": manifest.times_s[frames].tolist(), "ticks": manifest.ticks[frames].tolist(),
        }  # fmt: skip
        return pack_block(block, told)

    def _believed(self, key: str, number: int, behind: str) -> tuple[Block, dict[str, Any]] | None:
        """A stored block, if it is the one that was folded behind the one of that digest."""
        place = _place(key, number)
        try:
            block, told = unpack_block(self.blobs.get(place), place)
        except KeyError:
            return None
        except UnreadableMemory as error:
            logger.warning("block not believed place=%s reason=%s", place, error)
            return None
        if (told.get("key"), told.get("number"), told.get("behind")) != (key, number, behind):
            logger.warning("block not believed place=%s reason=folded behind another", place)
            return None
        return block, told

    def _stored(self, key: str) -> Stored:
        place = f"{ROOT}{key}/manifest.json"
        told = _told_in(self.blobs.get(place), place)
        manifest = Manifest.from_json(told["manifest"])
        if manifest.recipe.key != key:
            raise UnreadableMemory(f"{place} is of another memory")
        digests = told["digests"]
        return Stored(manifest, None if digests is None else tuple(digests), tuple(told["rows"]), told["size_bytes"])

    def _put_manifest(self, stored: Stored) -> None:
        told = {
            "manifest": stored.manifest.to_json(), "digests": stored.digests, "rows": stored.rows, "size_bytes": stored.size_bytes,
        }  # fmt: skip
        text = json.dumps(told, sort_keys=True)
        guarded = json.dumps({"sha256": sha256(text.encode()).hexdigest(), "told": told}, sort_keys=True)
        self.blobs.put(f"{ROOT}{stored.manifest.recipe.key}/manifest.json", guarded.encode())


def _place(key: str, number: int) -> str:
    return f"{ROOT}{key}/{'sink' if number == SINK else f'{number:05}'}"


def _told_in(data: bytes, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
        text = json.dumps(found["told"], sort_keys=True)
        if sha256(text.encode()).hexdigest() != found["sha256"]:
            raise ValueError("it is not as it was written")
        told: Mapping[str, Any] = found["told"]
        return told
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableMemory(f"{place} is damaged or no manifest of a memory: {error}") from error


def _whole_windows(memory: Memory, frames: Sequence[Frames], manifest: Manifest) -> tuple[Memory, Manifest]:
    """Without a last window that was cut short, for it can be folded again only together with what follows."""
    whole = [block for block in memory.blocks if block.end - block.start == manifest.window]
    times_s = np.array([time for times, _ in frames[: len(whole)] for time in times], np.float64)
    ticks = np.array([tick for _, ticks in frames[: len(whole)] for tick in ticks], np.int64)
    return Memory(memory.sink, tuple(whole)), replace(manifest, times_s=times_s, ticks=ticks, is_complete=False)
