"""What a folder is beside what every blob store is: a disk that may be full, and processes that die while they write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.interfaces import StoreUnavailable
from pipelines.stores.folder import UNFINISHED, FolderBlobs

ROOT = Path(__file__).resolve().parents[2]
FULL = """
import io, resource, signal, sys
from pathlib import Path
from pipelines.interfaces import StoreUnavailable
from pipelines.stores.folder import FolderBlobs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blobs = FolderBlobs(Path(sys.argv[1]))
blobs.put("small", bytes(50_000))
large = bytes(9_000_000)
for put in (lambda: blobs.put("a", large), lambda: blobs.put_new("b", large), lambda: blobs.put_stream("c", io.BytesIO(large))):
    try:
        put()
    except StoreUnavailable as error:
        print(error)
"""


def test_a_disk_that_takes_no_more_is_told_and_keeps_no_half_file(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [f"cannot write {tmp_path / key}: File too large" for key in "abc"]
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    return place


def test_a_full_disk(tiny_disk: Path):
    blobs = FolderBlobs(tiny_disk)
    try:
        blobs.put("kept", bytes(100_000))
        puts: list[Callable[[], object]] = [lambda: blobs.put("a", bytes(400_000)), lambda: blobs.put_new("b", bytes(400_000))]
        for put in puts:
            with pytest.raises(StoreUnavailable, match="No space left on device"):
                put()
        assert list(blobs.keys("")) == ["kept"]
        assert [path.name for path in tiny_disk.iterdir()] == ["kept"]
        blobs.put("kept", bytes(90_000))  # there is room again for what fits
    finally:
        subprocess.run(["umount", str(tiny_disk)], check=True)


def test_what_a_killed_process_left_unfinished_is_no_key(tmp_path: Path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / f"{UNFINISHED}x1").write_bytes(b"half")
    (tmp_path / "series" / ".hidden").write_bytes(b"a film may be called so")

    assert list(FolderBlobs(tmp_path).keys("")) == ["series/.hidden"]


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("")

    for key in ("a", "a/b"):
        with pytest.raises(StoreUnavailable, match="cannot write"):
            FolderBlobs(tmp_path / "file").put(key, b"")
        with pytest.raises(StoreUnavailable, match="cannot write"):
            FolderBlobs(tmp_path / "file").put_new(key, b"")
    with pytest.raises(StoreUnavailable, match="cannot write"):
        FolderBlobs(tmp_path).put("file/below", b"")


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path):
    (tmp_path / "store").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "store" / "link").symlink_to(tmp_path / "secret")

    with pytest.raises(ValueError, match="out of the store"):
        FolderBlobs(tmp_path / "store").get("link")
