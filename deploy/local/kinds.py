"""The three servers: how each is prepared, started and asked whether it answers. Knows nothing of the others' processes."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from deploy.local import install

OBJECTS_TOPIC = "longtake.objects"  # where buckets' events go
BUCKET_EVENTS = "arn:minio:sqs::MAIN:kafka"  # what a bucket's notification names to send them there


class NotReady(Exception):
    """The server does not answer yet; it may in a moment."""


@dataclass(frozen=True)
class Endpoints:
    """Where the servers listen and what they ask for. Made once for a data folder, and the same ever after."""

    kafka: str
    kafka_controller: str
    s3: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    database: str = field(repr=False)

    @classmethod
    def chosen(cls) -> Endpoints:
        kafka, controller, s3, postgres = (f"127.0.0.1:{port}" for port in free_ports(4))
        database = f"postgresql+psycopg://longtake:{secrets.token_urlsafe(24)}@{postgres}/longtake"
        return cls(kafka, controller, f"http://{s3}", secrets.token_hex(10), secrets.token_urlsafe(30), database)


def free_ports(count: int) -> list[int]:
    """Ports where nobody listens, from below those that the system hands to clients.

    Else a client could hold one of ours while a server is away; and one that calls such a port over and over gets it for
    its own end some day, and is connected to itself.
    """
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


@dataclass(frozen=True)
class Server:
    """One server of a data folder."""

    folder: Path
    endpoints: Endpoints
    program = ""  # the name of its processes
    stop_signal = signal.SIGTERM

    @property
    def home(self) -> Path:
        """Its working folder, by which its processes are known."""
        return self.folder

    def prepare(self) -> None:
        """Before each start: make the data where there is none yet."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What is added to ours."""
        return {}

    def account(self) -> dict[str, Any]:
        """As whom it runs, in the words of `subprocess`; empty: as we do."""
        return {}

    def greet(self) -> None:
        """Return when it answers and what everybody counts on is there; NotReady before."""
        raise NotImplementedError


class Kafka(Server):
    program = "java"

    def prepare(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        settings = Template((install.HERE / "kafka.properties").read_text("utf-8"))
        filled = settings.substitute(address=self.endpoints.kafka, controller=self.endpoints.kafka_controller)
        (self.folder / "kafka.properties").write_text(filled, "utf-8")
        if not (self.folder / "log" / "meta.properties").exists():
            cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
            install.run([*self._java(), "kafka.tools.StorageTool", "format", cluster, "-c", "kafka.properties"], cwd=self.folder)

    def command(self) -> list[str]:
        return [*self._java(), "kafka.Kafka", "kafka.properties"]

    def _java(self) -> list[str]:
        log = f"-Dlog4j2.configurationFile={install.HERE / 'log4j2.properties'}"
        # Few clients: the plain collector takes less memory and starts sooner.
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", log, "-cp", f"{install.kafka()}/*"]

    def greet(self) -> None:
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic
        from kafka.errors import KafkaError

        try:
            # A Kafka client that finds nobody tries on for seconds, and logs each time.
            host, port = self.endpoints.kafka.split(":")
            socket.create_connection((host, int(port)), timeout=5).close()
            with closing(KafkaAdminClient(bootstrap_servers=self.endpoints.kafka, bootstrap_timeout_ms=5000)) as admin:
                if OBJECTS_TOPIC not in admin.list_topics():
                    admin.create_topics([NewTopic(OBJECTS_TOPIC, num_partitions=4, replication_factor=1)], wait_for_metadata=True)
        except (OSError, KafkaError) as error:
            raise NotReady(str(error)) from error


class Minio(Server):
    program = "minio"

    def prepare(self) -> None:
        for part in ("", "objects", "events", "certificates"):
            (self.folder / part).mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        # Certificates would be looked for, and a folder made, in the person's own home.
        options = ["--quiet", "--certs-dir", "certificates", "--address", urlsplit(self.endpoints.s3).netloc]
        return [str(install.minio()), "server", *options, "objects"]

    def environment(self) -> dict[str, str]:
        return {
            "MINIO_ROOT_USER": self.endpoints.s3_access_key,
            "MINIO_ROOT_PASSWORD": self.endpoints.s3_secret_key,
            "MINIO_BROWSER": "off",  # and with it a second port
            "MINIO_UPDATE": "off",  # asks nobody on the network
            "MINIO_SYNC_BOOT": "on",  # answers only when it has read whom to notify; before, new objects would be told to nobody
            "MINIO_NOTIFY_KAFKA_ENABLE_MAIN": "on",
            "MINIO_NOTIFY_KAFKA_BROKERS_MAIN": self.endpoints.kafka,
            "MINIO_NOTIFY_KAFKA_TOPIC_MAIN": OBJECTS_TOPIC,
            "MINIO_NOTIFY_KAFKA_QUEUE_DIR_MAIN": str(self.folder / "events"),  # keeps events while the broker is away
        }

    def greet(self) -> None:
        try:
            urllib.request.urlopen(f"{self.endpoints.s3}/minio/health/ready", timeout=5).close()
        except OSError as error:
            raise NotReady(str(error)) from error


class Postgres(Server):
    program = "postgres"
    stop_signal = signal.SIGINT  # ends sessions; SIGTERM would wait until every client has left

    @property
    def home(self) -> Path:
        return self.folder.resolve() / "data"

    def prepare(self) -> None:
        if not self.folder.exists():
            self._initialise()
        while residents(self.home, self.program):
            time.sleep(0.05)  # children of one that was killed are still ending
        # Its own check takes a killed server that nobody has asked for its end (a zombie) for a running one.
        (self.home / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self) -> None:
        """initdb in a folder that the account can reach, which gets its name when it is whole."""
        place, account = self.folder.with_name("postgres.partial"), self.account()
        reachable = subprocess.run(["test", "-x", str(place.parent)], cwd="/", **account).returncode == 0
        if not reachable:
            place = Path(tempfile.mkdtemp(prefix="longtake-postgres-", dir="/var/tmp"))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        password = place / "password"
        write_private(password, str(urlsplit(self.endpoints.database).password))
        for path in (place, password) if account else ():
            shutil.chown(path, account["user"])
        options = ["--username=longtake", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        install.run([str(install.postgres() / "initdb"), *options, "-D", str(place / "data")], cwd="/", **account)
        password.unlink()
        place.rename(self.folder) if reachable else self.folder.symlink_to(place)

    def command(self) -> list[str]:
        database = urlsplit(self.endpoints.database)
        settings = ["-c", f"listen_addresses={database.hostname}", "-c", f"port={database.port}", "-c", "unix_socket_directories="]
        return [str(install.postgres() / "postgres"), "-D", str(self.home), *settings]

    def account(self) -> dict[str, Any]:
        """Not root, which it refuses: the account that Debian's package makes for it."""
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    def greet(self) -> None:
        import psycopg

        server, _, name = self.endpoints.database.replace("+psycopg", "").rpartition("/")
        try:
            with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                    connection.execute(f"CREATE DATABASE {name}")
        except psycopg.OperationalError as error:
            raise NotReady(str(error)) from error


def residents(folder: Path, program: str, among: str = "[0-9]*") -> set[int]:
    """Processes of that name of which a thread works in the folder.

    One that ended is none of them, though nobody may have asked for its end yet; one that is ending is, until its last thread
    is gone, and with that its ports are free.
    """
    found = set()
    for thread in glob.glob(f"/proc/{among}/task/*"):  # noqa: PTH207 (Path.glob stumbles over what vanishes meanwhile)
        with suppress(OSError):
            if Path(thread, "cwd").readlink() == folder and Path(thread, "../../comm").read_text("utf-8").strip() == program:
                found.add(int(thread.split("/")[2]))
    return found


def write_private(path: Path, text: str) -> None:
    """For nobody else's eyes, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
