"""An object store in a folder, whose films are read by ranges; it can lose a film's end, or have it replaced. Stands in for a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.interfaces import FilmChanged, Stored, StoreUnavailable
from pipelines.stores.ranged import StoredFilm


@dataclass(frozen=True)
class FolderRanges:
    """dark_from: from this byte on it does not answer; nor does it at all while a file `dark` lies there. told: the lengths read here."""

    folder: Path
    dark_from: int | None = None
    told: list[int] = field(default_factory=list, compare=False)

    def film(self, name: str) -> StoredFilm:
        found = (self.folder / name).stat()
        return StoredFilm(self, Stored(name, found.st_size, str(found.st_mtime_ns), found.st_mtime))

    def read_range(self, stored: Stored, start: int, length: int) -> bytes:
        path = self.folder / stored.key
        if (self.folder / "dark").exists() or (self.dark_from is not None and start + length > self.dark_from):
            raise StoreUnavailable("the object store does not answer: connection refused")
        if str(path.stat().st_mtime_ns) != stored.version:
            raise FilmChanged(f"{stored.key} was replaced by a newer upload while it was read")
        self.told.append(length)
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)
