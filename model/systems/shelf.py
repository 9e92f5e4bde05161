"""Several memories on one device: the least recently used go down, block by block, from the device to the host to the blob store.

A memory is put into the store before it is put on the shelf, so whatever leaves the host is safe, and a store that does not answer
costs nobody a memory. What is in use is the rotated form, one buffer a memory; blocks beside it stay un-rotated, for they can be put
anywhere and are exact, while turning a buffer's keys back would not be.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from model.language.kv_memory import Block, KVBuffer
from model.systems.manifest import Manifest
from model.systems.memory_file import digest_of
from model.systems.memory_store import SINK, MemoryStore, Stored
from model.systems.video_xl import Memory, VideoXL

PATIENCE_S = 600.0  # for others to end their asking; a long answer takes less


class MemoryTooLarge(Exception):
    """The memory does not fit into the budget of the device, even alone. The message says what would."""


class ShelfBusy(Exception):
    """All room on the device is taken by memories that are being asked. The same request may succeed later."""


@dataclass(slots=True)
class _Item:
    """value: None while a buffer is being filled. pins: how many ask it just now; what is pinned stays."""

    value: Block | KVBuffer | Tensor | None
    size_bytes: int
    pins: int = 0


class _Tier:
    """Least recently used first. used, most: bytes now, and at any time; pinned: bytes that stay."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget, self.used, self.most, self.pinned = budget_bytes, 0, 0, 0
        self.items: OrderedDict[Hashable, _Item] = OrderedDict()

    def find(self, place: Hashable) -> _Item | None:
        if item := self.items.get(place):
            self.items.move_to_end(place)
        return item

    def put(self, place: Hashable, item: _Item) -> list[tuple[Hashable, _Item]] | None:
        """Returns what had to go for it; None where too much is pinned."""
        if item.size_bytes + self.pinned > self.budget:
            return None
        gone = [(old, self.take(old)) for old in self._oldest(self.used + item.size_bytes - self.budget)]
        self.items[place] = item
        self.used += item.size_bytes
        self.pinned += item.size_bytes if item.pins else 0
        self.most = max(self.most, self.used)
        return gone

    def take(self, place: Hashable) -> _Item:
        item = self.items.pop(place)
        self.used -= item.size_bytes
        self.pinned -= item.size_bytes if item.pins else 0
        return item

    def pin(self, item: _Item, more: int) -> None:
        was, item.pins = item.pins, item.pins + more
        self.pinned += ((item.pins > 0) - (was > 0)) * item.size_bytes

    def _oldest(self, size_bytes: int) -> list[Hashable]:
        found = []
        for place, item in self.items.items():
            if size_bytes <= 0:
                break
            if not item.pins:
                found.append(place)
                size_bytes -= item.size_bytes
        return found


class Shelf:
    """came_from: how many blocks were found as part of an open buffer (`open`), on the `device`, on the `host`, in the `store`."""

    def __init__(self, system: VideoXL, store: MemoryStore, device_bytes: int, host_bytes: int, *, patience_s: float = PATIENCE_S) -> None:
        self.system, self.store, self.patience_s = system, store, patience_s
        self.device, self.host = _Tier(device_bytes), _Tier(host_bytes)
        self.came_from: Counter[str] = Counter()
        self._told: dict[str, Stored] = {}
        self._turn = threading.Condition()

    def put(self, manifest: Manifest, memory: Memory) -> None:
        """Take a memory, or more of one that has grown. It goes to the store first: where that fails the memory is the caller's still."""
        key = manifest.recipe.key
        digests = tuple(map(digest_of, (memory.sink, *memory.blocks)))
        stored = self.store.find(key)
        if stored is None or stored.digests != digests or stored.manifest.to_json() != manifest.to_json():
            self.store.put(manifest, memory)
            stored = self.store.find(key)
        assert stored is not None, "a memory that was just put is found"
        with self._turn:
            self._told[key] = stored
            for digest, block in zip(digests, (memory.sink, *memory.blocks), strict=True):
                self._keep(digest, block)

    @contextmanager
    def open(self, key: str, numbers: Sequence[int] | None = None) -> Iterator[KVBuffer]:
        """A memory in the form in use, which stays on the device until the `with` ends.

        numbers: of the blocks wanted, which then stand behind the prompt on consecutive positions; None: all.
        Raises KeyError where the store has no such memory, UnreadableMemory, MemoryTooLarge, ShelfBusy.
        """
        stored = self._stored(key)
        blocks = range(len(stored.rows) - 1)
        wanted = blocks if numbers is None else [blocks[number] for number in numbers]
        place = (key, stored.digests, None if numbers is None else tuple(wanted))
        buffer = self._leased(place, stored, [SINK, *wanted], beside=numbers is not None)
        try:
            yield buffer
        finally:
            with self._turn:
                self.device.pin(self.device.items[place], -1)
                self._turn.notify_all()

    def block(self, key: str, number: int = SINK) -> Block:
        """One block as it was kept, or the prompt before the video; kept on the device from now on. Raises as `open` does."""
        return self._block(self._stored(key), number, beside=True)

    def mean_keys(self, key: str) -> Tensor:
        """What `retrieval.choose_blocks` knows the blocks by; kept on the host from now on. Raises as `open` does."""
        place = (key, self._stored(key).digests, "mean keys")
        with self._turn:
            if (item := self.host.find(place)) and isinstance(item.value, Tensor):
                return item.value
        found = self.store.mean_keys(key)
        with self._turn:
            if place not in self.host.items:
                self.host.put(place, _Item(found, found.nbytes))
        return found

    def forget(self, key: str) -> None:
        """Let go of what is not being asked; the store keeps it. What is told of the memory is read again next time."""
        with self._turn:
            stored = self._told.pop(key, None)
            blocks = set(stored.digests or ()) if stored else set()
            for tier in (self.device, self.host):
                for place in [p for p, i in tier.items.items() if not i.pins and (p in blocks or (isinstance(p, tuple) and p[0] == key))]:
                    tier.take(place)

    def _stored(self, key: str) -> Stored:
        with self._turn:
            if found := self._told.get(key):
                return found
        found = self.store.find(key)
        if found is None or found.digests is None:
            raise KeyError(key)
        with self._turn:
            return self._told.setdefault(key, found)

    def _leased(self, place: Hashable, stored: Stored, numbers: Sequence[int], *, beside: bool) -> KVBuffer:
        size_bytes = self._size_bytes(sum(stored.rows[number + 1] for number in numbers))
        if size_bytes > self.device.budget:
            raise MemoryTooLarge(self._too_large(stored, size_bytes))
        with self._turn:
            if not self._turn.wait_for(lambda: self._pinned(place, size_bytes), self.patience_s):
                raise ShelfBusy(
                    f"{size_bytes / 1e6:.1f} MB are wanted on the device, and all of its {self.device.budget / 1e6:.1f} MB "
                    "are being asked; ask again later, or give the shelf more"
                )
            item = self.device.items[place]
            if isinstance(item.value, KVBuffer):
                self.came_from["open"] += len(numbers)
                return item.value
        return self._filled(place, item, stored, numbers, beside=beside)

    def _pinned(self, place: Hashable, size_bytes: int) -> bool:
        """Whether the place is ours now: with its buffer, or empty for us to fill. Not while another fills it, nor without room."""
        if item := self.device.find(place):
            self.device.pin(item, int(item.value is not None))
            return item.value is not None
        gone = self.device.put(place, _Item(None, size_bytes, pins=1))
        self._down(gone or [])
        return gone is not None

    def _filled(self, place: Hashable, item: _Item, stored: Stored, numbers: Sequence[int], *, beside: bool) -> KVBuffer:
        decoder = self.system.decoder
        buffer = KVBuffer(decoder.config, decoder.dtype, decoder.device, sum(stored.rows[number + 1] for number in numbers))
        try:
            for number in numbers:
                buffer.append(self._block(stored, number, beside=beside))
        except BaseException:
            with self._turn:
                self.device.take(place)
                self._turn.notify_all()
            raise
        with self._turn:
            item.value = buffer
            self._turn.notify_all()
        return buffer

    def _block(self, stored: Stored, number: int, *, beside: bool) -> Block:
        """From the highest tier that has it. beside: keep it on the device too, for another choice of blocks may want it."""
        assert stored.digests is not None
        digest = stored.digests[number + 1]
        with self._turn:
            for name, tier in (("device", self.device), ("host", self.host)):
                if (item := tier.find(digest)) and isinstance(item.value, Block):
                    self.came_from[name] += 1
                    if beside and name == "host":
                        self._keep(digest, item.value)
                    return item.value
        block = self.store.block(stored.manifest.recipe.key, number, digest)
        with self._turn:
            self.came_from["store"] += 1
            self._keep(digest, block) if beside else self._down([(digest, _Item(block, block.size_bytes))])
        return block

    def _keep(self, digest: str, block: Block) -> None:
        """On the device if there is room beside what is being asked, else on the host."""
        if self.device.find(digest):
            return
        block = self._on(block, str(self.system.decoder.device))
        item = _Item(block, block.size_bytes)
        gone = self.device.put(digest, item)
        if gone is not None and digest in self.host.items:
            self.host.take(digest)
        self._down([(digest, item)] if gone is None else gone)

    def _down(self, gone: Sequence[tuple[Hashable, _Item]]) -> None:
        """What leaves the device goes to the host as far as that has room; an open buffer's blocks are there, or in the store."""
        for place, item in gone:
            if isinstance(item.value, Block) and not self.host.find(place):
                block = self._on(item.value, "cpu")
                self.host.put(place, _Item(block, block.size_bytes))

    def _on(self, block: Block, device: str) -> Block:
        return Block(block.keys.to(device), block.values.to(device), block.start, block.end)

    def _size_bytes(self, rows: int) -> int:
        config = self.system.config.decoder
        return rows * 2 * config.layers * config.kv_heads * config.head_dim * self.system.decoder.dtype.itemsize

    def _too_large(self, stored: Stored, size_bytes: int) -> str:
        budget, blocks = self.device.budget, stored.rows[1:]
        each = self._size_bytes(max(blocks, default=0))
        fitting = max(0, budget - self._size_bytes(stored.rows[0])) // each if each else 0
        return (
            f"the memory of {stored.manifest.recipe.video_id} takes {size_bytes / 1e6:.1f} MB in use and the shelf has "
            f"{budget / 1e6:.1f} MB on the device; {fitting} of its {len(blocks)} blocks fit at once, so choose blocks, "
            "watch at a higher ratio, or give the shelf more"
        )
