"""The stores that the suite of blobs runs on, each empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.interfaces import Blobs
from pipelines.stores.cached import CachedBlobs
from pipelines.stores.folder import FolderBlobs


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
