"""Short films, good and broken, and what the in-process path says of each."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.analyze import analyze_video
from pipelines.interfaces import UnreadableVideo
from pipelines.profiles import wanted
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Senses, Store
from tests.hostile.making import Film, write_film

SMALL = {"preset": "veryfast", "g": "10"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A film, and what is true of it. rows: its findings; reason: why it cannot be read, empty where it can."""

    path: Path
    rows: tuple[Row, ...] = ()
    status: str = "failed"
    reason: str = ""


class Films:
    """Makes films and has each analysed once, in process, in a folder of its own. All have different bytes."""

    def __init__(self, folder: Path, senses: Senses, seed: int) -> None:
        self.folder, self.senses, self.rng = folder, senses, random.Random(seed)
        self.store = Store(FolderBlobs(folder / "measured"), DatabaseResults(f"sqlite:///{folder}/findings.db"))
        self.made = 0

    def good(self, count: int, name: str = "film") -> list[Told]:
        return [self._told(self._film(self._path(name))) for _ in range(count)]

    def bad(self, count: int) -> list[Told]:
        """Text, noise, and the beginning of an MP4 whose index never came, by turns."""
        makers = (self._text, self._noise, self._beginning)
        return [self._told(makers[number % 3](self._path("broken"))) for number in range(count)]

    def _path(self, name: str) -> Path:
        self.made += 1
        return self.folder / f"{name} {self.made:03d}.mp4"

    def _film(self, path: Path) -> Path:
        seconds, sound = self.rng.uniform(5, 15), self.rng.choice(["", "", "aac"])
        return write_film(path, Film(seconds, 5, 96, 64, codec_options=SMALL, sound=sound, seed=self.rng.randrange(1 << 30)))

    def _text(self, path: Path) -> Path:
        path.write_text(f"This is film number {self.made}, which it is not.\n" * 20)
        return path

    def _noise(self, path: Path) -> Path:
        path.write_bytes(self.rng.randbytes(20_000))
        return path

    def _beginning(self, path: Path) -> Path:
        whole = self._film(path).read_bytes()
        path.write_bytes(whole[: whole.rindex(b"moov") - 4])
        return path

    def _told(self, path: Path) -> Told:
        try:
            report = analyze_video(path, wanted(), self.store, self.senses)
        except UnreadableVideo as error:
            return Told(path, reason=str(error))
        rows = tuple(asdict(row) for row in self.store.results.findings(video=report.video_id))
        return Told(path, rows, report.status.value)
