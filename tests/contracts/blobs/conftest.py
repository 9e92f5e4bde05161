"""The stores that the suite of blobs runs on, each empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.servers import Servers
from pipelines.interfaces import Blobs
from pipelines.stores.cached import CachedBlobs
from pipelines.stores.folder import FolderBlobs
from services.blobs.minio import MinioBlobs
from tests.servers import Bucket


@pytest.fixture
def bucket(servers: Servers, minio: Bucket) -> MinioBlobs:
    return MinioBlobs(servers.s3, minio.name, "some/where/", servers.s3_access_key, servers.s3_secret_key)


@pytest.fixture(params=["folder", "cached", pytest.param("minio", marks=pytest.mark.servers)])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    match request.param:
        case "folder":
            return FolderBlobs(tmp_path / "blobs")
        case "cached":
            return CachedBlobs(FolderBlobs(tmp_path / "near"), FolderBlobs(tmp_path / "far"), budget_bytes=1 << 20)
        case _:
            store: Blobs = request.getfixturevalue("bucket")
            return store
