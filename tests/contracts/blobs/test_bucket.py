"""What only a real object store shows: refusals, damage, films replaced while they are read, what an upload leaves, rules by age."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.error import S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from deploy.local.servers import Servers
from pipelines.decode_plan import DecodePlan
from pipelines.interfaces import FilmChanged, StoreUnavailable
from pipelines.looking import look_at, probe_video
from pipelines.segments import Work, measure_segment, measure_video
from pipelines.stores.folder import FolderBlobs
from services.blobs.lifetimes import set_lifetimes
from services.blobs.minio import PART_BYTES, MinioBlobs, client_of
from tests.contracts.blobs.test_blobs import Endless
from tests.contracts.blobs.test_unreachable import told
from tests.hostile.making import Film, write_film

pytestmark = pytest.mark.servers


def test_a_refusal_and_a_missing_bucket_are_told_apart(bucket: MinioBlobs):
    assert "refuses this access" in told(lambda: replace(bucket, secret_key="the-secret-itself").get("a"))
    assert "refuses this access" in told(lambda: replace(bucket, access_key="nobody").put("a", b""))
    assert "has no bucket 'elsewhere'" in told(lambda: replace(bucket, bucket="elsewhere").put("a", b""))
    assert "has no bucket 'elsewhere'" in told(lambda: replace(bucket, bucket="elsewhere").open("a"))
    assert "has no bucket 'elsewhere'" in told(lambda: list(replace(bucket, bucket="elsewhere").keys("")))


def test_damage_is_no_answer(bucket: MinioBlobs):
    client = client_of(bucket)
    digest = {"sha256": hashlib.sha256(b"what was measured").hexdigest()}
    client.put_object(bucket.bucket, f"{bucket.prefix}block", io.BytesIO(b"something else"), 14, metadata=digest)

    assert "block at http" in told(lambda: bucket.get("block"))


def test_what_others_upload_is_read_as_it_is(bucket: MinioBlobs):
    client_of(bucket).put_object(bucket.bucket, f"{bucket.prefix}film.mp4", io.BytesIO(b"bytes"), 5, content_type="video/mp4")
    client_of(bucket).put_object(bucket.bucket, "elsewhere/film.mp4", io.BytesIO(b"bytes"), 5)

    assert bucket.get("film.mp4") == b"bytes"
    assert [(s.key, s.size, s.version) for s in bucket.stored("")] == [("film.mp4", 5, bucket.stat("film.mp4").version)]
    assert bucket.stat("film.mp4").version == hashlib.md5(b"bytes").hexdigest()


@pytest.mark.parametrize("then", ["replaced by a newer upload", "deleted"])
def test_a_film_that_changes_while_it_is_read_is_told_as_such(then: str, bucket: MinioBlobs, tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", Film(64, 5, codec_options={"preset": "ultrafast"}))
    with path.open("rb") as file:
        bucket.put_stream("film.mp4", file)
    film = bucket.open("film.mp4")
    look = look_at(film)

    bucket.put("film.mp4", path.read_bytes()[:-1] + b"x") if then != "deleted" else bucket.delete("film.mp4")

    with pytest.raises(FilmChanged, match=rf"film\.mp4 at http://.* was {then} while it was read"):
        measure_segment(lambda message: None, Work(film, look, DecodePlan(), FolderBlobs(tmp_path / "m"), "m"), range(1))
    with pytest.raises(FilmChanged, match=then):  # in a worker
        measure_video(film, FolderBlobs(tmp_path / "w"), "m", DecodePlan())


def test_a_film_in_a_bucket_is_measured_in_workers(bucket: MinioBlobs, tmp_path: Path):
    path = write_film(tmp_path / "my film é.mp4", Film(64, 5, codec_options={"preset": "ultrafast"}, sound="aac"))
    bucket.put("my film é.mp4", path.read_bytes())

    stored, local = (measure_video(film, bucket, place, DecodePlan()) for film, place in [(bucket.open(path.name), "b"), (path, "d")])

    assert stored.facts == local.facts == probe_video(path)
    for name in ("frame.luma", "sound.level"):
        assert stored[name].values.tobytes() == local[name].values.tobytes()


def test_an_upload_that_breaks_off_leaves_no_part(bucket: MinioBlobs):
    with pytest.raises(StoreUnavailable, match="the sender is gone"):
        bucket.put_stream("long.ts", Endless(3 * PART_BYTES, breaks_at=PART_BYTES + 5))

    answer = client_of(bucket)._execute("GET", bucket.bucket, query_params={"uploads": "", "prefix": ""})
    assert b"<Upload>" not in answer.data


# --- what a network does -----------------------------------------------------------------------------------------------------


@contextmanager
def between(bucket: MinioBlobs, *, lost_answers: int = 0, cut_after: int | None = None) -> Iterator[MinioBlobs]:
    """The store behind a line that loses the first answers whole, or breaks every connection after so many bytes."""
    host, port = bucket.endpoint.removeprefix("http://").split(":")
    left = [lost_answers]

    def carry(client: socket.socket) -> None:
        with suppress(OSError), hung_up(client), socket.create_connection((host, int(port))) as store:
            threading.Thread(target=pump, args=(client, store), daemon=True).start()
            given = 0
            while data := store.recv(65536):
                if left[0] > 0:
                    left[0] -= 1
                    return
                if cut_after is not None and given + len(data) > cut_after:
                    client.sendall(data[: cut_after - given])
                    return
                given += len(data)
                client.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=carry, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield replace(bucket, endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def hung_up(line: socket.socket) -> Iterator[None]:
    """Closed at the end, for threads that wait at it too."""
    try:
        yield
    finally:
        line.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_a_put_whose_answer_was_lost_knows_that_it_won(bucket: MinioBlobs):
    with between(bucket, lost_answers=1) as far:
        assert far.put_new("claim", b"mine") is True
    with between(bucket, lost_answers=1) as far:
        assert far.put_new("claim", b"late") is False
    assert bucket.get("claim") == b"mine"


def test_an_answer_that_breaks_off_is_no_short_film(bucket: MinioBlobs):
    data = os.urandom(3_000_000)
    bucket.put("film.ts", data)

    with between(bucket, cut_after=1_000_000) as far:
        assert "does not answer" in told(lambda: far.get("film.ts"))
        with far.open("film.ts").open("rb") as file:
            assert file.read(200_000) == data[:200_000]  # a piece is less than what a connection lives for
        file = far.open("film.ts").open("rb")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            file.read()


# --- rules by age --------------------------------------------------------------------------------------------------------------


def rules(bucket: MinioBlobs) -> dict[str, tuple[str, int]]:
    found = client_of(bucket).get_bucket_lifecycle(bucket.bucket)
    assert found is not None
    return {
        str(r.rule_id): (str(r.rule_filter and r.rule_filter.prefix), int((r.expiration and r.expiration.days) or 0)) for r in found.rules
    }


def test_lifetimes_are_set_once_beside_those_of_others(bucket: MinioBlobs):
    theirs = Rule(ENABLED, rule_filter=Filter(prefix="logs/"), rule_id="theirs", expiration=Expiration(days=7))
    client_of(bucket).set_bucket_lifecycle(bucket.bucket, LifecycleConfig([theirs]))

    for _ in range(2):
        set_lifetimes(bucket)

    place = bucket.prefix
    ours = {f"longtake {place}{name}": (f"{place}{name}", 30) for name in ("series/", "claims/")}
    assert rules(bucket) == ours | {"theirs": ("logs/", 7)}

    set_lifetimes(bucket, {"series/": 7})
    assert rules(bucket)[f"longtake {place}series/"] == (f"{place}series/", 7)


def test_lifetimes_in_a_bucket_without_rules(bucket: MinioBlobs):
    set_lifetimes(bucket)

    assert len(rules(bucket)) == 2
    with pytest.raises(StoreUnavailable, match="has no bucket"):
        set_lifetimes(replace(bucket, bucket="elsewhere"))


def test_the_client_underneath_tells_no_secret_either(bucket: MinioBlobs):
    with pytest.raises(S3Error) as error:
        client_of(replace(bucket, secret_key="the-secret-itself")).stat_object(bucket.bucket, "a")
    assert "the-secret-itself" not in repr(error.value)


# --- a store that goes away and comes back --------------------------------------------------------------------------------------


def test_a_killed_store_is_told_within_seconds_and_read_again_when_it_is_back(bucket: MinioBlobs, servers: Servers, tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", Film(64, 5, codec_options={"preset": "ultrafast"}))
    bucket.put("film.mp4", path.read_bytes())
    film, look = bucket.open("film.mp4"), look_at(path)

    servers.kill("minio")
    began = time.monotonic()
    assert "does not answer: Connection refused" in told(lambda: bucket.get("film.mp4"))
    assert time.monotonic() - began < 10  # four tries, at once and after 0.4, 0.8 and 1.6 s
    with pytest.raises(StoreUnavailable, match="does not answer"):
        measure_segment(lambda message: None, Work(film, look, DecodePlan(), FolderBlobs(tmp_path / "m"), "m"), range(1))
    assert list(FolderBlobs(tmp_path / "m").keys("")) == []

    servers.start("minio")
    assert bucket.get("film.mp4") == path.read_bytes()
    assert measure_video(film, FolderBlobs(tmp_path / "m"), "m", DecodePlan()).facts == probe_video(path)
