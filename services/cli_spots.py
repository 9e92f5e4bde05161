"""`longtake spots`: the commands about known spots. Parses and calls; imports what a command needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.answering import JsonOption, StoreOption, answers

spots = typer.Typer(
    help="Known spots: name one, and find it wherever it airs again.",
    epilog="Example: longtake spots add 'Fizz 20 s' fizz.mp4 && longtake spots match recording.ts",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Videos = Annotated[
    list[Path], typer.Argument(metavar="VIDEO...", help="Media files; measured first where that was not done.", readable=False)
]
LeastScore = Annotated[float, typer.Option("--min-score", min=0.0, max=1.0, help="Only airings at least this sure.")]


@spots.command(short_help="Give a spot a name.", epilog="Example: longtake spots add 'Fizz summer' recording.ts --from 612.4 --to 632.4")
@answers
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The spot, or a recording in which it airs.", readable=False)],
    from_s: Annotated[float | None, typer.Option("--from", metavar="SECONDS", min=0.0, help="Where it begins in FILE.")] = None,
    to_s: Annotated[float | None, typer.Option("--to", metavar="SECONDS", min=0.0, help="Where it ends in FILE.")] = None,
    advertiser: Annotated[str, typer.Option(help="Who advertises.")] = "",
    product: Annotated[str, typer.Option(help="What for.")] = "",
    note: Annotated[str, typer.Option(help="For those who read it later.")] = "",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Take the fingerprint of a spot and keep it under NAME. Refused: under 3.6 s, neither usable sound nor pictures, known already."""
    from services.spots import Words, add_spot

    add_spot(store, Words(name, advertiser, product, note), file, from_s, to_s, as_json=json)


@spots.command("list", short_help="Show the spots that are known.")
@answers
def list_(store: StoreOption = None, json: JsonOption = False) -> None:
    """Show every known spot: length, what it is known by (sound, picture or both), and where it came from."""
    from services.spots import list_spots

    list_spots(store, as_json=json)


@spots.command(short_help="Forget a spot.", epilog="Example: longtake spots remove 'Fizz summer'")
@answers
def remove(
    spot: Annotated[str, typer.Argument(metavar="NAME|ID", help="Its name, its id, or the id's beginning.", show_default=False)],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Forget a spot: its name and its fingerprint."""
    from services.spots import remove_spot

    remove_spot(store, spot, as_json=json)


@spots.command(short_help="Find known spots in videos.", epilog="Example: longtake spots match monday.ts tuesday.ts --json")
@answers
def match(videos: Videos, min_score: LeastScore = 0.5, store: StoreOption = None, json: JsonOption = False) -> int:
    """Say where known spots are on air in VIDEO, to the frame: also encoded anew, scaled, 2 % faster or slower, louder, under a logo."""
    from services.spots import match_spots

    return match_spots(store, videos, min_score, as_json=json)


@spots.command(short_help="Offer unknown repeats for naming.", epilog="Example: longtake spots suggest week/*.ts")
@answers
def suggest(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[VIDEO...]", help="Only these. Default: all that the store has measured.", readable=False),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Gather what airs more than once and has no name yet, each with a `longtake spots add` line to paste."""
    from services.spots_suggest import suggest_spots

    return suggest_spots(store, videos or (), as_json=json)


@spots.command(
    short_help="Write an as-run list.", epilog="Example: longtake spots log monday.ts --start-time 2026-03-02T18:00 --out monday.csv"
)
@answers
def log(
    videos: Videos,
    form: Annotated[str, typer.Option("--format", metavar="csv|json", help="RFC 4180 rows, or one JSON document.")] = "csv",
    start_time: Annotated[
        str | None, typer.Option("--start-time", metavar="ISO8601", help="The wall clock at VIDEO's begin, for a column of wall times.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: standard output.")] = None,
    min_score: LeastScore = 0.5,
    store: StoreOption = None,
) -> int:
    """Write which spot was on air when: time on the player's and the wall clock, length, spot, advertiser, match score and reason."""
    from services.spots import log_spots

    return log_spots(store, videos, form, start_time, out, min_score)
