"""Damaged films by the hundred: each is measured with its losses told, or refused in a sentence.

A run tries 100; the whole corpus: `pytest tests/hostile --mutants 500`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.decode_plan import DecodePlan
from pipelines.interfaces import UnreadableVideo
from pipelines.limits import Limits
from pipelines.segments import measure_video
from pipelines.stores.folder import FolderBlobs
from tests.hostile.mutants import Mutant, mutants

SEED = 7


def complaint(mutant: Mutant, folder: Path) -> str:
    """What is wrong with how this mutant was taken; nothing where all is well."""
    path = folder / f"{mutant.name}.{mutant.suffix}"
    path.write_bytes(mutant.data)
    try:
        measured = measure_video(path, FolderBlobs(folder), mutant.name, DecodePlan(), workers=1, limits=Limits(look_s=20, stall_s=20))
    except UnreadableVideo as refusal:
        words = str(refusal)
        return "" if words.isprintable() and "Errno" not in words and "fault of" not in words and path.name in words else f"says {words!r}"
    if any("fault of" in gap.reason for gap in measured.missing):
        return f"missing for {measured.missing}"
    if not 0 < measured.duration_s < 200:
        return f"lasts {measured.duration_s} s"
    return "" if 0 <= measured.seen_s <= measured.total_s else f"{measured.seen_s} s seen of {measured.total_s} s"


def test_damaged_films_are_measured_or_refused(tmp_path: Path, pytestconfig: pytest.Config):
    damaged = mutants(tmp_path, pytestconfig.getoption("mutants"), SEED)

    with ThreadPoolExecutor(2) as threads:
        complaints = threads.map(lambda mutant: (mutant.name, complaint(mutant, tmp_path)), damaged)

    assert [(name, words) for name, words in complaints if words] == []
