"""A store that is away, refuses or lies is told within seconds, in a sentence without a secret; needs no server."""

from __future__ import annotations

import contextlib
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pipelines.interfaces import StoreUnavailable
from services.blobs.minio import MinioBlobs

SECRET = "the-secret-itself"
STORE = MinioBlobs("http://127.0.0.1:9", "films", "in/", "who", SECRET, retries=1)


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[MinioBlobs]:
    """Something that takes connections and is no object store."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield replace(STORE, endpoint=f"http://127.0.0.1:{server.getsockname()[1]}", read_s=0.3)
        server.shutdown(socket.SHUT_RDWR)


def silent(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def web_page(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.recv(65536)
        page = b"<html>It works!</html>"
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
        connection.close()


def told(use: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as refusal:
        use()
    words = str(refusal.value)
    assert SECRET not in words
    assert "object at 0x" not in words
    assert "\n" not in words
    return words


USES: dict[str, Callable[[MinioBlobs], object]] = {
    "put": lambda blobs: blobs.put("a", b"1"),
    "put_new": lambda blobs: blobs.put_new("a", b"1"),
    "get": lambda blobs: blobs.get("a"),
    "stat": lambda blobs: blobs.stat("a"),
    "open": lambda blobs: blobs.open("a"),
    "keys": lambda blobs: list(blobs.keys("")),
    "delete": lambda blobs: blobs.delete("a"),
}


@pytest.mark.parametrize("use", USES)
def test_nobody_there(use: str):
    assert told(lambda: USES[use](STORE)) == "the object store http://127.0.0.1:9 does not answer: Connection refused"


def test_a_name_that_leads_nowhere():
    assert "does not answer" in told(lambda: replace(STORE, endpoint="http://nowhere.invalid:9000").get("a"))


def test_one_that_takes_the_call_and_says_nothing():
    began = time.monotonic()
    with listening(silent) as blobs:
        assert "does not answer: Read timed out. (read timeout=0.3)" in told(lambda: blobs.get("a"))
    assert time.monotonic() - began < 10  # a try and a second one, 0.3 s each


@pytest.mark.parametrize("use", ["get", "put", "keys"])
def test_a_web_server_is_no_object_store(use: str):
    with listening(web_page) as blobs:
        assert told(lambda: USES[use](blobs)).endswith("does not answer: what is there does not speak S3")


def test_the_secret_is_shown_nowhere_and_travels_all_the_same():
    assert SECRET not in f"{STORE!r} {STORE}"
    assert pickle.loads(pickle.dumps(STORE)) == STORE


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "http://127.0.0.1:9000/bucket", "ftp://a", ""])
def test_an_endpoint_is_an_url(endpoint: str):
    with pytest.raises(ValueError, match="http://host:port"):
        MinioBlobs(endpoint, "films")


def test_a_prefix_ends_with_a_slash():
    with pytest.raises(ValueError, match="ends with /"):
        MinioBlobs("http://a", "films", "in")
