from pathlib import Path

import pytest

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.folder import FolderBlobs


def test_bytes_come_back_and_keys_are_listed_in_order(tmp_path: Path):
    blobs = FolderBlobs(tmp_path)
    for key in ("series/b/2", "series/a/1", "series/b/1"):
        blobs.put(key, key.encode())

    assert blobs.get("series/a/1") == b"series/a/1"
    assert list(blobs.keys("series/b/")) == ["series/b/1", "series/b/2"]
    assert list(blobs.keys("nothing/")) == []


def test_what_was_never_put_or_is_deleted_is_a_key_error(tmp_path: Path):
    blobs = FolderBlobs(tmp_path)
    blobs.put("a", b"1")
    blobs.delete("a")

    with pytest.raises(KeyError):
        blobs.get("a")


def test_a_key_never_leads_out_of_the_folder(tmp_path: Path):
    with pytest.raises(ValueError, match="out of the store"):
        FolderBlobs(tmp_path / "store").put("../../evil", b"")


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnavailable, match="cannot write"):
        FolderBlobs(tmp_path / "file").put("a/b", b"")
