"""`longtake archive`: every film below a prefix or a folder, so many at a time, from wherever an earlier run stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.requests import RequestBook, RequestRow
from services.app import open_bucket, open_database, open_topics
from services.connecting import broker_here
from services.ingest.bucket import REQUESTS, Bucket, Put
from services.looking import print_json
from services.messages import Request, encode
from services.opening import open_results
from services.progress import progress_bars
from services.settings import Settings

POLL_S = 0.5
DONE = ("ok", "empty", "degraded", "failed", "superseded")
Send = Callable[[Request], None]


@dataclass(frozen=True, slots=True)
class ArchiveOrder:
    """What the command line asked for. at_once: films on their way through the services at any time."""

    where: str
    at_once: int = 4
    profile: str = "auto"
    tasks: tuple[str, ...] = ()
    retry_failed: bool = False


def archive(order: ArchiveOrder, *, as_json: bool) -> int:
    """Returns the exit code: 0, or 3 where a film could not be read."""
    settings = broker_here()
    bucket = archive_at(order.where, settings)
    topics, book = open_topics(settings), RequestBook(open_results(open_database(settings)))
    films = [(put, Request(bucket.uri(put.key), put.version, profile=order.profile, tasks=order.tasks)) for put in bucket.there()]
    if not films:
        raise UnreadableVideo(f"no film lies below {order.where}")
    with progress_bars() as progress:
        rows = run(films, book, lambda request: topics.put(REQUESTS, [encode(request, "archive")]), order, progress)
    topics.close()
    _tell(rows, as_json=as_json)
    return 3 if any(row.state == "failed" for row in rows) else 0


def archive_at(where: str, settings: Settings) -> Bucket:
    """`s3://bucket/prefix`, or a folder that the services may read as well."""
    parts = urlsplit(where)
    if parts.scheme == "s3":
        if not settings.s3:
            raise WrongRequest("no object store is known here; LONGTAKE_S3 names one")
        name, prefix = where.removeprefix("s3://").partition("/")[::2]
        return Bucket(open_bucket(settings, name), prefix, lambda key: f"s3://{name}/{key}", name)
    folder = Path(where).resolve()
    if not folder.is_dir():
        raise WrongRequest(f"{where} is neither s3://bucket/prefix nor a folder")
    return Bucket(FolderBlobs(folder), "", lambda key: (folder / key).as_uri())


def run(
    films: Iterable[tuple[Put, Request]], book: RequestBook, send: Send, order: ArchiveOrder, progress: Callable[[str, float, float], None]
) -> list[RequestRow]:
    """Ask for what is not answered yet, `at_once` at a time, and wait. Films whose bytes look the same go one after the other, so that
    the second is answered from the first."""
    asked = {request.id: (put, request) for put, request in films}
    rows = {i: row for i, row in book.rows(asked).items() if row.state in DONE and not (order.retry_failed and row.state == "failed")}
    waiting = [i for i in asked if i not in rows]
    on_their_way: set[str] = set()
    while waiting or on_their_way:
        for i in _next(waiting, on_their_way, asked, order.at_once):
            _ask(asked[i][1], book, send)
            waiting.remove(i)
            on_their_way.add(i)
        now = book.rows(on_their_way)
        rows |= {i: row for i, row in now.items() if row.state in DONE}
        on_their_way -= set(rows)
        progress(f"{len(rows)} of {len(asked)} films, {len(on_their_way)} on their way", len(rows), len(asked))
        time.sleep(POLL_S if on_their_way else 0)
    return [rows[i] for i in asked]


def _ask(request: Request, book: RequestBook, send: Send) -> None:
    book.put(RequestRow(request.id, request.uri, request.version, request.name, "queued"))
    send(request)


def _next(waiting: list[str], on_their_way: set[str], asked: dict[str, tuple[Put, Request]], at_once: int) -> Iterator[str]:
    looks = {(put.version, put.size) for put, _ in map(asked.__getitem__, on_their_way)}
    free = at_once - len(on_their_way)
    for i in list(waiting):
        put = asked[i][0]
        if free > 0 and (put.version, put.size) not in looks:
            looks.add((put.version, put.size))
            free -= 1
            yield i


def _tell(rows: list[RequestRow], *, as_json: bool) -> None:
    counts = Counter(row.state for row in rows)
    if as_json:
        print_json({"films": [asdict(row) for row in rows], "counts": dict(counts)})
        return
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in ("film", "", "why"):
        table.add_column(name, overflow="fold")
    colours = {"ok": "green", "empty": "green", "degraded": "yellow", "failed": "red"}
    for row in rows:
        if row.state not in ("ok", "empty"):
            table.add_row(Text(row.name), Text(row.state, style=colours.get(row.state, "")), Text(row.reason))
    console = Console()
    if table.row_count:
        console.print(table)
    console.print(f"{len(rows)} films: " + ", ".join(f"{count} {state}" for state, count in counts.most_common()))
