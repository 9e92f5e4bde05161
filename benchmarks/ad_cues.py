"""What each cue is worth: `python -m benchmarks.ad_cues --painted CACHE --kinds bare,mid_roll --seeds 5 --splices CACHE`.

Pooled F1 with all cues and with one left out, on films of `benchmarks.ads` and of `benchmarks.splices` (part `test`), both kept in
their folders. A cue is left out by taking its weights away; the others stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import ads
from benchmarks import splices as spliced_films
from benchmarks.watching import watched
from model.video import TimeSpan
from pipelines.evaluation import broadcast, splices
from pipelines.evaluation.ad_scores import Verdict, false_s_per_hour, overlap
from pipelines.signals.shots import find_shots
from pipelines.tasks.ads import AdSettings, findings_of, judge
from pipelines.tasks.ads_film import gather
from pipelines.tasks.ads_runs import Film
from pipelines.tasks.ads_score import FITTED, SEEN, Weights

CUES = {
    "nothing": (),
    "trained eyes": SEEN,
    "looks": ("look", "look_least", "resume", "return"),
    "sound": ("loud", "timbre", "jump", "silence", "strange"),
    "logo and framing": ("logo", "bars"),
    "black": ("black",),
    "a spot's length": ("standard",),
    "pace and stills": ("pace", "still", "sparse"),
    "copies": ("copy",),
}


@dataclass(frozen=True, slots=True)
class Known:
    """A film ready to be judged, and its true breaks."""

    film: Film
    duration_s: float
    breaks: tuple[TimeSpan, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--painted", type=Path, required=True)
    parser.add_argument("--kinds", default=",".join(broadcast.KINDS))
    parser.add_argument("--seeds", default="5")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--splices", type=Path, required=True)
    parser.add_argument("--splice-seeds", default="1,2")
    wanted = parser.parse_args()
    painted = [
        _known(*ads.film(wanted.painted, kind, int(seed), wanted.minutes, None))
        for seed in wanted.seeds.split(",")
        for kind in wanted.kinds.split(",")
    ]
    spliced = [_known(*made) for made in spliced_films.films(wanted.splices, "", "test", splices.KINDS, wanted.splice_seeds.split(","))]
    print(f"{'without':20s} {'painted F1':>10s} {'false s/h':>9s} {'spliced F1':>10s} {'false s/h':>9s}")
    for name, terms in CUES.items():
        weights = replace(FITTED, terms={**FITTED.terms, **dict.fromkeys(terms, 0.0)})
        print(f"{name:20s} {_told(painted, weights)} {_told(spliced, weights)}", flush=True)


def _known(path: Path, truth: ads.Told | spliced_films.Told) -> Known:
    measured = watched(path, path.parent / "series")
    return Known(gather(measured, find_shots(measured)), truth.duration_s, truth.breaks)


def _told(known: Sequence[Known], weights: Weights) -> str:
    verdicts = []
    for one in known:
        found = findings_of(judge(one.film, weights), AdSettings())
        verdicts.append(Verdict("", one.duration_s, tuple((f.span, f.score) for f in found if f.kind == "break"), one.breaks))
    return f"{overlap(verdicts).f1:10.3f} {false_s_per_hour(verdicts):9.1f}"


if __name__ == "__main__":
    main()
