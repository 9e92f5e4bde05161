"""Real servers: what they hold, what they tell each other, and what stays through a stop, a kill and a start."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig

from deploy.local.kinds import BUCKET_EVENTS, OBJECTS_TOPIC
from deploy.local.servers import ServerFailed, Servers
from tests.servers import Bucket

pytestmark = pytest.mark.servers

DEADLINE_S = 60.0
PART_BYTES = 5 * 1024 * 1024  # the least that S3 allows for a part
NAMES = ("kafka", "minio", "postgres")


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes true before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def addresses(servers: Servers) -> dict[str, str]:
    database = servers.database.rpartition("@")[2].partition("/")[0]
    return {"kafka": servers.kafka, "minio": servers.s3.removeprefix("http://"), "postgres": database}


def new_topic(kafka: str) -> str:
    name = f"test-{secrets.token_hex(6)}"
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)], wait_for_metadata=True)
    return name


def write(kafka: str, topic: str, value: bytes) -> None:
    with contextlib.closing(KafkaProducer(bootstrap_servers=kafka, max_request_size=8 * 1024 * 1024)) as producer:
        producer.send(topic, value).get(timeout=DEADLINE_S)


def read(kafka: str, topic: str, wanted: Callable[[bytes], bool], count: int) -> list[bytes]:
    """The first values of a topic that are wanted, from its beginning, before the deadline."""
    found: list[bytes] = []
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None)
    with contextlib.closing(consumer):
        deadline = time.monotonic() + DEADLINE_S
        while len(found) < count and time.monotonic() < deadline:
            records = consumer.poll(timeout_ms=200)
            found += [record.value for batch in records.values() for record in batch if wanted(record.value)]
    return found


def send_events(minio: Bucket) -> None:
    """The bucket's new objects below incoming/ are told on the topic."""
    queue = QueueConfig(
        queue=BUCKET_EVENTS, events=["s3:ObjectCreated:*"], config_id="films", prefix_filter_rule=PrefixFilterRule("incoming/")
    )
    minio.client.set_bucket_notification(bucket_name=minio.name, config=NotificationConfig(queue_config_list=[queue]))


def put(minio: Bucket, name: str, content: bytes, **how: Any) -> None:
    minio.client.put_object(bucket_name=minio.name, object_name=name, data=BytesIO(content), length=len(content), **how)


def told(kafka: str, minio: Bucket, count: int) -> list[dict[str, Any]]:
    values = read(kafka, OBJECTS_TOPIC, lambda value: json.loads(value)["Key"].startswith(f"{minio.name}/"), count)
    return [json.loads(value) for value in values]


# --- started once, and again -------------------------------------------------------------------------------------------------


def test_all_three_answer_on_ports_of_their_own(servers: Servers) -> None:
    assert sorted(servers.describe()["pids"]) == sorted(NAMES)
    assert all(answers(address) for address in addresses(servers).values())
    assert len(set(addresses(servers).values())) == 3


def test_starting_servers_that_run_changes_nothing(servers: Servers) -> None:
    before = servers.describe()

    servers.start()

    assert servers.describe() == before


@pytest.mark.parametrize("name", NAMES)
def test_one_server_stops_and_starts_alone_at_its_old_address(servers: Servers, name: str) -> None:
    before = servers.describe()

    servers.stop(name)
    others = set(NAMES) - {name}
    assert set(servers.describe()["pids"]) == others
    assert not answers(addresses(servers)[name])
    assert all(answers(addresses(servers)[other]) for other in others)

    servers.start(name)
    after = servers.describe()
    assert {key: after[key] for key in after if key != "pids"} == {key: before[key] for key in before if key != "pids"}
    assert {other: after["pids"][other] for other in others} == {other: before["pids"][other] for other in others}
    assert answers(addresses(servers)[name])


def test_stopping_what_is_stopped_is_no_error(servers: Servers) -> None:
    servers.stop("minio")
    servers.stop("minio")

    assert servers.pid("minio") is None


@pytest.mark.parametrize("end", [Servers.stop, Servers.kill], ids=["stopped", "killed"])
def test_data_outlives_its_servers(servers: Servers, minio: Bucket, postgres_url: str, end: Callable[[Servers], None]) -> None:
    topic, url = new_topic(servers.kafka), postgres_url.replace("+psycopg", "")
    write(servers.kafka, topic, b"kept")
    put(minio, "film.mp4", b"moving pictures")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE findings (label text)")
        connection.execute("INSERT INTO findings VALUES ('ad')")

    end(servers)
    assert not any(answers(address) for address in addresses(servers).values())
    servers.start()

    assert read(servers.kafka, topic, lambda value: True, 1) == [b"kept"]
    assert minio.client.get_object(bucket_name=minio.name, object_name="film.mp4").read() == b"moving pictures"
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT label FROM findings").fetchall() == [("ad",)]


@pytest.mark.parametrize("name", NAMES)
def test_a_server_that_somebody_killed_is_started_again(servers: Servers, name: str) -> None:
    pid = servers.pid(name)
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: servers.pid(name) is None)

    servers.start()

    assert servers.pid(name) not in (None, pid)
    assert answers(addresses(servers)[name])


# --- the bucket's events -----------------------------------------------------------------------------------------------------


def test_a_new_object_is_told_whatever_its_name(servers: Servers, minio: Bucket) -> None:
    send_events(minio)

    put(minio, "elsewhere/film.mp4", b"not told")
    put(minio, "incoming/my film é.mp4", b"told")

    (event,) = told(servers.kafka, minio, 1)
    assert event["EventName"] == "s3:ObjectCreated:Put"
    assert event["Key"] == f"{minio.name}/incoming/my film é.mp4"
    assert event["Records"][0]["s3"]["object"]["key"] == "incoming%2Fmy+film+%C3%A9.mp4"


def test_an_upload_in_parts_is_told_once_it_is_complete(servers: Servers, minio: Bucket) -> None:
    send_events(minio)

    put(minio, "incoming/long.mp4", bytes(2 * PART_BYTES), part_size=PART_BYTES)

    (event,) = told(servers.kafka, minio, 1)
    assert event["EventName"] == "s3:ObjectCreated:CompleteMultipartUpload"
    assert event["Records"][0]["s3"]["object"]["size"] == 2 * PART_BYTES


def test_what_arrives_while_the_broker_is_away_is_told_when_it_is_back(servers: Servers, minio: Bucket) -> None:
    send_events(minio)
    servers.kill("kafka")

    put(minio, "incoming/early.mp4", b"while nobody listens")
    servers.start("kafka")

    assert [event["Key"] for event in told(servers.kafka, minio, 1)] == [f"{minio.name}/incoming/early.mp4"]


def test_the_object_store_starts_while_the_broker_is_away(servers: Servers, minio: Bucket) -> None:
    send_events(minio)
    servers.stop("kafka", "minio")

    servers.start("minio")
    put(minio, "incoming/early.mp4", b"while nobody listens")
    servers.start("kafka")

    assert [event["Key"] for event in told(servers.kafka, minio, 1)] == [f"{minio.name}/incoming/early.mp4"]


# --- the broker's settings -----------------------------------------------------------------------------------------------------


def test_a_message_of_a_few_megabytes_fits(servers: Servers) -> None:
    chunk, topic = secrets.token_bytes(4 * 1024 * 1024), new_topic(servers.kafka)

    write(servers.kafka, topic, chunk)

    assert read(servers.kafka, topic, lambda value: True, 1) == [chunk]


def test_a_topic_is_made_on_purpose_only(servers: Servers) -> None:
    with contextlib.closing(KafkaConsumer("longtake.misspelt", bootstrap_servers=servers.kafka, group_id=None)) as consumer:
        consumer.poll(timeout_ms=500)
        assert "longtake.misspelt" not in consumer.topics()


# --- secrets -------------------------------------------------------------------------------------------------------------------


def test_credentials_are_in_one_file_that_only_its_owner_reads(servers: Servers) -> None:
    written = json.loads(servers.document.read_text("utf-8"))
    password = servers.database.split(":")[2].partition("@")[0]
    others = [path for path in servers.folder.rglob("*") if path.is_file() and path != servers.document and "postgres" not in path.parts]

    assert stat.S_IMODE(servers.document.stat().st_mode) == 0o600
    assert (written["s3_secret_key"], written["database"]) == (servers.s3_secret_key, servers.database)
    assert not [path for path in others for secret in (servers.s3_secret_key, password) if secret.encode() in path.read_bytes()]
    assert servers.s3_secret_key not in repr(servers.endpoints)
    assert password not in repr(servers.endpoints)


def test_what_a_server_keeps_is_closed_to_other_accounts(servers: Servers) -> None:
    kept = [servers.folder / name for name in ("kafka", "logs", "minio", "postgres")]

    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in kept} == {path.name: 0o700 for path in kept}


def test_a_wrong_password_is_refused(servers: Servers) -> None:
    password = servers.database.split(":")[2].partition("@")[0]
    wrong = servers.database.replace("+psycopg", "").replace(password, "postgres")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


# --- the command, and the end of the starter -------------------------------------------------------------------------------------


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "deploy.local", *words], capture_output=True, text=True)


def test_servers_started_by_the_command_live_on_until_they_are_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "data"  # PostgreSQL's account cannot get there, where tests run as root

    try:
        started = command("start", "--json", "--only", "minio", "--only", "postgres", "--data", str(folder))
        assert started.returncode == 0, started.stderr
        told = json.loads(started.stdout)
        status = command("status", "--data", str(folder))

        assert sorted(told["pids"]) == ["minio", "postgres"]
        assert answers(told["s3"].removeprefix("http://"))
        assert status.returncode == 4  # not all of them run
        assert "kafka    does not run" in status.stdout
        assert told["s3_secret_key"] not in status.stdout + started.stderr
    finally:
        home = (folder / "postgres").resolve()
        stopped = command("stop", "--remove", "--data", str(folder))

    assert stopped.returncode == 0
    assert not answers(told["s3"].removeprefix("http://"))
    assert not folder.exists()
    assert not home.exists()


def test_servers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "from deploy.local.servers import Servers\nwith Servers.started() as servers:\n    print(servers.folder, flush=True)\n    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        servers = Servers(starter.stdout.readline().strip())
        assert sorted(servers.describe()["pids"]) == sorted(NAMES)

        starter.kill()

    assert until(lambda: not any(answers(address) for address in addresses(servers).values()))
    assert until(lambda: not servers.folder.exists())


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    host, port = addresses(servers)["minio"].split(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()

        with pytest.raises(ServerFailed, match=r"minio did not come up.*\n(?s:.*)port") as failed:
            servers.start("minio")

    assert servers.s3_secret_key not in str(failed.value)
