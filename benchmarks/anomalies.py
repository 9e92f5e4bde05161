"""Anomalies on fixed cameras made from seeds: python -m benchmarks.anomalies FOLDER [--seeds 100-110] [--minutes 13] [--normal 5].

With --normal, a recording of that many minutes without events is the camera's normal, and every second counts. Videos, truth and series
are kept in FOLDER. With --photos, FOLDER is one that benchmarks.photo_cameras has filled, and each camera's second recording its normal
where --normal is not 0. --each prints what is lost without each group of cues: they are taken out of the evidence of one and the same run.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.video import TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.encode import Encoding
from pipelines.evaluation.anomaly_scores import TOLERANCE_S, Recording, average_precision, recall_at, roc_auc
from pipelines.evaluation.camera import Truth, make_camera
from pipelines.evaluation.camera_scene import SCENES
from pipelines.findings import Curve, Status, TaskResult
from pipelines.interfaces import Encoder
from pipelines.segments import measure_video
from pipelines.series import Measured
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.anomalies import AnomalySettings, Normal, Watch, find_anomalies, learn_normal, own_warm_up_s, watch
from pipelines.tasks.anomalies_alarms import AlarmRules, alarms, finding_of, score_curve
from pipelines.tasks.anomalies_evidence import Second
from pipelines.tasks.anomalies_normal import HEALTH, NAMES
from services.models import open_encoder

GROUPS: dict[str, tuple[str, ...]] = {
    "": (),
    "trained eyes": ("look",),
    "tracks": ("wrong_way", "fast", "intrusion", "loiter"),
    "what stands": ("still", "dwell"),
    "crowd and stir": ("crowd", "agitation"),
    "fire": ("fire",),
    "camera's health": HEALTH,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="100-110")
    parser.add_argument("--minutes", type=float, default=13.0)
    parser.add_argument("--normal", type=float, default=0.0, help="minutes of another recording to learn from; 0: the file's own start")
    parser.add_argument("--photos", action="store_true")
    parser.add_argument("--each", action="store_true")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    options.folder.mkdir(parents=True, exist_ok=True)
    tables = {name: Table(name) for name in (GROUPS if options.each else {"": ()})}
    encoder = open_encoder()
    for seed in range(int(first), int(last or first) + 1):
        takes = [False, True] if options.normal else [False]
        if options.photos:
            pairs = [photographed(options.folder, seed, ordinary, encoder) for ordinary in takes]
        else:
            pairs = [recording(options.folder, seed, options.normal if o else options.minutes, o, encoder) for o in takes]
        (truth, measured), normal = pairs[0], learn_normal(pairs[1][1]) if options.normal else None
        truth = replace(truth, warm_up_s=0.0) if normal else truth
        started = time.process_time()
        if options.each:
            rules = AnomalySettings().rules()
            warm_up_s = 0.0 if normal else own_warm_up_s(AnomalySettings(), measured.duration_s)
            seconds = list(watch(Watch(warm_up_s, normal=normal or Normal()), measured))
            for name, table in tables.items():
                table.add(f"{seed} {truth.scene}", truth, told(without(seconds, GROUPS[name]), rules), time.process_time() - started)
        else:
            result = find_anomalies(measured, (), AnomalySettings(), normal)
            tables[""].add(f"{seed} {truth.scene}", truth, result, time.process_time() - started)
    for table in tables.values():
        table.total()


def without(seconds: Sequence[Second], cues: Sequence[str]) -> list[Second]:
    """The same evidence, some cues taken out; without "look" also what trained eyes have lent to other cues."""
    out = []
    for second in seconds:
        surprise = second.surprise - (second.lent if "look" in cues else 0)
        surprise[[NAMES.index(cue) for cue in cues]] = -9
        out.append(replace(second, surprise=surprise.astype(np.float32)))
    return out


def told(seconds: Sequence[Second], rules: AlarmRules) -> TaskResult:
    found = tuple(finding_of(alarm, rules) for alarm in alarms(seconds, rules))
    curve = Curve(tuple(s.time_s for s in seconds), tuple(map(float, score_curve(seconds, rules.threshold))))
    return TaskResult("anomalies", Status.OK, found, curves={"anomaly": curve})


def recording(folder: Path, seed: int, minutes: float, ordinary: bool, encoder: Encoder) -> tuple[Truth, Measured]:
    """Truth and series of one camera, made where the folder does not have them yet. ordinary: another take, without events."""
    name = f"{seed}-{minutes:g}" + ("-normal" if ordinary else "")
    video, known = folder / f"{name}.mp4", folder / f"{name}.truth"
    if not known.exists():
        truth = make_camera(video, seed, minutes, SCENES[seed % len(SCENES)], events=not ordinary, take=int(ordinary))
        known.write_bytes(pickle.dumps(truth))  # our own file, read back below
    return pickle.loads(known.read_bytes()), seen(folder, video, encoder)


def photographed(folder: Path, seed: int, ordinary: bool, encoder: Encoder) -> tuple[Truth, Measured]:
    """The same for what benchmarks.photo_cameras has made."""
    video = folder / f"f{seed}_{2 if ordinary else 0}.mkv"
    return pickle.loads(video.with_suffix(".pkl").read_bytes()), seen(folder, video, encoder)


def seen(folder: Path, video: Path, encoder: Encoder) -> Measured:
    """Series and features of one video."""
    blobs, plan = FolderBlobs(folder / "series"), DecodePlan(sound=False)
    with Encoding(encoder, blobs, video.stem, plan) as encoding:
        measured = measure_video(video, blobs, video.stem, plan, workers=1, on_block=encoding.add, is_done=encoding.is_done)
    return replace(measured, features=encoding.features, class_names=encoder.class_names)


class Table:
    """Figures of all recordings, printed as they come."""

    def __init__(self, without: str = "") -> None:
        self.without = without
        self.recordings: list[Recording] = []
        self.by_kind: dict[str, list[float | None]] = defaultdict(list)  # delay of each event, None where missed
        self.false: dict[str, int] = defaultdict(int)
        self.cpu_s = 0.0

    def add(self, name: str, truth: Truth, result: TaskResult, cpu_s: float) -> None:
        scores = np.array(result.curves["anomaly"].values)
        one = Recording(scores, tuple(e.span for e in truth.events), truth.warm_up_s)
        self.recordings.append(one)
        self.cpu_s += cpu_s
        for event in truth.events:
            raised = [f.data["raised_s"] for f in result.findings if f.span.overlap_s(event.span) > 0]
            self.by_kind[event.kind].append(max(0.0, min(raised) - event.span.start_s) if raised else None)
        near = [TimeSpan(max(0.0, e.span.start_s - TOLERANCE_S), e.span.end_s + TOLERANCE_S) for e in truth.events]
        for finding in (f for f in result.findings if f.span.end_s > truth.warm_up_s):
            if not any(finding.span.overlap_s(span) for span in near):
                during = [d.kind for d in truth.distractions if d.span.overlap_s(finding.span)]
                self.false[during[0] if during else "quiet"] += 1
        auc, precision = roc_auc(scores[one.judged], one.truth[one.judged]), average_precision(scores[one.judged], one.truth[one.judged])
        if not self.without:
            print(f"{name:16} AUC {auc:.3f}  AP {precision:.3f}  events {len(one.events)}  alarms {len(result.findings)}", flush=True)

    def total(self) -> None:
        scores, truth = (np.concatenate([part[r.judged] for r, part in self._parts(kind)]) for kind in ("scores", "truth"))
        hours = len(scores) / 3600
        title = f"without {self.without}" if self.without else "all cues"
        print(f"\n{title}: {hours:.2f} h   AUC {roc_auc(scores, truth):.3f}   AP {average_precision(scores, truth):.3f}")
        print("events found at <= n false alarms an hour:", {n: round(recall_at(self.recordings, n)[0], 3) for n in (1, 3, 6, 12)})
        if self.without:
            return
        delays = [d for found in self.by_kind.values() for d in found if d is not None]
        events = sum(len(found) for found in self.by_kind.values())
        rate = sum(self.false.values()) / hours
        print(f"as set: {len(delays)}/{events} events, {rate:.2f} false alarms an hour, delay {np.median(delays):.1f} s")
        for kind, found in sorted(self.by_kind.items()):
            had = [d for d in found if d is not None]
            print(f"  {kind:10} {len(had)}/{len(found)}" + (f"  delay {np.median(had):.1f} s" if had else ""))
        print(f"false alarms: {dict(self.false) or 'none'}")
        total_s = sum(len(r.scores) for r in self.recordings)
        print(f"judging took {self.cpu_s / total_s * 3600:.1f} CPU-s an hour of video")

    def _parts(self, kind: str) -> list[tuple[Recording, np.ndarray]]:
        return [(r, r.scores if kind == "scores" else r.truth) for r in self.recordings]


if __name__ == "__main__":
    main()
