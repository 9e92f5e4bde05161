"""Where a watched stream is kept: everything is put before the state that speaks of it, and deleted behind the state that does not."""

from __future__ import annotations

import hashlib

from pipelines.interfaces import Blobs, StoreUnavailable
from pipelines.live.chunks import Chunk
from pipelines.live.state import State, from_bytes, to_bytes


class Keeper:
    """One stream's part of the blob store. Nothing is written before `save`; of two who save the same generation one is refused."""

    def __init__(self, blobs: Blobs, prefix: str) -> None:
        self.blobs, self.prefix = blobs, prefix
        self.forget()

    def forget(self) -> None:
        """Whatever was not saved."""
        self._media: dict[str, bytes] = {}  # of chunks still needed
        self._put: dict[str, bytes] = {}
        self._gone: list[str] = []

    def key(self, what: str, number: int) -> str:
        return f"{self.prefix}/{what}/{number:012d}"

    def put(self, what: str, number: int, data: bytes) -> None:
        self._put[self.key(what, number)] = data

    def get(self, what: str, number: int) -> bytes:
        """Raises KeyError."""
        key = self.key(what, number)
        return self._put[key] if key in self._put else self.blobs.get(key)

    def drop(self, what: str, number: int) -> None:
        self._gone.append(self.key(what, number))

    def keep(self, chunk: Chunk) -> None:
        if chunk.data:
            self._media[self._place(chunk)] = self._put[self._place(chunk)] = chunk.data

    def media(self, chunk: Chunk) -> bytes:
        """A kept chunk's bytes; none of a mark."""
        key = self._place(chunk)
        if key not in self._media:
            try:
                self._media[key] = self.blobs.get(key)
            except KeyError:
                return b""
        return self._media[key]

    def release(self, chunk: Chunk) -> None:
        key = self._place(chunk)
        self._media.pop(key, None)
        if self._put.pop(key, None) is None:
            self._gone.append(key)

    def save(self, state: State) -> None:
        """Raises StoreUnavailable, also where another replica went on with the stream."""
        for key, data in self._put.items():
            self.blobs.put(key, data)
        state.generation += 1
        if not self.blobs.put_new(self.key("state", state.generation), to_bytes(state)):
            raise StoreUnavailable("another replica went on with the stream")
        for key in [*self._gone, self.key("state", state.generation - 2)]:
            self.blobs.delete(key)
        self._put, self._gone = {}, []

    def load(self, generation: int) -> State | None:
        """The newest state, empty where there is none; None where that is of `generation`."""
        stored = max(self.blobs.keys(f"{self.prefix}/state/"), default="")
        newest = int(stored.rsplit("/", 1)[1]) if stored else 0
        if newest == generation:
            return None
        self.forget()
        return from_bytes(self.blobs.get(stored)) if stored else State()

    def _place(self, chunk: Chunk) -> str:
        return f"{self.prefix}/chunks/{hashlib.sha256(chunk.run.encode()).hexdigest()[:16]}-{chunk.sequence:012d}"
