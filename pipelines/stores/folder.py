"""Blobs in a folder. A write is a temporary file renamed into place, so a reader never sees half of one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.interfaces import StoreUnavailable


class FolderBlobs:
    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as out:
                out.write(data)
            Path(out.name).replace(path)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {path}: {error.strerror or error}") from error

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def keys(self, prefix: str) -> Iterator[str]:
        base = self._path(prefix) if prefix.endswith("/") else self._path(prefix).parent
        found = (p.relative_to(self.root).as_posix() for p in base.rglob("*") if p.is_file() and not p.name.startswith("."))
        yield from sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError(f"the key {key!r} leads out of the store")
        return path
