"""A film in an object store as a file: read piece by piece, as it is needed. Knows offsets, no store's protocol."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import Literal, Protocol, Self

from pipelines.interfaces import Stored

FIRST_BYTES = 256 << 10  # of a run: as much as a probe needs, and little lost where the next read is elsewhere
LARGEST_BYTES = 4 << 20  # of a piece, when reading has gone on for a while
KEPT_PIECES = 4  # sound and pictures of an MP4 may lie apart, its table of contents elsewhere again


class Ranges(Protocol):
    """A store that gives parts of what lies under a key. Can be sent to another process."""

    def read_range(self, stored: Stored, start: int, length: int) -> bytes:
        """Exactly these bytes of exactly this version. Raises StoreUnavailable, or FilmChanged where another version lies there."""
        ...


@dataclass(frozen=True, slots=True)
class StoredFilm:
    """A FilmFile as it was when it was looked up: bytes of a later version are never taken for its own."""

    store: Ranges
    stored: Stored

    @property
    def name(self) -> str:
        return PurePosixPath(self.stored.key).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def st_size(self) -> int:
        return self.stored.size

    def open(self, mode: Literal["rb"] = "rb") -> RangedFile:
        return RangedFile(lambda start, length: self.store.read_range(self.stored, start, length), self.stored.size)

    def stat(self) -> StoredFilm:
        return self

    def exists(self) -> bool:
        """It was there when it was looked up; where it went away since, reading says so."""
        return True

    def is_file(self) -> bool:
        return True

    def absolute(self) -> StoredFilm:
        return self


class RangedFile:
    """`size` bytes that `fetch(start, length)` gives. Reads ahead, the farther the longer a run goes on; keeps the last few pieces."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._at = fetch, size, 0
        self._pieces: list[tuple[int, bytes]] = []  # (start, bytes), the last used at the end

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._size - self._at if size < 0 else min(size, self._size - self._at)
        parts = []
        while wanted > 0:
            start, piece = self._piece()
            part = piece[self._at - start : self._at - start + wanted]
            parts.append(part)
            self._at += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def _piece(self) -> tuple[int, bytes]:
        """The piece that holds the current place."""
        found = next((p for p in self._pieces if p[0] <= self._at < p[0] + len(p[1])), None)
        if found is not None:
            self._pieces.remove(found)
        else:
            before = next((p for p in self._pieces if p[0] + len(p[1]) == self._at), None)
            ahead = min(LARGEST_BYTES, 2 * len(before[1])) if before else FIRST_BYTES
            found = self._at, self._fetch(self._at, min(max(ahead, FIRST_BYTES), self._size - self._at))
        self._pieces = [*self._pieces[1 - KEPT_PIECES :], found]
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        if at < 0:
            raise ValueError(f"a place in a file counts from 0, got {at}")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._pieces.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self.close()
