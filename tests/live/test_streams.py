"""From a source to the topics and back: records of chunks, the producer, and the stage that watches."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import pytest

from pipelines.containers import opened
from pipelines.interfaces import UnreadableVideo, WrongRequest
from pipelines.live.chunks import Chunk
from pipelines.live.cutting import cut
from pipelines.stores.database import DatabaseResults
from pipelines.stores.folder import FolderBlobs
from pipelines.watching import Senses, Store
from services.ingest.live import Live
from services.ingest.streams import STREAMS, Push, Sent, chunk_of, chunk_record, push, told_source
from services.messages import BadMessage, FindingEvent, ReportEvent, StreamStatus
from services.topics.base import Delivery, Record
from services.topics.memory import MemoryTopics
from services.worker import Out
from tests.live.material import feed, make_faulty


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faulty(tmp_path_factory.mktemp("streams") / "short.ts", seconds=12)


def topics_of() -> MemoryTopics:
    topics = MemoryTopics(largest={STREAMS: 4 << 20})
    topics.ensure({STREAMS: 2})
    return topics


def delivered(record: Record, offset: int = 0) -> Delivery:
    return Delivery(STREAMS, 0, offset, 0, record)


def live_in(folder: Path, clock: Callable[[], float] = time.monotonic) -> Live:
    results = DatabaseResults(f"sqlite:///{folder}/findings.db")
    return Live(Store(FolderBlobs(folder), results), Senses(), clock=clock)


def sent_chunks(topics: MemoryTopics, folder: Path) -> list[Chunk]:
    return [chunk_of(delivery, FolderBlobs(folder)) for delivery in topics.scan(STREAMS)]


@pytest.mark.parametrize("largest", [4 << 20, 1000])
def test_a_chunk_comes_back_as_it_was_sent_in_the_record_or_by_claim(short: Path, tmp_path: Path, largest: int) -> None:
    with opened(short) as container:
        chunk = replace(next(cut(container, feed())), source="door", profile="camera", wall_clock="2026-11-22T00:00:00.000Z")

    record = chunk_record(chunk, FolderBlobs(tmp_path), largest)

    assert chunk_of(delivered(record), FolderBlobs(tmp_path)) == chunk
    assert (len(record.value) <= 1000) == (largest == 1000)
    assert record.key == "s" and record.headers["ce_type"] == "longtake.chunk.v1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ce_type": "longtake.chunk.v9"},
        {"longtake-run": "r", "longtake-sequence": "x"},
        {"longtake-run": "r", "longtake-sequence": "-1"},
    ],
)
def test_records_that_are_no_chunks_are_told(tmp_path: Path, headers: dict[str, str]) -> None:
    with pytest.raises(BadMessage):
        chunk_of(delivered(Record("s", b"", headers)), FolderBlobs(tmp_path))


def test_a_large_chunk_without_a_store_says_what_to_do() -> None:
    with pytest.raises(WrongRequest, match="LONGTAKE_S3"):
        chunk_record(Chunk("s", "r", 0, b"x" * 10), None, 5)


def test_a_file_is_sent_whole_and_ends_with_a_mark(short: Path, tmp_path: Path) -> None:
    topics, heard = topics_of(), []

    sent = push(Push(source=str(short), name="news"), topics, None, lambda now: heard.append(now.chunks))

    chunks = sent_chunks(topics, tmp_path)
    assert [c.sequence for c in chunks] == list(range(len(chunks)))
    assert [c.is_last for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (sent.stream, sent.chunks, sent.reconnects) == ("news", len(chunks) - 1, 0)
    assert heard == list(range(1, sent.chunks + 1))
    assert sent.seconds == pytest.approx(12, abs=0.1)


def test_a_stop_ends_the_stream_with_a_mark(short: Path, tmp_path: Path) -> None:
    topics, stop = topics_of(), threading.Event()

    def stop_at_two(sent: Sent) -> None:
        if sent.chunks == 2:
            stop.set()

    push(Push(source=str(short)), topics, None, stop_at_two, stop)

    assert [c.is_last for c in sent_chunks(topics, tmp_path)] == [False, False, True]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def playlist(short: Path, tmp_path: Path) -> Iterator[str]:
    """The address of an HLS playlist on this machine, user and password in it."""
    folder = tmp_path / "hls"
    folder.mkdir()
    with (
        opened(short) as source,
        av.open(str(folder / "live.m3u8"), "w", format="hls", options={"hls_time": "2", "hls_list_size": "0"}) as out,
    ):
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://somebody:secret@127.0.0.1:{server.server_address[1]}/live.m3u8?token=1"
    server.shutdown()
    server.server_close()


def test_an_hls_playlist_is_sent_and_no_password_with_it(playlist: str, short: Path, tmp_path: Path) -> None:
    topics = topics_of()

    sent = push(Push(source=playlist, give_up_s=5), topics, None)

    chunks = sent_chunks(topics, tmp_path)
    assert sum(c.duration_s for c in chunks) == pytest.approx(12, abs=0.1)
    assert chunks[-1].is_last
    assert "127.0.0.1" in sent.stream and "secret" not in sent.stream and "token" not in sent.stream


def test_a_source_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(UnreadableVideo) as error:
        push(Push(source="rtsp://root:secret@127.0.0.1:9/door?token=1", give_up_s=1), topics_of(), None)

    assert "rtsp://127.0.0.1:9/door" in str(error.value) and "secret" not in str(error.value) and "token" not in str(error.value)
    assert error.value.__cause__ is None
    with pytest.raises(WrongRequest, match="rtsp://"):
        push(Push(source="ftp://somewhere/film"), topics_of(), None)
    assert told_source("https://a:b@example.org:80/x/y.m3u8?c=d") == "https://example.org:80/x/y.m3u8"


@pytest.fixture(scope="module")
def outs(short: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Out]:
    """Everything that the stage says of the short stream, each chunk delivered twice."""
    folder, topics = tmp_path_factory.mktemp("stage"), topics_of()
    push(Push(source=str(short), name="news", channel="five"), topics, None)
    live = live_in(folder)
    return [out for delivery in topics.scan(STREAMS) for _ in range(2) for out in live(delivery)]


def test_the_stage_says_findings_a_report_and_the_streams_state(outs: list[Out]) -> None:
    findings = [out.message for out in outs if isinstance(out.message, FindingEvent)]
    reports = [out.message for out in outs if isinstance(out.message, ReportEvent)]
    states = [out.message for out in outs if isinstance(out.message, StreamStatus)]

    black = [f for f in findings if f.finding == "black"]
    assert {(f.video_id, f.source, f.key) for f in findings} == {("news", "five", "news")}
    assert black[0].type == "new" and black[-1].type == "end"
    assert black[-1].time_base == "1/90000" and black[-1].ticks is not None
    assert reports[-1].sealed and reports[-1].status == "ok" and reports[-1].seconds_seen == pytest.approx(12, abs=0.1)
    assert states[-1].state == "ended" and states[-1].counts["chunks"] == 6


def test_what_is_delivered_again_is_said_again_word_for_word(outs: list[Out]) -> None:
    findings = [out.message for out in outs if isinstance(out.message, FindingEvent)]

    assert all(findings.count(f) == 2 for f in findings)
    assert len({(f.id, f.revision) for f in findings}) == len(findings) // 2


def test_a_silent_stream_is_ended_and_goes_on_when_it_speaks_again(short: Path, tmp_path: Path) -> None:
    topics, now = topics_of(), [0.0]
    push(Push(source=str(short), name="news"), topics, None)
    live = live_in(tmp_path, lambda: now[0])
    deliveries = list(topics.scan(STREAMS))
    for delivery in deliveries[:3]:
        list(live(delivery))

    assert list(live.idle()) == []
    now[0] = 1000.0
    ended = [out.message for out in live.idle()]
    again = [out.message for out in live(deliveries[3])]

    assert [m.sealed for m in ended if isinstance(m, ReportEvent)] == [True]
    assert [m.state for m in ended if isinstance(m, StreamStatus)] == ["ended"]
    assert list(live.idle()) == []
    assert [m.finding for m in again if isinstance(m, FindingEvent) and m.task == "stream"] == ["discontinuity"]
