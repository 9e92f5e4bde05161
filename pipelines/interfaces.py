"""What the pipeline needs from outside, and how it says no. Knows no adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class UnreadableVideo(Exception):
    """The bytes are not a video we can decode. Trying again will not help."""


class StoreUnavailable(Exception):
    """A store did not answer. The same request may succeed later."""


class WrongRequest(Exception):
    """The caller asked for something that does not exist or does not fit together."""


class Blobs(Protocol):
    """Bytes under keys such as `series/ab12.../0003.npz`. Writes are whole and atomic."""

    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> bytes:
        """Raises KeyError where nothing was put."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""
        ...

    def delete(self, key: str) -> None: ...
