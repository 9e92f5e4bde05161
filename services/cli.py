"""The command line: `longtake --help`. Parses, calls, prints; imports what a command needs only when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.answering import Exit, JsonOption, ProviderOption, StoreOption, answers
from services.cli_asking import asking
from services.cli_services import services
from services.cli_spots import spots
from services.cli_streams import streams
from services.cli_systems import models
from services.cli_training import training

app = typer.Typer(
    name="longtake",
    help="Understands hours of video on one machine: ad breaks, anomalies, chapters and a storyboard, with exact times.",
    epilog="Exit codes: 0 done (ok, empty or degraded) · 1 a bug of ours · 2 wrong usage · 3 an input that cannot be read, the others are "
    "still done · 4 a service that does not answer · 130 stopped by Ctrl-C (run the same command again to go on).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's frames would triple the time to the first word (0.2 against 0.7 s)
    pretty_exceptions_enable=False,
)

Video = Annotated[Path, typer.Argument(metavar="VIDEO", help="A media file.", show_default=False, readable=False)]


@app.command(
    short_help="Find ads, anomalies, shots and chapters.", epilog="Example: longtake analyze film.mkv --out film --export edl --export vtt"
)
@answers
def analyze(
    videos: Annotated[
        list[Path],
        typer.Argument(
            metavar="VIDEO...",
            help="Media files, one after the other; episodes of a series tell each other's intro, recap and credits.",
            show_default=False,
            readable=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where report.json, report.html and exports go; with several videos, a folder each in it."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="shots, ads, anomalies, chapters, summary, parts, slots; repeatable. Default: the profile's."),
    ] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="auto, broadcast, film, camera or sport: the tasks that make sense there.")
    ] = "auto",
    normal: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="VIDEO", help="A recording of the source's ordinary life to judge anomalies against; repeatable.", readable=False
        ),
    ] = None,
    source: Annotated[str, typer.Option(metavar="NAME", help="The camera or channel: corrections are learned per source.")] = "",
    series: Annotated[
        str, typer.Option(metavar="NAME", help="Of which these are episodes: those analysed before under this name are compared with too.")
    ] = "",
    export: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="edl, ffmetadata, vtt, metadata, srt, csv, scores, otio, vmap, slots, json; repeatable."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Judge anew although the store has the answer.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Decoding processes. Default: one a core.", show_default=False)] = None,
    shots: Annotated[
        str, typer.Option(metavar="HOW", help="fast, or accurate: a trained net looks at every frame, which takes most of the time.")
    ] = "fast",
    slots_per_hour: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="At most so many slots for breaks. Default: 8.", show_default=False)
    ] = None,
    read: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Pictures read for text in 20 minutes; 0 for none. Default: 40.", show_default=False),
    ] = None,
    speech: Annotated[
        str,
        typer.Option(metavar="ENGINE", help="Transcribe: auto, pocketsphinx, faster-whisper, or the URL of an OpenAI-compatible service."),
    ] = "",
    speech_model: Annotated[
        str, typer.Option(metavar="FOLDER|NAME", help="The folder of a Whisper model, or the name a service knows.")
    ] = "",
    provider: ProviderOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Find ad breaks, anomalies, shots and chapters in VIDEO, with a storyboard.

    Writes report.json and report.html (opens without a network) beside the exports you ask for. A second run of the same file and
    settings is answered from the store. Stopped half-way, the same command goes on where it was.
    """
    from services.analyzing import Order, analyze_all

    order = Order(
        tuple(videos), out, tuple(task or ()), profile, tuple(normal or ()), source, tuple(export or ()), again, workers, store,
        tuple(provider or ("cpu",)), shots, speech=speech, speech_model=speech_model, read=read,
        slots_per_hour=slots_per_hour, series=series,
    )  # fmt: skip
    return analyze_all(order, as_json=json)


@app.command(short_help="Say what a file is, and where its header lies.")
@answers
def probe(video: Video, json: JsonOption = False) -> None:
    """Say what VIDEO is: measured duration, frame rate, size, streams, chapters, and where its header lies."""
    from services.looking import show_probe

    show_probe(video, as_json=json)


@app.command(
    short_help="Write a finished report in another format.", epilog="Example: longtake export film/report.json --format edl --out film.edl"
)
@answers
def export(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A report.json, or the folder it lies in.", show_default=False)],
    formats: Annotated[
        list[str],
        typer.Option("--format", metavar="FORMAT", help="edl, ffmetadata, vtt, metadata, srt, csv, scores, otio, vmap, slots, json."),
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE|DIR", help="Default: standard output.")] = None,
) -> None:
    """Write a finished report in a format that players and editors read."""
    from services.looking import export_report

    export_report(report, tuple(formats), out)


@app.command(epilog="Example: longtake findings --task ads --min-score 0.8 --json")
@answers
def findings(
    store: StoreOption = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this task's findings: shots, ads, anomalies, chapters, summary, parts or slots."),
    ] = None,
    from_s: Annotated[float | None, typer.Option("--from", metavar="SECONDS", help="Only what ends after this time of its video.")] = None,
    to_s: Annotated[float | None, typer.Option("--to", metavar="SECONDS", help="Only what begins before this time of its video.")] = None,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Only findings at least this sure.")] = 0.0,
    video: Annotated[str | None, typer.Option(metavar="NAME|ID", help="Only this video, by file name or beginning of its id.")] = None,
    json: JsonOption = False,
) -> None:
    """List what is in the result store, corrections applied."""
    from services.looking import show_findings

    show_findings(store, task=task, from_s=from_s, to_s=to_s, min_score=min_score, video=video, as_json=json)


@app.command(epilog="Example: longtake correct 3fa9 --start 61.2 --end 91.2 --note 'trailer belongs to it'")
@answers
def correct(
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="A finding's id, or its beginning.", show_default=False)],
    start: Annotated[float | None, typer.Option(metavar="SECONDS", help="Where it really starts.")] = None,
    end: Annotated[float | None, typer.Option(metavar="SECONDS", help="Where it really ends.")] = None,
    label: Annotated[str | None, typer.Option(help="What it really is.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="It is no finding. A rejected alarm teaches its source's normal.")] = False,
    note: Annotated[str, typer.Option(help="Why, for those who read it later.")] = "",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Put your word on a finding. It is kept as a revision that no later run overwrites."""
    from services.looking import correct_finding

    correct_finding(store, finding, start=start, end=end, label=label, rejected=reject, note=note, as_json=json)


@app.command(short_help="Write one finding as a file of its own.", epilog="Example: longtake clip film.mkv 3fa9 --out alarm.mp4")
@answers
def clip(
    video: Video,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="A finding's id, or its beginning.", show_default=False)],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: <video>-<finding>.mp4 in this folder.")] = None,
    margin: Annotated[float, typer.Option(min=0.0, max=3600.0, metavar="SECONDS", help="This much more before and after.")] = 0.0,
    store: StoreOption = None,
) -> None:
    """Write one finding's stretch of VIDEO as a file of its own, with exact edges."""
    from services.cutting import write_clip

    write_clip(video, finding, out, margin, store)


@app.command(short_help="Write the film without its ads.", epilog="Example: longtake cut recording.ts --out film.mp4")
@answers
def cut(
    video: Video,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: <video>-without-ads.mp4 in this folder.")] = None,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Remove only ads at least this sure.")] = 0.5,
    store: StoreOption = None,
) -> None:
    """Write the film without its ads (analysed first where that was not done). Corrections count."""
    from services.cutting import write_without_ads

    write_without_ads(video, out, min_score, store)


@app.command(
    short_help="Find moments by a picture or by words.",
    epilog="Examples: longtake search --text 'dog on a skateboard' · longtake search film.mkv --like still.jpg --json",
)
@answers
def search(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[VIDEO...]", help="Only these; what is not in the store is looked at first. Default: all.", readable=False),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Said, written, seen or meant: subtitles, screen texts, transcript, pictures.")
    ] = None,
    like: Annotated[Path | None, typer.Option(metavar="PICTURE", help="A picture file: moments that look like it.", readable=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many hits.")] = 20,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Only hits at least this sure.")] = 0.1,
    provider: ProviderOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Find moments in VIDEO, or in every video of the store, that look like a picture or hold words; each with its reason."""
    from services.searching import Query, show_hits

    show_hits(Query(tuple(videos or ()), text, like, limit, min_score, tuple(provider or ("cpu",)), store), as_json=json)


app.add_typer(asking)
app.add_typer(training)
app.add_typer(services)
app.add_typer(models, name="models")
app.add_typer(spots, name="spots")
app.add_typer(streams, name="stream")


@models.command("list", short_help="Show every model, and whether it is ready.")
@answers
def list_models(json: JsonOption = False) -> None:
    """Show every model with its use, licence, source, size and digest, and whether it is ready."""
    from services.models import show_models

    show_models(as_json=json)


@models.command(short_help="Check every model, and make what runs from it.")
@answers
def prepare(json: JsonOption = False) -> int:
    """Check every model's digest and make the graphs that run, once; `longtake analyze` does the same when it needs them."""
    from services.models import prepare_models

    return prepare_models(as_json=json)


@models.command(
    short_help="Make a tiny checkpoint with random weights.",
    epilog="Example: longtake models tiny small && longtake ask film.mp4 'Who?' --checkpoint small",
)
@answers
def tiny(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Another seed, other weights.")] = 0,
) -> None:
    """Make a tiny Video-XL in its authors' format, to try the machinery with. Its weights are random: what it says means nothing."""
    from services.systems import make_tiny

    make_tiny(folder, seed)


@app.command(short_help="Say what is installed and what is missing.")
@answers
def doctor(store: StoreOption = None, json: JsonOption = False) -> int:
    """Say what is installed, what is missing and what to do about it. Exit code 4 where something is broken."""
    from services.looking import show_diagnosis

    return show_diagnosis(store, as_json=json)


@app.command(short_help="Make a sample, analyse it, compare with the truth.")
@answers
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the sample and its reports go.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 7,
) -> int:
    """Make a short broadcast and a camera scene with known truth, analyse both, and print found against true."""
    from services.demo import run_demo

    return run_demo(out, seed)


def main() -> None:
    # Judging multiplies small matrices; a thread a core that waits for the next one took up to four times the processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except SystemExit as end:
        if end.code == Exit.STOPPED:  # nets may still be computing in threads of their own, which abort a program that ends under them
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(int(Exit.STOPPED))
        raise


if __name__ == "__main__":
    main()
