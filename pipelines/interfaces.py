"""What the pipeline needs from outside, and how it says no. Knows no adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from model.ocr import ReadLine, Region
from model.transcribers import HeardWord
from model.video import Seen


class UnreadableVideo(Exception):
    """The bytes are not a video we can decode. Trying again will not help."""


class StoreUnavailable(Exception):
    """A store did not answer. The same request may succeed later."""


class FilmChanged(StoreUnavailable):
    """The film was replaced or deleted in its store while it was read. What lies there now, if anything, is another film."""


class ServiceUnavailable(Exception):
    """Somebody else's service did not answer, or not as agreed. The same request may succeed later."""


class WrongRequest(Exception):
    """The caller asked for something that does not exist or does not fit together."""


class Blobs(Protocol):
    """Bytes under keys such as `series/ab12.../0003.npz`. Writes are whole and atomic. All raise StoreUnavailable."""

    def put(self, key: str, data: bytes) -> None: ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Put unless something lies there; whether it was put. Of several at once exactly one is told True."""
        ...

    def put_stream(self, key: str, stream: Stream) -> Stored:
        """Put all that `stream` gives, in pieces, so that memory stays flat for any length. Nothing lies there where it breaks off."""
        ...

    def get(self, key: str) -> bytes:
        """Raises KeyError where nothing was put."""
        ...

    def stat(self, key: str) -> Stored:
        """Raises KeyError where nothing was put."""
        ...

    def open(self, key: str) -> FilmFile:
        """What lies there as a file that is read piece by piece, as it is needed. Raises KeyError."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""
        ...

    def stored(self, prefix: str) -> Iterator[Stored]:
        """What lies below `prefix`, in the order of the keys."""
        ...

    def delete(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies under a key. version: changes whenever its bytes do (an eTag); changed_at: Unix seconds."""

    key: str
    size: int
    version: str
    changed_at: float


class Stream(Protocol):
    """Gives bytes, fewer than asked for only at its end."""

    def read(self, size: int, /) -> bytes: ...


class OpenFilm(Stream, Protocol):
    """A film that is being read, by its bytes. In an object store reading raises StoreUnavailable, or FilmChanged."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None: ...


class Sized(Protocol):
    """What of `os.stat_result` is asked for."""

    @property
    def st_size(self) -> int: ...


class FilmFile(Protocol):
    """A media file, on a disk (pathlib.Path is one) or in an object store; hashable, and can be sent to a worker process."""

    @property
    def name(self) -> str:
        """The last part, never a folder."""
        ...

    @property
    def stem(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    def open(self, mode: Literal["rb"]) -> OpenFilm: ...

    def stat(self) -> Sized: ...

    def exists(self) -> bool: ...

    def is_file(self) -> bool: ...

    def absolute(self) -> FilmFile:
        """The same film for a process with another working folder."""
        ...

    def __hash__(self) -> int: ...


class Encoder(Protocol):
    """Trained eyes. digest: of its weights and its graph, part of every answer's settings; size_px: of the square pictures it takes."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """What `Seen.classes` count; empty where the encoder knows no classes."""
        ...

    def encode(self, pictures: NDArray[np.uint8]) -> Seen:
        """pictures: (N, size_px, size_px, 3) RGB, any N."""
        ...


class Meaning(Protocol):
    """Says how near two texts are in what they mean. digest: of its weights, part of every answer's settings."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 of length 1, or 0 where a text has no words it knows."""
        ...


class TextReader(Protocol):
    """Finds and reads text in one picture, (H, W, 3) RGB or (H, W) grey of any size. digest: of its weights, part of answers' settings."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def find(self, picture: NDArray[np.uint8]) -> list[Region]:
        """Where letters stand; cheaper than reading them."""
        ...

    def read(self, picture: NDArray[np.uint8]) -> list[ReadLine]: ...


class Cutter(Protocol):
    """A trained shot detector. digest: of its weights and its graph, part of every answer's settings."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def cuts(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """pictures: (N, 27, 48, 3) RGB, every frame. Returns (N,) how surely the shot ends with each frame, and (N,) how surely a
        frame belongs to a change of shots at all."""
        ...


class Transcriber(Protocol):
    """Turns speech into words. engine: its name as people are told it; digest: of everything that changes what it hears."""

    @property
    def engine(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def fenced(self) -> bool:
        """Whether it runs in a worker, under limits."""
        ...

    def hear(self, sound: NDArray[np.float32]) -> list[HeardWord]:
        """sound: (n,) mono at 16 kHz. Raises ServiceUnavailable where it runs elsewhere and does not answer."""
        ...
