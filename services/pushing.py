"""What `longtake stream` does: sends a source and shows how far it has come; lists the streams."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.interfaces import WrongRequest
from services.answering import Exit
from services.app import open_measured, open_topics, open_worker
from services.connecting import broker_here, embedded_here, settings_here
from services.ingest.streams import Push, Sent, push
from services.messages import FindingEvent, StreamStatus, ce_type, decode
from services.settings import Settings
from services.stages import FINDINGS, STREAM_STATUS, STREAMS
from services.topics.base import Topics
from services.worker import group_of

TELLER = "longtake.push"


def push_stream(source: str, *, as_json: bool, **how: Any) -> int:
    """Returns the exit code: STOPPED where Ctrl-C or a termination ended it. The last mark is sent either way."""
    settings, wish = _settings(), Push(source=source, **how)
    topics = open_topics(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=True)
    code, sent = Exit.DONE, Sent(wish.stream)

    def told(now: Sent) -> None:
        nonlocal sent
        sent = now
        status.update(_line(now))

    try:
        with console.status(f"connecting: {wish.stream}") as status, _watched_here(settings, topics, as_json):
            try:
                push(wish, topics, open_measured(settings), told)
            except KeyboardInterrupt:
                code = Exit.STOPPED
    finally:
        topics.close()
    print(json.dumps(asdict(sent)) if as_json else _line(sent))
    return code


def _settings() -> Settings:
    """Of the services that are known here; without any, of this process alone."""
    try:
        return settings_here()
    except WrongRequest:
        Console(stderr=True).print("no services are known here: the stream is watched by this process", style="dim")
        return embedded_here()


@contextmanager
def _watched_here(settings: Settings, topics: Topics, as_json: bool) -> Iterator[None]:
    """Without a broker nobody else could watch: it is done here, and findings are printed as they arrive."""
    if settings.kafka:
        yield
        return
    worker, done = open_worker(settings, ["live", "record"], topics), threading.Event()
    threads = [threading.Thread(target=worker.run), threading.Thread(target=_print_findings, args=(topics, done, as_json))]
    for thread in threads:
        thread.start()
    try:
        yield
        while topics.lag([STREAMS], group_of("live")) or topics.lag([FINDINGS], group_of("record")) or topics.lag([FINDINGS], TELLER):
            done.wait(0.1)
    finally:
        done.set()
        worker.stop()
        for thread in threads:
            thread.join()


def _print_findings(topics: Topics, done: threading.Event, as_json: bool) -> None:
    consumer = topics.consumer([FINDINGS], TELLER)
    while not done.is_set():
        for delivery in consumer.poll(0.1):
            if delivery.record.headers.get("ce_type") == ce_type(FindingEvent):
                event = decode(delivery, FindingEvent)
                print(delivery.record.value.decode() if as_json else _finding(event), flush=True)
            consumer.commit(delivery)
    consumer.close()


def _finding(event: FindingEvent) -> str:
    what = f"{event.task}/{event.finding}"
    withdrawn = " (withdrawn)" if event.state == "withdrawn" else ""
    return (
        f"{event.type:6} {event.id[:8]}.{event.revision:<3} {event.start_s:10.3f} {event.end_s:10.3f}  {what:18} {event.label}{withdrawn}"
    )


def _line(sent: Sent) -> str:
    rate = f", {sent.bytes * 8 / sent.seconds / 1e6:.1f} Mbit/s" if sent.seconds else ""
    again = f", connected again {sent.reconnects} times" if sent.reconnects else ""
    minutes, seconds = divmod(int(sent.seconds), 60)
    trouble = f" - {sent.trouble}" if sent.trouble else ""
    return f"{sent.stream}: {minutes}:{seconds:02} sent in {sent.chunks} chunks, {sent.speed:.1f} x real time{rate}{again}{trouble}"


def list_streams(*, as_json: bool) -> int:
    """The newest status of each stream."""
    topics = open_topics(broker_here())
    try:
        found = {status.stream: status for status in (decode(delivery, StreamStatus) for delivery in topics.scan(STREAM_STATUS))}
    finally:
        topics.close()
    if as_json:
        print(json.dumps({"streams": [asdict(status) for status in found.values()]}))
    else:
        table = Table("stream", "source", "state", "seen s", "aired s", "lag s", "findings", "lost", "told at")
        for status in sorted(found.values(), key=lambda s: s.stream):
            table.add_row(*_row(status))
        Console().print(table)
    return Exit.DONE


def _row(status: StreamStatus) -> tuple[str, ...]:
    lag = "" if status.lag_s is None else f"{status.lag_s:.1f}"
    lost = str(status.counts.get("lost", 0) + status.counts.get("damaged", 0))
    return (
        status.stream, status.source, status.state, f"{status.seconds_seen:.0f}", f"{status.seconds_total:.0f}", lag, str(status.findings),
        lost, status.at,
    )  # fmt: skip
