"""`longtake demo`: makes its own sample with known truth, runs the main job on it and prints found against true."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.video import TimeSpan
from pipelines.analyze import analyze_video
from pipelines.evaluation.broadcast import make_sample
from pipelines.evaluation.camera import make_camera
from pipelines.findings import Finding
from pipelines.profiles import wanted
from pipelines.sampling import Instants, sample_frames
from pipelines.search import ClassTexts, search_like, search_text
from pipelines.stores.seen import SeenShelf
from pipelines.watching import Run
from services.models import open_senses
from services.opening import open_store
from services.outputs import write_outputs
from services.progress import progress_bars
from services.searching import hits_table
from services.tables import clock, report_table

STILL_S = 20.0
Truth = list[tuple[str, TimeSpan]]  # kind, when


def run_demo(folder: Path, seed: int) -> int:
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    films = [folder / f"broadcast-{seed}.mp4", folder / f"camera-{seed}.mp4"]
    console.print(f"Making a broadcast and a camera recording from seed {seed} (about half a minute) ...")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        truths = list(pool.map(_make, films, [seed, seed]))
    for film, truth in zip(films, truths, strict=True):
        with progress_bars() as progress:
            report = analyze_video(film, wanted(), open_store(str(folder / "store")), open_senses(), run=Run(again=True, progress=progress))
            write_outputs(report, film, folder / film.stem, ("edl", "csv", "vtt"), progress)
        console.print(report_table(report, folder / film.stem), comparison(truth, report.findings), "")
    show_eyes(console, films, folder / "store")
    console.print(f"Open {folder / films[0].stem / 'report.html'} in a browser.", style="bold")
    return 0


def show_eyes(console: Console, films: Sequence[Path], where: Path) -> None:
    """What the trained models saw and read in the samples, without torch: a search by a still and one by words."""
    senses, store = open_senses(), open_store(str(where))
    torch = "torch is installed and was not loaded" if find_spec("torch") else "no torch installed"
    if senses.encoder is None:
        console.print("; ".join(senses.missing), style="yellow")
        return
    shelf = SeenShelf(store.results, store.blobs, senses.encoder_key)
    seen = sum(len(rows) for rows in shelf.codes().values())
    console.print(
        f"Trained eyes: {senses.encoder.name} in ONNX Runtime ({torch}) saw {seen} different looks. Two searches over them:", style="bold"
    )
    (still,) = sample_frames(films[0], Instants((STILL_S,)), (senses.encoder.size_px,) * 2)
    console.print(f"longtake search --like (the still at {clock(STILL_S)} of {films[0].name})")
    console.print(hits_table(search_like(senses.encoder.encode(still.pixels).embeddings[0], shelf)[:4]))
    words = [w for _, line in shelf.lines() if line.origin == "screen" and line.confidence > 0.9 for w in line.text.split() if w.isalpha()]
    if words and len(word := max(words, key=len)) > 3:
        console.print(f"longtake search --text {word} (a word that was read in a picture)")
        console.print(hits_table(search_text(word, shelf, ClassTexts(senses.encoder.class_names))[:4]))
    console.print("")


def _make(film: Path, seed: int) -> Truth:
    if film.stem.startswith("broadcast"):
        return [("ad break", span) for span in make_sample(film, seed).breaks]
    made = make_camera(film, seed, 5.0, "street", warm_up_s=120.0)
    return [(event.kind, event.span) for event in made.events]


def comparison(truth: Truth, found: Sequence[Finding]) -> Table:
    """Each true event beside the finding that overlaps it most, and what was found without being true."""
    judged = [f for f in found if f.kind == "break" or f.task == "anomalies"]
    table = Table(title="found against true", title_justify="left", box=None, header_style="dim", padding=(0, 1))
    for name in ("true", "from", "to", "found", "from", "to", "edges off by"):
        table.add_column(name, justify="right" if name in ("from", "to") else "left", overflow="fold")
    best = {index: max(judged, key=lambda f: span.overlap_s(f.span), default=None) for index, (_, span) in enumerate(truth)}
    for index, (kind, span) in enumerate(truth):
        match = best[index]
        table.add_row(*map(Text, (kind, clock(span.start_s), clock(span.end_s), *_found(match, span))))
    for extra in judged:
        if not any(extra.span.overlap_s(span) > 0 for _, span in truth):
            table.add_row(*map(Text, ("nothing", "", "", extra.kind, clock(extra.span.start_s), clock(extra.span.end_s), "")))
    return table


def _found(match: Finding | None, span: TimeSpan) -> tuple[str, str, str, str]:
    if match is None or match.span.overlap_s(span) == 0:
        return "missed", "", "", ""
    off = f"{match.span.start_s - span.start_s:+.2f} s, {match.span.end_s - span.end_s:+.2f} s"
    return match.kind, clock(match.span.start_s), clock(match.span.end_s), off
