"""A blob store far away with copies on this disk, of what never changes under its key. Keeps the copies within a budget."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.interfaces import Blobs, FilmFile, Stored, StoreUnavailable, Stream
from pipelines.stores.folder import FolderBlobs

logger = logging.getLogger(__name__)
NEVER_CHANGES = re.compile(r"series/.*/\d{6}\.npz")  # what a block measures depends on its key alone
SWEEP_SHARE = 0.05  # of the budget, that one process adds before it looks at how full the disk is
LEFT_SHARE = 0.8  # of the budget, after the copies longest unused were removed


@dataclass(slots=True)
class CachedBlobs:
    """`far`, read through `near`. Several processes may share the folder of `near`; each may be over the budget by SWEEP_SHARE for
    a moment. A copy that is removed while it is wanted is fetched again."""

    near: FolderBlobs
    far: Blobs
    budget_bytes: int
    _added_bytes: int = field(default=0, init=False)

    def put(self, key: str, data: bytes) -> None:
        self.far.put(key, data)
        self._keep(key, data)

    def put_new(self, key: str, data: bytes) -> bool:
        return self.far.put_new(key, data)

    def put_stream(self, key: str, stream: Stream) -> Stored:
        return self.far.put_stream(key, stream)

    def get(self, key: str) -> bytes:
        if not NEVER_CHANGES.fullmatch(key):
            return self.far.get(key)
        if (copy := self._copy(key)) is not None:
            return copy
        data = self.far.get(key)
        self._keep(key, data)
        return data

    def stat(self, key: str) -> Stored:
        return self.far.stat(key)

    def open(self, key: str) -> FilmFile:
        return self.far.open(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self.far.keys(prefix)

    def stored(self, prefix: str) -> Iterator[Stored]:
        return self.far.stored(prefix)

    def delete(self, key: str) -> None:
        self.near.delete(key)
        self.far.delete(key)

    def _copy(self, key: str) -> bytes | None:
        try:
            data = self.near.get(key)
            os.utime(self.near.root / key)  # used now, so among the last to go
        except (KeyError, StoreUnavailable, OSError):  # one that cannot be read is fetched again
            return None
        return data

    def _keep(self, key: str, data: bytes) -> None:
        if not NEVER_CHANGES.fullmatch(key) or len(data) > self.budget_bytes * SWEEP_SHARE:
            return
        try:
            self.near.put(key, data)
        except StoreUnavailable as error:
            logger.warning("a copy could not be kept, reading goes on from far away reason=%s", error)
            return
        self._added_bytes += len(data)
        if self._added_bytes > self.budget_bytes * SWEEP_SHARE:
            self._added_bytes = 0
            self._sweep()

    def _sweep(self) -> None:
        copies = sorted((copy.changed_at, copy.size, copy.key) for copy in self.near.stored(""))
        total = sum(size for _, size, _ in copies)
        if total <= self.budget_bytes * (1 - SWEEP_SHARE):
            return
        for _, size, key in copies:
            if total <= self.budget_bytes * LEFT_SHARE:
                break
            self.near.delete(key)
            total -= size
