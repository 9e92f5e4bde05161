"""Fixtures on real servers, for tests marked `servers`: all three are started once a session, when the first test asks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from deploy.local.servers import Servers

if TYPE_CHECKING:
    from minio import Minio


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own for one test, and a client that may do everything."""

    client: Minio
    name: str


@pytest.fixture(scope="session")
def running_servers() -> Iterator[Servers]:
    with Servers.started() as servers:
        yield servers


@pytest.fixture
def servers(running_servers: Servers) -> Servers:
    """All of them, up; a test may stop or kill any, the next one finds them up again."""
    running_servers.start()
    return running_servers


@pytest.fixture
def kafka(servers: Servers) -> str:
    """`host:port` of the broker. Topics are made by the test, under names of its own."""
    return servers.kafka


@pytest.fixture
def minio(servers: Servers) -> Iterator[Bucket]:
    """A fresh bucket, gone with its objects afterwards."""
    from minio import Minio

    client = Minio(urlsplit(servers.s3).netloc, servers.s3_access_key, servers.s3_secret_key, secure=False)
    bucket = Bucket(client, f"test-{secrets.token_hex(6)}")
    client.make_bucket(bucket_name=bucket.name)
    yield bucket
    servers.start("minio")
    for found in client.list_objects(bucket_name=bucket.name, recursive=True):
        client.remove_object(bucket_name=bucket.name, object_name=str(found.object_name))
    client.remove_bucket(bucket_name=bucket.name)


@pytest.fixture
def postgres_url(servers: Servers) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, empty database, gone afterwards."""
    from sqlalchemy import create_engine, text

    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(servers.database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    yield servers.database.rpartition("/")[0] + f"/{name}"
    servers.start("postgres")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
