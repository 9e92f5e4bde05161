"""Blobs in a folder. A write is a temporary file put into place under its name, so a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.interfaces import Stored, StoreUnavailable, Stream
from pipelines.stores.keys import checked

UNFINISHED = ".put-"  # how the names of files begin that are being written; one that is old was left by a process that died
PIECE_BYTES = 1 << 20


class FolderBlobs:
    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _written(path, [data]) as part:
            part.replace(path)

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _written(path, [data]) as part:
            try:
                os.link(part, path)
            except FileExistsError:
                return False
        return True

    def put_stream(self, key: str, stream: Stream) -> Stored:
        path = self._path(key)
        with _written(path, iter(lambda: stream.read(PIECE_BYTES), b"")) as part:
            part.replace(path)
        return self.stat(key)

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as error:
            raise StoreUnavailable(f"cannot read {self._path(key)}: {error.strerror or error}") from error

    def stat(self, key: str) -> Stored:
        path = self._path(key)
        if not path.is_file():
            raise KeyError(key)
        found = path.stat()
        return Stored(key, found.st_size, f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}", found.st_mtime)

    def open(self, key: str) -> Path:
        self.stat(key)
        return self._path(key)

    def keys(self, prefix: str) -> Iterator[str]:
        base = self.root / prefix.rpartition("/")[0]
        found = (Path(folder, name).relative_to(self.root).as_posix() for folder, _, names in os.walk(base) for name in names)
        yield from sorted(key for key in found if key.startswith(prefix) and not key.rpartition("/")[2].startswith(UNFINISHED))

    def stored(self, prefix: str) -> Iterator[Stored]:
        for key in self.keys(prefix):
            with suppress(KeyError, FileNotFoundError):  # taken away meanwhile
                yield self.stat(key)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = (self.root / checked(key)).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError(f"the key {key!r} leads out of the store")
        return path


@contextmanager
def _written(path: Path, pieces: Iterable[bytes]) -> Iterator[Path]:
    """A finished file beside `path`, to be put in its place; whatever goes wrong, nothing of it stays. Raises StoreUnavailable."""
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as out:
            part = Path(out.name)
            for piece in pieces:
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())  # renamed before its bytes are safe, a file is empty after a power failure
        yield part
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
