"""`longtake stream`: the commands about live streams. Parses and calls; imports what a command needs only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from services.answering import JsonOption, answers

streams = typer.Typer(
    help="Live streams: send one to be watched, and see which are on air.",
    epilog="Example: longtake stream push rtsp://camera.lan/door --name door",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@streams.command(
    short_help="Send a file, a camera or a channel as a live stream.",
    epilog="Examples: longtake stream push recording.ts --name news --realtime · longtake stream push rtsp://user:secret@camera.lan/door "
    "--name door · longtake stream push https://example.org/live.m3u8 --name channel-5",
)
@answers
def push(
    source: Annotated[
        str, typer.Argument(metavar="FILE|rtsp://...|http(s)://...", help="A media file, a camera, or an HLS playlist.", show_default=False)
    ],
    name: Annotated[
        str, typer.Option(metavar="ID", help="The stream's id: findings carry it. Default: made of the source, without its password.")
    ] = "",
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Send a file as fast as it plays. Without it: as fast as the broker takes it.")
    ] = False,
    chunk_s: Annotated[
        float, typer.Option(min=0.5, max=30.0, metavar="SECONDS", help="Length of a chunk; longer where key frames are rarer.")
    ] = 2.0,
    channel: Annotated[str, typer.Option(metavar="NAME", help="Whose ordinary life it shows. Default: the stream itself.")] = "",
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="broadcast (ads and faults), camera (anomalies and faults), sport ...")
    ] = "broadcast",
    give_up_s: Annotated[
        float, typer.Option("--give-up", min=1.0, metavar="SECONDS", help="End the stream after so long without anything from the source.")
    ] = 300.0,
    json: JsonOption = False,
) -> int:
    """Cut SOURCE at its key frames into chunks of about 2 s and put them on the topic longtake.streams, without re-encoding.

    A connection that breaks is made again, after 1 s, 2 s, 4 s ... 30 s; where the source's clock went on, so does the stream, and the
    gap is told in its findings. Ctrl-C ends the stream cleanly. The broker, and the store for chunks of more than 4 MB, are those of
    LONGTAKE_KAFKA and LONGTAKE_S3, or of `longtake up` in this folder. Without a broker the stream is watched in this process, and
    findings are printed as they arrive: new, update (refined) and end, each with its id and revision.
    """
    from services.pushing import push_stream

    return push_stream(
        source, name=name, pace=realtime, chunk_s=chunk_s, channel=channel, profile=profile, give_up_s=give_up_s, as_json=json
    )


@streams.command("list", short_help="Show the streams that are known.")
@answers
def list_(json: JsonOption = False) -> int:
    """Show every stream: on air or ended, seconds seen of seconds aired, how far the watching lags, gaps, and findings so far."""
    from services.pushing import list_streams

    return list_streams(as_json=json)
