from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.decode_plan import DecodePlan
from pipelines.limits import Limits
from pipelines.segments import measure_video
from pipelines.series import Measured
from pipelines.stores.folder import FolderBlobs


@pytest.fixture
def measure(tmp_path: Path) -> Callable[[Path], Measured]:
    """Measure a file as `longtake analyze` does, on one worker and with little patience."""
    return lambda path: measure_video(
        path, FolderBlobs(tmp_path / "blobs"), "m", DecodePlan(), workers=1, limits=Limits(look_s=20, stall_s=20)
    )
