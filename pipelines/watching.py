"""What is seen, heard and read in a video: decoded, encoded, and kept in the store. Judges nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pipelines.decode_plan import CUTTER_PICTURES, DecodePlan
from pipelines.encode import Encoding
from pipelines.findings import Shot
from pipelines.glimpses import glimpses_of, lines_of
from pipelines.interfaces import Blobs, Cutter, Encoder, FilmFile, Meaning, TextReader, Transcriber
from pipelines.listening import with_voice
from pipelines.looking import in_worker, regular_file
from pipelines.profiles import Wanted
from pipelines.reading import Film
from pipelines.segments import measure_video
from pipelines.series import Measured
from pipelines.signals.shots import find_shots
from pipelines.stores.database import DatabaseResults
from pipelines.stores.seen import SeenShelf
from pipelines.subtitles import read_subtitles
from pipelines.tasks.slots import places_to_hear
from pipelines.transcribing import Talk
from pipelines.wording import Place, with_spoken, with_texts
from pipelines.workers import WorkerDied

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Store:
    """Where measurements (blobs) and answers (results) are kept."""

    blobs: Blobs
    results: DatabaseResults


@dataclass(frozen=True, slots=True)
class Video:
    """A file and what names it. id: SHA-256 of its bytes. source: whose ordinary life it shows (a camera), its own id by default."""

    path: FilmFile
    id: str
    source: str


@dataclass(frozen=True, slots=True)
class Senses:
    """The trained models at hand. missing: sentences, one for each that should be here and is not."""

    encoder: Encoder | None = None
    reader: TextReader | None = None
    cutter: Cutter | None = None  # looks at every frame: only where accurate shots are asked for
    transcriber: Transcriber | None = None  # only where a transcript is asked for
    meaning: Meaning | None = None
    missing: tuple[str, ...] = ()

    def plan(self, plan: DecodePlan) -> DecodePlan:
        """The plan with pictures for those nets that are here."""
        return replace(plan, eyes=plan.eyes if self.encoder else None, cutter=CUTTER_PICTURES if self.cutter else None)

    @property
    def encoder_key(self) -> str:
        return f"{self.encoder.name}-{self.encoder.digest}" if self.encoder else ""

    def settings(self) -> dict[str, object]:
        named = {"encoder": self.encoder, "reader": self.reader, "cutter": self.cutter, "meaning": self.meaning}
        told: dict[str, object] = {use: {"name": m.name, "digest": m.digest} for use, m in named.items() if m is not None}
        ears = self.transcriber
        return told | ({"speech": {"name": ears.engine, "digest": ears.digest}} if ears else {})


@dataclass(frozen=True, slots=True)
class Run:
    """How to work, none of which changes an answer."""

    workers: int | None = None  # processes; as many as cores where None
    again: bool = False  # judge although the store has an answer
    progress: Callable[[str, float, float], None] = field(default=lambda stage, done, total: None)  # stage, done, total (same unit)


def identify(path: FilmFile, source: str = "") -> Video:
    """Read the file once for its SHA-256. Raises UnreadableVideo where it is not a readable file."""
    digest = hashlib.sha256()
    with regular_file(path).open("rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
    return Video(path, digest.hexdigest(), source or digest.hexdigest())


def watch(video: Video, wanted: Wanted, store: Store, senses: Senses, run: Run) -> tuple[Measured, tuple[Shot, ...]]:
    """Everything a judgement may rest on: series, features, shots, and the words seen and heard."""

    def told(doing: str) -> Callable[[float, float], None]:
        return lambda done_s, total_s: run.progress(f"{doing} {video.path.name}", done_s, total_s)

    measured = measure(video, wanted, store, senses, run)
    shots = find_shots(measured)
    place = Place(video.id, wanted.plan.digest, store.blobs)
    measured = with_texts(Film(video.path, measured, shots, run.workers), place, senses.reader, wanted.reading, told("reading"))
    measured = with_spoken(Talk(video.path, measured, run.workers), place, senses.transcriber, told("listening to"))
    wishes = places_to_hear(measured, shots, wanted.slots) if "slots" in wanted.tasks else []
    return with_voice(video.path, measured, wishes, store.blobs), shots


def measure(video: Video, wanted: Wanted, store: Store, senses: Senses, run: Run) -> Measured:
    """The series and features of one video, decoded and encoded now or read from an earlier run."""

    def progress(done_s: float, total_s: float) -> None:
        run.progress(f"watching {video.path.name}", done_s, total_s)

    prefix = series_prefix(video.id, wanted)
    plan = senses.plan(wanted.plan)
    with Encoding(senses.encoder, store.blobs, prefix, plan, senses.cutter) as encoding:
        measured = measure_video(
            video.path, store.blobs, prefix, plan, workers=run.workers, on_progress=progress,
            on_block=encoding.add, is_done=encoding.is_done,
        )  # fmt: skip
    names = senses.encoder.class_names if senses.encoder else ()
    lost = (*senses.missing, encoding.trouble) if encoding.trouble else senses.missing
    return _with_subtitles(replace(measured, features=encoding.features, cuts=encoding.cuts, class_names=names, lost=lost), video)


def _with_subtitles(measured: Measured, video: Video) -> Measured:
    try:
        return replace(measured, subtitles=in_worker(read_subtitles, video.path.absolute()))
    except WorkerDied as error:  # a hostile subtitle stream costs the film its words, not its pictures; the report says so
        return replace(measured, lost=(*measured.lost, f"the subtitles could not be read: {error}"))


def series_prefix(video_id: str, wanted: Wanted) -> str:
    return f"series/{video_id}/{wanted.plan.digest}"


def remember(video: Video, measured: Measured, shots: Sequence[Shot], store: Store, senses: Senses) -> None:
    """Keep how the video looks and what is said in it, for `longtake search`."""
    shelf = SeenShelf(store.results, store.blobs, senses.encoder_key)
    shelf.put(video.id, video.path.name, measured.duration_s, glimpses_of(measured, shots), lines_of(measured))


def look_up(video: Video, wanted: Wanted, store: Store, senses: Senses, run: Run) -> None:
    """Decode and encode a video so that it can be searched; nothing is judged."""
    measured, shots = watch(video, wanted, store, senses, run)
    remember(video, measured, shots, store, senses)
