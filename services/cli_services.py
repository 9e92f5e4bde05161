"""Commands of the services: up, down, status, serve, work, settings, archive, dead-letters. Parses and calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.answering import JsonOption, answers

services = typer.Typer(rich_markup_mode=None)
dead = typer.Typer(
    help="Messages that could not be done: see why, and send them again.",
    epilog="Example: longtake dead-letters list && longtake dead-letters replay 3fa9",
    no_args_is_help=True,
    rich_markup_mode=None,
)
services.add_typer(dead, name="dead-letters")
Letter = Annotated[str, typer.Argument(metavar="ID", help="A dead letter's id, or its beginning.", show_default=False)]


@services.command(short_help="Start everything on this machine.", epilog="Example: longtake up && cp film.mp4 .longtake/store/incoming/")
@answers
def up(
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Without any server: topics in memory, films in a folder, findings in SQLite.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Ray Serve config. Default: one machine's.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Start Kafka, MinIO, PostgreSQL and the services, and wait until a tiny video has gone the whole way.

    The first time installs the servers (some minutes). Addresses and credentials are in .longtake/endpoints.json, for your eyes only.
    A film that is put into the bucket below the prefix (or, embedded, into .longtake/store/incoming) is analysed by itself;
    `longtake findings --store DATABASE` shows what was found. `longtake down` stops it all; both can be repeated.
    """
    from services.looking import print_json
    from services.up import show_up
    from services.up import up as start

    told = start(embedded=embedded, config=config)
    print_json(told) if json else show_up(told)


@services.command(short_help="Stop what `longtake up` started.")
@answers
def down() -> None:
    """Stop the services and the servers that `longtake up` started. What is in hand comes to its end; what is stored stays."""
    from services.up import down as stop

    stop()


@services.command(short_help="Show how far the services have come.")
@answers
def status(json: JsonOption = False) -> int:
    """Show what waits for each stage, what became of the requests, and how many dead letters there are."""
    from services.status import show_status

    return show_status(as_json=json)


@services.command(epilog="Example: LONGTAKE_KAFKA=broker:9092 LONGTAKE_S3=https://s3.lan ... longtake serve --config serve.yaml")
@answers
def serve(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Ray Serve config. Default: one machine's.", show_default=False)
    ] = None,
    address: Annotated[str, typer.Option(metavar="ADDRESS", help="Of a Ray cluster; empty: one is started on this machine.")] = "",
) -> None:
    """Deploy the stages with Ray Serve, between the topics and stores that the environment names, until Ctrl-C or SIGTERM."""
    from services.serving import serve as run

    run(config, address)


@services.command(epilog="Example: LONGTAKE_KAFKA=broker:9092 ... longtake work decode encode")
@answers
def work(
    stages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STAGE...]", help="ingest, cut, decode, encode, watch, tasks, record. Default: all."),
    ] = None,
) -> None:
    """Run stages in this process, without Ray: a member of their groups like any replica. Until Ctrl-C or SIGTERM."""
    from services.serving import work as run

    run(tuple(stages or ()))


@services.command(short_help="Explain every setting.")
@answers
def settings(json: JsonOption = False) -> None:
    """Show every environment variable of the services: what it is for, its unit, its default, and what it is set to here."""
    from services.status import show_settings

    show_settings(as_json=json)


@services.command(
    short_help="Analyse a whole archive.", epilog="Example: longtake archive s3://films/1960s/ --at-once 8; the same command goes on"
)
@answers
def archive(
    where: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX|FOLDER", help="Where the films lie.", show_default=False)],
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="Films on their way through the services at any time.")] = 4,
    profile: Annotated[str, typer.Option(metavar="NAME", help="auto, broadcast, film, camera or sport.")] = "auto",
    task: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these tasks; repeatable. Default: the profile's.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask again for films that failed before.")] = False,
    json: JsonOption = False,
) -> int:
    """Have the services analyse every film below a prefix or folder. Films analysed before are not asked for again, and films with the
    same content are analysed once. Stopped, the same command goes on where it was; the services go on with what is on its way."""
    from services.archive import ArchiveOrder
    from services.archive import archive as run

    return run(ArchiveOrder(where, at_once, profile, tuple(task or ()), retry_failed), as_json=json)


@dead.command("list", short_help="List them, oldest first.")
@answers
def list_letters(
    every: Annotated[bool, typer.Option("--all", help="Also those that were sent again.")] = False, json: JsonOption = False
) -> None:
    """List the messages that could not be done, with stage, attempts and reason."""
    from services.status import show_letters

    show_letters(every=every, as_json=json)


@dead.command(short_help="Show one, with everything known of it.")
@answers
def show(letter: Letter, json: JsonOption = False) -> None:
    """Show one dead letter: where it stood, why it failed, how often, its headers and its value."""
    from services.status import show_letter

    show_letter(letter, as_json=json)


@dead.command(short_help="Send some to their topics again.", epilog="Example: longtake dead-letters replay 3fa9 77c0")
@answers
def replay(
    letters: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Ids, or their beginnings.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not sent again yet.")] = False,
    stage: Annotated[str, typer.Option(metavar="NAME", help="With --all: only those that failed in this stage.")] = "",
) -> None:
    """Send dead letters to their topics again, as they came; they have all their attempts again."""
    from services.status import replay_letters

    replay_letters(tuple(letters or ()), every=every, stage=stage)
