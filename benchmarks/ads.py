"""Ours and comskip side by side on made broadcasts: `python -m benchmarks.ads --folder CACHE --seeds 1,2 --minutes 12`.

Films and their series are kept in the folder, so a second run only judges. comskip runs where it is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.watching import watched
from model.video import TimeSpan
from pipelines.evaluation.ad_scores import Verdict, reliability, scored_breaks, table
from pipelines.evaluation.broadcast import KINDS, make_broadcast
from pipelines.signals.shots import find_shots
from pipelines.tasks.ads import AdSettings, find_ads

EVERYTHING = AdSettings(least_score=0.0)  # for the reliability table; the others count from the default on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--fps", type=int, default=None)
    parser.add_argument("--no-comskip", action="store_true")
    parser.add_argument("--no-eyes", action="store_true")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = [], []
    for seed in map(int, wanted.seeds.split(",")):
        for kind in wanted.kinds.split(","):
            path, truth = film(wanted.folder, kind, seed, wanted.minutes, wanted.fps)
            ours.append(judged(path, truth, eyes=not wanted.no_eyes))
            if shutil.which("comskip") and not wanted.no_comskip:
                theirs.append(comskip(path, truth))
    reported = [with_score(v, AdSettings().least_score) for v in ours]
    print(table(reported, "longtake"))
    if theirs:
        print(table(theirs, "comskip"))
    print("reliability of scores: low high count mean right")
    for row in reliability(scored_breaks(ours)):
        print(f"  {row.low:.2f} {row.high:.2f} {row.count:5d} {row.mean_score:.3f} {row.right:.3f}")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a made film."""

    kind: str
    duration_s: float
    breaks: tuple[TimeSpan, ...]
    spots: tuple[TimeSpan, ...]


def film(folder: Path, kind: str, seed: int, minutes: float, fps: int | None) -> tuple[Path, Told]:
    """The film and its truth, made now or earlier."""
    path = folder / f"{kind}-{seed}-{minutes:g}.mp4"
    note = path.with_suffix(".json")
    if not note.exists():
        made = make_broadcast(path, kind, seed, minutes=minutes, fps=fps)
        note.write_text(
            json.dumps(
                {"duration_s": made.duration_s, "breaks": [asdict(b) for b in made.breaks], "spots": [asdict(s) for s in made.spots]}
            )
        )
    told = json.loads(note.read_text())
    return path, Told(kind, told["duration_s"], *(tuple(TimeSpan(**span) for span in told[name]) for name in ("breaks", "spots")))


def judged(path: Path, truth: Told, *, eyes: bool = True) -> Verdict:
    began = time.process_time()
    measured = watched(path, path.parent / "series", eyes=eyes)
    result = find_ads(measured, find_shots(measured), EVERYTHING)
    found = tuple((f.span, f.score) for f in result.findings if f.kind == "break")
    print(f"{path.stem}: {len(found)} of {len(truth.breaks)} breaks, judged in {time.process_time() - began:.1f} s of CPU", flush=True)
    return Verdict(truth.kind, truth.duration_s, found, truth.breaks)


def with_score(verdict: Verdict, least: float) -> Verdict:
    return Verdict(verdict.kind, verdict.duration_s, tuple(f for f in verdict.found if f[1] >= least), verdict.true)


def comskip(path: Path, truth: Told) -> Verdict:
    """comskip with its defaults, its EDL kept beside the film."""
    kept = path.with_suffix(".edl")
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            ini = Path(folder) / "comskip.ini"
            ini.write_text("[Main Settings]\noutput_edl=1\n")
            subprocess.run(["comskip", "-q", f"--ini={ini}", f"--output={folder}", str(path)], capture_output=True, check=False)
            made = Path(folder) / f"{path.stem}.edl"
            kept.write_text(made.read_text() if made.exists() else "")
    rows = [line.split() for line in kept.read_text().splitlines() if line.strip()]
    found = tuple((TimeSpan(float(row[0]), float(row[1])), 1.0) for row in rows if float(row[1]) > float(row[0]))
    return Verdict(truth.kind, truth.duration_s, found, truth.breaks)


if __name__ == "__main__":
    main()
