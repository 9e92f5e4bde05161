"""The main path: a video file becomes findings. Chains the stages; each of them lives elsewhere."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.corrections import Correction, corrected, latest
from pipelines.decode_plan import CUTTER_PICTURES, DecodePlan
from pipelines.encode import Encoding, features_prefix
from pipelines.findings import Coverage, KeyFrame, Report, Shot, Status, TaskResult, numbered, settings_digest
from pipelines.glimpses import glimpses_of, lines_of
from pipelines.interfaces import Blobs, Cutter, Encoder, Meaning, TextReader, Transcriber, UnreadableVideo
from pipelines.judge import Case, curves, judge
from pipelines.listening import with_voice
from pipelines.looking import in_worker, regular_file
from pipelines.profiles import Wanted
from pipelines.reading import Film
from pipelines.segments import measure_video, open_measured
from pipelines.series import Measured, Missing
from pipelines.signals.shots import find_shots
from pipelines.stores.database import DatabaseResults
from pipelines.stores.seen import SeenShelf
from pipelines.stores.spots import SpotShelf
from pipelines.storyboard import key_frames
from pipelines.subtitles import read_subtitles, sidecars
from pipelines.tasks.anomalies import Normal, learn_normal
from pipelines.tasks.slots import places_to_hear
from pipelines.transcribing import Talk
from pipelines.wording import Place, with_spoken, with_texts
from pipelines.workers import WorkerDied

logger = logging.getLogger(__name__)
SYSTEM = "signals"  # no language model speaks; trained eyes and readers are told in the settings
READ_BYTES = 1 << 20
MOST_EPISODES = 6  # that one is compared with: more tell little more, and all are read


@dataclass(frozen=True, slots=True)
class Store:
    """Where measurements (blobs) and answers (results) are kept."""

    blobs: Blobs
    results: DatabaseResults


@dataclass(frozen=True, slots=True)
class Video:
    """A file and what names it. id: SHA-256 of its bytes. source: whose ordinary life it shows (a camera), its own id by default."""

    path: Path
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


def analyze_video(
    path: Path,
    wanted: Wanted,
    store: Store,
    senses: Senses = Senses(),
    *,
    normals: Sequence[Path] = (),
    episodes: Sequence[Path] = (),
    series: str = "",
    source: str = "",
    run: Run = Run(),
) -> Report:
    """Decode, encode, judge and record one file; the same file under the same settings is answered from the store unless `run.again`.

    normals: recordings of the source's ordinary life, which anomalies are judged against. episodes: others of its series, where the
    task parts looks for what they share; one that cannot be read is left out. series: its name, the source where none is given; what
    the store keeps of that source are episodes too.
    Raises UnreadableVideo (never again), StoreUnavailable (later).
    """
    started = time.monotonic()
    video = identify(path, source or series)
    ordinary = tuple(identify(normal, video.source) for normal in normals if "anomalies" in wanted.tasks)
    others = _episodes(episodes, video) if "parts" in wanted.tasks else {}
    kept = _kept_episodes(video, others, wanted, store, senses) if series and "parts" in wanted.tasks else {}
    words = store.results.corrections(source=video.source)
    settings = wanted.settings() | senses.settings() | _normal_settings(wanted, ordinary, words) | _subtitle_settings(path)
    settings |= {"episodes": sorted([*others, *kept])} if others or kept else {}
    spots = SpotShelf(store.results).all() if "ads" in wanted.tasks else ()
    settings |= {"spots": sorted(spot.id for spot in spots)} if spots else {}
    digest = settings_digest(settings)
    report = None if run.again else store.results.load(video.id, digest)
    if report is None:
        measured, shots = watch(video, wanted, store, senses, run)
        case = Case(measured, shots, wanted, taught(ordinary, words, wanted, store, senses, run), senses.meaning)
        case = replace(case, spots=spots, episodes=(*_measured_episodes(others.values(), wanted, store, senses, run), *kept.values()))
        report = assemble(video, settings, digest, case, judge(case), time.monotonic() - started)
        remember(video, case.measured, case.shots, store, senses)
    report = replace(report, name=path.name)
    store.results.save(report, video.source)  # also what was answered from the store: its rows are the current ones again
    logger.info("report ready video_id=%s findings=%d seconds=%.1f", video.id, len(report.findings), time.monotonic() - started)
    return with_words(report, store.results.corrections(video_id=video.id))


def remember(video: Video, measured: Measured, shots: Sequence[Shot], store: Store, senses: Senses) -> None:
    """Keep how the video looks and what is said in it, for `longtake search`."""
    shelf = SeenShelf(store.results, store.blobs, senses.encoder_key)
    shelf.put(video.id, video.path.name, measured.duration_s, glimpses_of(measured, shots), lines_of(measured))


def look_up(video: Video, wanted: Wanted, store: Store, senses: Senses, run: Run) -> None:
    """Decode and encode a video so that it can be searched; nothing is judged."""
    measured, shots = watch(video, wanted, store, senses, run)
    remember(video, measured, shots, store, senses)


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


def identify(path: Path, source: str = "") -> Video:
    """Read the file once for its SHA-256. Raises UnreadableVideo where it is not a readable file."""
    digest = hashlib.sha256()
    with regular_file(path).open("rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
    return Video(path, digest.hexdigest(), source or digest.hexdigest())


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


def assemble(video: Video, settings: dict[str, object], digest: str, case: Case, results: Sequence[TaskResult], seconds: float) -> Report:
    measured = case.measured
    tasks = tuple(replace(task, findings=numbered(task.findings, video.id, digest, measured.clock)) for task in results)
    storyboard, trouble = _storyboard(video, tasks)
    status, reason = overall(tasks, measured.missing, "; ".join(filter(None, [trouble, *measured.lost])))
    return Report(
        request_id=hashlib.sha256(f"{video.id} {digest}".encode()).hexdigest()[:32],
        video_id=video.id,
        name=video.path.name,
        status=status,
        reason=reason,
        coverage=Coverage(measured.seen_s, measured.total_s),
        system=SYSTEM,
        settings=settings,
        digest=digest,
        media=measured.facts,
        tasks=tasks,
        shots=case.shots,
        curves=curves(measured),
        storyboard=storyboard,
        timings_s={"total": round(seconds, 3)},
        missing=measured.missing,
        clock=measured.clock,
        texts=measured.texts,
        spoken=measured.spoken,
    )


def _storyboard(video: Video, tasks: Sequence[TaskResult]) -> tuple[tuple[KeyFrame, ...], str]:
    """The pictures of the instants that the summary chose, and what went wrong with them."""
    instants: Sequence[float] = next((task.data.get("storyboard", []) for task in tasks if task.task == "summary"), [])
    try:
        return (in_worker(key_frames, video.path.absolute(), instants) if instants else ()), ""
    except (WorkerDied, UnreadableVideo) as error:
        return (), f"the storyboard's pictures could not be decoded: {error}"


def overall(tasks: Sequence[TaskResult], missing: Sequence[Missing], trouble: str = "") -> tuple[Status, str]:
    """One status for the report: what was lost first, then what could not be judged, then whether anything was found."""
    if missing:
        reasons = "; ".join(dict.fromkeys(gap.reason for gap in missing))
        return Status.DEGRADED, f"{sum(gap.duration_s for gap in missing):.1f} s of the file could not be decoded: {reasons}"
    if trouble:
        return Status.DEGRADED, trouble
    troubled = [t for t in tasks if t.status in (Status.DEGRADED, Status.FAILED)]
    if troubled:
        return Status.DEGRADED, "; ".join(f"{t.task}: {t.reason}" for t in troubled)
    if all(t.status is Status.EMPTY for t in tasks):
        return Status.EMPTY, "; ".join(f"{t.task}: {t.reason}" for t in tasks if t.reason) or "looked at everything, found nothing"
    return Status.OK, ""


def with_words(report: Report, words: Sequence[Correction]) -> Report:
    """The report with people's corrections laid over its findings."""
    if not words:
        return report
    tasks = tuple(_with_words(task, [w for w in words if w.finding.task == task.task]) for task in report.tasks)
    status, reason = (report.status, report.reason) if report.status in (Status.DEGRADED, Status.FAILED) else overall(tasks, report.missing)
    return replace(report, tasks=tasks, status=status, reason=reason)


def _with_words(task: TaskResult, words: Sequence[Correction]) -> TaskResult:
    findings = corrected(task.findings, words)
    status = task.status
    if words and status in (Status.OK, Status.EMPTY):
        status = Status.OK if any(f.state != "rejected" for f in findings) else Status.EMPTY
    return replace(task, findings=findings, status=status)


def taught(ordinary: Sequence[Video], words: Sequence[Correction], wanted: Wanted, store: Store, senses: Senses, run: Run) -> Normal | None:
    """The source's normal: learned from its ordinary recordings and from the alarms that people rejected. None without either."""
    rejected = _false_alarms(words)
    if "anomalies" not in wanted.tasks or not (ordinary or rejected):
        return None
    normal = learn_normal(*(measure(video, wanted, store, senses, run) for video in ordinary)) if ordinary else Normal()
    for word in rejected:
        normal = normal.with_false_alarm(word.finding)
    return normal


def _episodes(paths: Sequence[Path], video: Video) -> dict[str, Video]:
    """By id, each once, without the video itself. What cannot be read is told where its own turn comes."""
    found: dict[str, Video] = {}
    for path in paths:
        with suppress(UnreadableVideo):
            other = identify(path)
            found[other.id] = other
    found.pop(video.id, None)
    return found


def _kept_episodes(video: Video, others: Mapping[str, Video], wanted: Wanted, store: Store, senses: Senses) -> dict[str, Measured]:
    """The last ones of the source whose measurements the store still has, without their files; as many as make up MOST_EPISODES."""
    found: dict[str, Measured] = {}
    for video_id in store.results.videos(video.source):
        prefix = series_prefix(video_id, wanted)
        measured = None if video_id == video.id or video_id in others else open_measured(store.blobs, prefix)
        if measured is not None and len(others) + len(found) < MOST_EPISODES:
            features = features_prefix(prefix, wanted.plan, senses.encoder) if senses.encoder else ""
            found[video_id] = replace(measured, features=features)
    return found


def _measured_episodes(others: Iterable[Video], wanted: Wanted, store: Store, senses: Senses, run: Run) -> tuple[Measured, ...]:
    out: list[Measured] = []
    for other in others:
        with suppress(UnreadableVideo):
            out.append(measure(other, wanted, store, senses, run))
    return tuple(out)


def _false_alarms(words: Sequence[Correction]) -> list[Correction]:
    return [w for w in latest(words) if w.finding.task == "anomalies" and w.rejected]


def _subtitle_settings(path: Path) -> dict[str, object]:
    """Subtitle files beside the film are part of what is judged."""
    digests = [hashlib.sha256(sidecar.read_bytes()).hexdigest() for sidecar in sidecars(path)]
    return {"subtitles": digests} if digests else {}


def _normal_settings(wanted: Wanted, ordinary: Sequence[Video], words: Sequence[Correction]) -> dict[str, object]:
    """What was learned from is part of the answer's settings: the recordings, and the alarms that people rejected."""
    if "anomalies" not in wanted.tasks:
        return {}
    rejected = sorted(f"{w.video_id} {w.finding.id}" for w in _false_alarms(words))
    return {"normal": {"recordings": sorted(v.id for v in ordinary), "rejected": rejected}}
