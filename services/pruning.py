"""Keeps the measurements on this disk within a budget. Answers are small and stay; what was measured can be measured again."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.stores.folder import FolderBlobs

logger = logging.getLogger(__name__)
BUDGET_BYTES = 20 << 30  # an hour takes about 0.4 GB, so the last two days of video can be judged anew without decoding
YOUNG_S = 3600.0  # another run may be using it


def prune(measured: Path, budget_bytes: int = BUDGET_BYTES) -> int:
    """Remove the oldest videos' series until the rest fits; returns the bytes freed."""
    videos = sorted(_videos(measured))
    excess = sum(size for _, size, _ in videos) - budget_bytes
    freed = 0
    for changed_at, size, folder in videos:
        if freed >= excess or time.time() - changed_at < YOUNG_S:
            break
        shutil.rmtree(folder, ignore_errors=True)
        freed += size
        logger.info("measurements removed video_id=%s bytes=%d", folder.name, size)
    return freed


def _videos(measured: Path) -> Iterator[tuple[float, int, Path]]:
    """(last change, bytes, folder) of each video's series."""
    for folder in (measured / "series").glob("*"):
        files = list(FolderBlobs(folder).stored(""))  # passes over what another run takes away meanwhile
        if files:
            yield max(f.changed_at for f in files), sum(f.size for f in files), folder
